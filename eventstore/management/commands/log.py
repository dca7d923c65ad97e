"""Look at the log, and say which database it is in."""

from collections.abc import Iterable

from eventstore.identity import Confirm
from eventstore.management import log
from eventstore.management.operating import OperatingCommand
from eventstore.operations import Operation


class Command(OperatingCommand):
    help = __doc__
    parts = {"status": log}

    def kinds(self) -> Iterable[type[Operation]]:
        return [Confirm]
