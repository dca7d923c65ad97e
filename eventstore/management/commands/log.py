"""Look at the log, and say which database it is in."""

from collections.abc import Iterable

from eventstore.management import consumers, log
from eventstore.management.base import OperationsCommand
from eventstore.operations.base import Operation
from eventstore.operations.identity import Confirm


class Command(OperationsCommand):
    help = __doc__
    parts = {"status": log, "consumers": consumers}

    def kinds(self) -> Iterable[type[Operation]]:
        return [Confirm]
