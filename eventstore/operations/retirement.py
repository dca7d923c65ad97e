"""The operation on a subscriber that was taken out of the code: it is forgotten, and what it had yet to do with it."""

from typing import Any, ClassVar

import psycopg
from django.db import transaction
from django.db.models import Model

from eventstore import conf, database, signals, store
from eventstore.errors import Refused
from eventstore.models import DiscardedEvent, HandlerWarning, ParkedEvent, SkippedRange, SubscriberRow
from eventstore.operations import queries
from eventstore.operations.base import Operation, operation
from eventstore.subscriptions import row_locks
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.row_locks import LockedRow
from eventstore.subscriptions.subscriber import Subscriber

RETIRE = "eventstore.retire_subscriber"

REMAINS: dict[str, type[Model]] = {
    "parked events": ParkedEvent,
    "discarded events": DiscardedEvent,
    "skipped ranges": SkippedRange,
    "warnings": HandlerWarning,
}
"""What is kept of a subscriber beside its rows."""


@operation("retire", verb="Retire", permission=RETIRE, needs_reason=True)
class Retire(Operation, frozen=True, kw_only=True):
    """Forget a subscriber that the code no longer has, with all that it has yet to do."""

    of_former: ClassVar[bool] = True
    page: ClassVar[str] = ""

    @classmethod
    def concerns(cls, target: str) -> bool:
        return not _is_declared(target) and SubscriberRow.objects.filter(subscriber=target).exists()

    def preview(self) -> str:
        with transaction.atomic(), database.cursor() as cursor:
            held = self._lock(cursor)
        stood = min(row.checkpoint for row in held)
        return (
            f"{self.target} is forgotten for good: that it stood at {stood:,}, what it has parked, discarded and"
            " skipped. What it had yet to do is given up."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        with transaction.atomic(durable=True), database.cursor() as cursor:
            held = self._lock(cursor)
            gone = {}
            for name, model in REMAINS.items():
                gone[name], _ = model._default_manager.filter(subscriber=self.target).delete()
            signals.retired.send(sender=Subscriber, subscriber=self.target, gone=gone)
            cursor.execute(queries.REMOVE_ROWS, [[row.name for row in held]])
        told = ", ".join(f"{name} {many:,}" for name, many in gone.items() if many)
        return f"retired ({told})" if told else "retired"

    def _lock(self, cursor: psycopg.Cursor[Any]) -> list[LockedRow]:
        """Its rows. Another process may have it still, which shows in what it does when there is something to do."""
        if _is_declared(self.target):
            raise Refused(f"The code that runs here has {self.target}: take it out first.")
        held = row_locks.lock_rows_named(cursor, self.target)
        patience = conf.STALLED_AFTER_SECONDS.get()
        asked = {"subscriber": self.target, "horizon": store.horizon(), "seconds": patience}
        if cursor.execute(queries.MAY_BE_FED, asked).fetchone() == (True,):
            raise Refused(
                f"Another process may feed {self.target} still. That nobody does shows {patience:g} seconds after an"
                " event was appended that it has not passed."
            )
        return held


def _is_declared(name: str) -> bool:
    return any(subscriber.name == name for subscriber in registry)
