"""Writes `ConferenceOnSale`."""

from collections.abc import Iterable

import msgspec

from eventstore.events import Meta
from ordering.domain.conference import (
    ConferenceScheduled,
    Line,
    PricedLine,
    SeatsAdded,
    SeatsReleased,
    SeatsReserved,
)
from ordering.models import ConferenceSummary
from projections.projection import SYNC, Projection, on


class SeatAvailability(Projection[ConferenceSummary], name="seat-availability", version=2, mode=SYNC):
    model = ConferenceSummary

    @on(ConferenceScheduled, key="conference_id")
    def scheduled(self, row: ConferenceSummary, event: ConferenceScheduled, meta: Meta) -> None:
        row.name, row.starts_at = event.name, event.starts_at
        row.opens_at, row.closes_at = event.opens_at, event.closes_at
        row.version = meta.version

    @on(SeatsAdded, key="conference_id")
    def added(self, row: ConferenceSummary, event: SeatsAdded, meta: Meta) -> None:
        added = event.seat_type
        before = row.seat_types.get(added.code, {"capacity": 0, "available": 0})
        row.seat_types[added.code] = {
            **msgspec.to_builtins(added),
            "capacity": before["capacity"] + added.capacity,
            "available": before["available"] + added.capacity,
        }
        row.version = meta.version

    @on(SeatsReserved, key="conference_id")
    def reserved(self, row: ConferenceSummary, event: SeatsReserved, meta: Meta) -> None:
        self._change(row, event.lines, -1)
        row.version = meta.version

    @on(SeatsReleased, key="conference_id")
    def released(self, row: ConferenceSummary, event: SeatsReleased, meta: Meta) -> None:
        self._change(row, event.lines, +1)
        row.version = meta.version

    def _change(self, row: ConferenceSummary, lines: Iterable[Line | PricedLine], sign: int) -> None:
        for line in lines:
            row.seat_types[line.seat_type]["available"] += sign * line.quantity
