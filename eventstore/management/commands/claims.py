"""What streams hold that no other may, such as an email address."""

from collections.abc import Iterable

from eventstore.management import claims_rehash
from eventstore.management.base import OperationsCommand
from eventstore.operations.base import Operation


class Command(OperationsCommand):
    help = __doc__
    parts = {"rehash": claims_rehash}

    def kinds(self) -> Iterable[type[Operation]]:
        return []
