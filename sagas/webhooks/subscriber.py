"""The subscriber that makes events deliveries to the endpoints that want them. It begins at the end of the log, and has
no replay: nothing is told twice because something was rebuilt.
"""

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property

from eventstore import doorbell, feed
from eventstore.codec import Recorded, formers, stored_names
from eventstore.database import Cursor
from eventstore.events import catalogue
from eventstore.models import SubscriberRow
from eventstore.subscriptions.subscriber import Mode, Rank, Subscriber, Work
from sagas.webhooks import queries

BELL = "webhooks"
SEND_TASK = "sagas.tasks.send_webhooks"


class Webhooks(Subscriber):
    """Follows every event that there is, at the pace of workers: no request waits for it."""

    name = "webhooks"
    rank, declared_mode, by_cursor = Rank.EFFECT, Mode.ASYNC, True

    @cached_property
    def types(self) -> frozenset[str]:
        return frozenset().union(*map(stored_names, catalogue), (each.name for each in formers()))

    @cached_property
    def version(self) -> int:  # type: ignore[override]  # it follows from the events
        """Types are only ever added, so code that knows more of them is newer."""
        return len(self.types)

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        return (recorded.stream_id,)

    def begins_at(self, head: int) -> int:
        return head

    def can_upgrade(self, row: SubscriberRow) -> bool:
        return self.version > row.version

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        told = [
            (entry.position, part, entry.stream_id, entry.type)
            for each in work
            for part, entry in enumerate(feed.entries_of(each.recorded))
        ]
        if cursor.execute(queries.ENTER, [list(column) for column in zip(*told, strict=True)]).rowcount:
            doorbell.remind_on_commit(BELL, SEND_TASK)


webhooks = Webhooks()


def ring() -> None:
    """Let a worker look at what is to be sent."""
    doorbell.ring(BELL, SEND_TASK)
