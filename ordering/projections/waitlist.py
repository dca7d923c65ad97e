"""Writes `WaitlistEntry`."""

import msgspec

from eventstore.events import Meta
from ordering.domain.waitlist import (
    WaitlistAccepted,
    WaitlistDeclined,
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOffered,
    WaitlistPrioritised,
)
from ordering.models import WaitlistEntry
from projections.projection import SYNC, Projection, on

Status = WaitlistEntry.Status


class WaitlistEntries(Projection[WaitlistEntry], name="waitlist-entries", version=1, mode=SYNC):
    """An entry whose seats are being reserved waits still: whoever is told of an offer has one."""

    model = WaitlistEntry

    @on(WaitlistJoined, key="entry_id")
    def joined(self, row: WaitlistEntry, event: WaitlistJoined, meta: Meta) -> None:
        """Whoever waits again, since the same order was refused once more, does so as if for the first time."""
        row.conference_id, row.customer_id = event.conference_id, event.customer_id
        row.lines, row.refused_order_id = msgspec.to_builtins(event.lines), event.refused_order_id
        row.status, row.joined, row.joined_at = Status.WAITING, meta.version, meta.recorded_at
        row.priority, row.offered_until, row.order_id, row.reason, row.ended_at = 0, None, None, "", None
        row.version = meta.version

    @on(WaitlistPrioritised, key="entry_id")
    def prioritised(self, row: WaitlistEntry, event: WaitlistPrioritised, meta: Meta) -> None:
        row.priority, row.version = event.priority, meta.version

    @on(WaitlistOffered, key="entry_id")
    def offered(self, row: WaitlistEntry, event: WaitlistOffered, meta: Meta) -> None:
        row.status, row.offered_until, row.version = Status.OFFERED, event.until, meta.version

    @on(WaitlistAccepted, key="entry_id")
    def accepted(self, row: WaitlistEntry, event: WaitlistAccepted, meta: Meta) -> None:
        row.order_id = event.order_id
        self._end(row, Status.ACCEPTED, meta)

    @on(WaitlistDeclined, key="entry_id")
    def declined(self, row: WaitlistEntry, event: WaitlistDeclined, meta: Meta) -> None:
        self._end(row, Status.DECLINED, meta)

    @on(WaitlistLapsed, key="entry_id")
    def lapsed(self, row: WaitlistEntry, event: WaitlistLapsed, meta: Meta) -> None:
        self._end(row, Status.LAPSED, meta)

    @on(WaitlistLeft, key="entry_id")
    def left(self, row: WaitlistEntry, event: WaitlistLeft, meta: Meta) -> None:
        row.reason, row.order_id = event.reason, None
        self._end(row, Status.LEFT, meta)

    def _end(self, row: WaitlistEntry, status: Status, meta: Meta) -> None:
        row.status, row.ended_at, row.version = status, meta.recorded_at, meta.version
