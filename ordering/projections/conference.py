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
from ordering.models import ConferenceOnSale
from projections.projection import SYNC, Projection, on


class SeatAvailability(Projection[ConferenceOnSale], name="seat-availability", version=1, mode=SYNC):
    model = ConferenceOnSale

    @on(ConferenceScheduled, key="conference_id")
    def scheduled(self, row: ConferenceOnSale, event: ConferenceScheduled, meta: Meta) -> None:
        row.name, row.starts_at = event.name, event.starts_at
        row.opens_at, row.closes_at = event.opens_at, event.closes_at
        row.version = meta.version

    @on(SeatsAdded, key="conference_id")
    def added(self, row: ConferenceOnSale, event: SeatsAdded, meta: Meta) -> None:
        added = event.seat_type
        before = row.seat_types.get(added.code, {"capacity": 0, "available": 0})
        row.seat_types[added.code] = {
            **msgspec.to_builtins(added),
            "capacity": before["capacity"] + added.capacity,
            "available": before["available"] + added.capacity,
        }
        row.version = meta.version

    @on(SeatsReserved, key="conference_id")
    def reserved(self, row: ConferenceOnSale, event: SeatsReserved, meta: Meta) -> None:
        self._change(row, event.lines, -1)
        row.version = meta.version

    @on(SeatsReleased, key="conference_id")
    def released(self, row: ConferenceOnSale, event: SeatsReleased, meta: Meta) -> None:
        self._change(row, event.lines, +1)
        row.version = meta.version

    def _change(self, row: ConferenceOnSale, lines: Iterable[Line | PricedLine], sign: int) -> None:
        for line in lines:
            row.seat_types[line.seat_type]["available"] += sign * line.quantity
