"""Publish the log to a message broker, so that others can share it or follow it while the site is away."""

from collections.abc import Iterable

from eventstore.management import relay_begin, relay_run
from eventstore.management.base import OperationsCommand
from eventstore.operations.base import Operation


class Command(OperationsCommand):
    help = __doc__
    parts = {"run": relay_run, "begin": relay_begin}

    def kinds(self) -> Iterable[type[Operation]]:
        return []
