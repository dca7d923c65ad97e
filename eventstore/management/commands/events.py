"""Look at the types of events that the code declares, and at how the log can be read with them."""

from collections.abc import Iterable

from eventstore.management import events_catalogue, events_index_data, events_lock, events_verify
from eventstore.management.base import OperationsCommand
from eventstore.operations.base import Operation


class Command(OperationsCommand):
    help = __doc__
    parts = {
        "catalogue": events_catalogue,
        "lock": events_lock,
        "verify": events_verify,
        "index-data": events_index_data,
    }

    def kinds(self) -> Iterable[type[Operation]]:
        return []
