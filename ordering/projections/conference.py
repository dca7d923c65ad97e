"""Writes `ConferenceSummary`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from eventstore.events import Meta
from ordering.domain.conference_changes import (
    CancellationRuleChanged,
    ConferenceCancelled,
    ConferenceMoved,
    ConferenceRenamed,
    CustomerLimitChanged,
    HoldReleased,
    MailNoteChanged,
    PaymentTermsChanged,
    PoolAdded,
    PoolCapacityChanged,
    PoolRenamed,
    PoolsAssigned,
    ProvidersChanged,
    SalesClosed,
    SalesReopened,
    SalesWindowChanged,
    SeatCapacityChanged,
    SeatLimitChanged,
    SeatsHeld,
    SeatsRenamed,
    SeatsRepriced,
)
from ordering.domain.scheduling import ConferenceScheduled
from ordering.domain.seats import (
    Line,
    PricedLine,
    SeatsAdded,
    SeatsChanged,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
    difference,
)
from ordering.models import ConferenceSummary
from ordering.models.conference import COUNTS, counted
from projections.projection import SYNC, Projection, on

Status = ConferenceSummary.Status


class SeatAvailability(Projection[ConferenceSummary], name="seat-availability", version=3, mode=SYNC):
    model = ConferenceSummary

    @on(ConferenceScheduled, key="conference_id")
    def scheduled(self, row: ConferenceSummary, event: ConferenceScheduled, meta: Meta) -> None:
        row.name, row.status = event.name, Status.SCHEDULED
        row.starts_at, row.time_zone, row.place = event.starts_at, event.time_zone, event.place
        row.opens_at, row.closes_at = event.opens_at, event.closes_at
        self._terms_changed(row, meta)

    @on(ConferenceRenamed, key="conference_id")
    def renamed(self, row: ConferenceSummary, event: ConferenceRenamed, meta: Meta) -> None:
        row.name = event.name
        self._terms_changed(row, meta)

    @on(ConferenceMoved, key="conference_id")
    def moved(self, row: ConferenceSummary, event: ConferenceMoved, meta: Meta) -> None:
        row.starts_at, row.time_zone, row.place = event.starts_at, event.time_zone, event.place
        self._terms_changed(row, meta)

    @on(SalesWindowChanged, key="conference_id")
    def sales_window_changed(self, row: ConferenceSummary, event: SalesWindowChanged, meta: Meta) -> None:
        row.opens_at, row.closes_at = event.opens_at, event.closes_at
        self._terms_changed(row, meta)

    @on(SalesClosed, key="conference_id")
    def sales_closed(self, row: ConferenceSummary, event: SalesClosed, meta: Meta) -> None:
        row.status = Status.SALES_CLOSED
        self._terms_changed(row, meta)

    @on(SalesReopened, key="conference_id")
    def sales_reopened(self, row: ConferenceSummary, event: SalesReopened, meta: Meta) -> None:
        row.status = Status.SCHEDULED
        self._terms_changed(row, meta)

    @on(MailNoteChanged, key="conference_id")
    def mail_note_changed(self, row: ConferenceSummary, event: MailNoteChanged, meta: Meta) -> None:
        self._terms_changed(row, meta)

    @on(ConferenceCancelled, key="conference_id")
    def cancelled(self, row: ConferenceSummary, event: ConferenceCancelled, meta: Meta) -> None:
        row.status = Status.CANCELLED
        self._terms_changed(row, meta)

    @on(PaymentTermsChanged, key="conference_id")
    def payment_terms_changed(self, row: ConferenceSummary, event: PaymentTermsChanged, meta: Meta) -> None:
        row.payment_terms = msgspec.to_builtins(event.terms)
        self._terms_changed(row, meta)

    @on(CancellationRuleChanged, key="conference_id")
    def cancellation_rule_changed(self, row: ConferenceSummary, event: CancellationRuleChanged, meta: Meta) -> None:
        row.cancellation = msgspec.to_builtins(event.rule)
        self._terms_changed(row, meta)

    @on(SeatsAdded, key="conference_id")
    def added(self, row: ConferenceSummary, event: SeatsAdded, meta: Meta) -> None:
        added = event.seat_type
        before = row.seat_types.get(added.code, {"capacity": 0, "available": 0})
        capacity = before["capacity"] + added.capacity
        row.seat_types[added.code] = {**counted(before), **msgspec.to_builtins(added), "capacity": capacity}
        self._terms_changed(row, meta)

    @on(SeatsRepriced, key="conference_id")
    def repriced(self, row: ConferenceSummary, event: SeatsRepriced, meta: Meta) -> None:
        row.seat_types[event.seat_type]["price"] = msgspec.to_builtins(event.price)
        self._terms_changed(row, meta)

    @on(SeatsRenamed, key="conference_id")
    def seats_renamed(self, row: ConferenceSummary, event: SeatsRenamed, meta: Meta) -> None:
        row.seat_types[event.seat_type]["name"] = event.name
        self._terms_changed(row, meta)

    @on(SeatLimitChanged, key="conference_id")
    def limit_changed(self, row: ConferenceSummary, event: SeatLimitChanged, meta: Meta) -> None:
        seat_type = counted(row.seat_types[event.seat_type])
        limits = {"max_per_order": event.max_per_order, "min_per_order": event.min_per_order}
        row.seat_types[event.seat_type] = {**seat_type, **limits}
        self._terms_changed(row, meta)

    @on(CustomerLimitChanged, key="conference_id")
    def customer_limit_changed(self, row: ConferenceSummary, event: CustomerLimitChanged, meta: Meta) -> None:
        row.max_per_customer = event.max_per_customer
        self._terms_changed(row, meta)

    @on(ProvidersChanged, key="conference_id")
    def providers_changed(self, row: ConferenceSummary, event: ProvidersChanged, meta: Meta) -> None:
        row.providers = list(event.providers)
        self._terms_changed(row, meta)

    @on(SeatCapacityChanged, key="conference_id")
    def capacity_changed(self, row: ConferenceSummary, event: SeatCapacityChanged, meta: Meta) -> None:
        seat_type = counted(row.seat_types[event.seat_type])
        row.seat_types[event.seat_type] = {**seat_type, "capacity": event.capacity}
        self._terms_changed(row, meta)

    @on(PoolAdded, key="conference_id")
    def pool_added(self, row: ConferenceSummary, event: PoolAdded, meta: Meta) -> None:
        row.pools[event.pool.code] = msgspec.to_builtins(event.pool)
        self._terms_changed(row, meta)

    @on(PoolRenamed, key="conference_id")
    def pool_renamed(self, row: ConferenceSummary, event: PoolRenamed, meta: Meta) -> None:
        row.pools[event.pool]["name"] = event.name
        self._terms_changed(row, meta)

    @on(PoolCapacityChanged, key="conference_id")
    def pool_capacity_changed(self, row: ConferenceSummary, event: PoolCapacityChanged, meta: Meta) -> None:
        row.pools[event.pool]["capacity"] = event.capacity
        self._terms_changed(row, meta)

    @on(PoolsAssigned, key="conference_id")
    def pools_assigned(self, row: ConferenceSummary, event: PoolsAssigned, meta: Meta) -> None:
        seat_type = counted(row.seat_types[event.seat_type])
        row.seat_types[event.seat_type] = {**seat_type, "pools": list(event.pools)}
        self._terms_changed(row, meta)

    @on(SeatsHeld, key="conference_id")
    def held(self, row: ConferenceSummary, event: SeatsHeld, meta: Meta) -> None:
        row.holds[str(event.hold_id)] = {
            "seat_type": event.seat_type,
            "quantity": event.quantity,
            "label": event.label,
        }
        self._count(row, [Line(event.seat_type, event.quantity)], held=+1)
        self._terms_changed(row, meta)

    @on(HoldReleased, key="conference_id")
    def hold_released(self, row: ConferenceSummary, event: HoldReleased, meta: Meta) -> None:
        hold = row.holds[str(event.hold_id)]
        hold["quantity"] -= event.quantity
        if not hold["quantity"]:
            del row.holds[str(event.hold_id)]
        self._count(row, [Line(event.seat_type, event.quantity)], held=-1)
        self._terms_changed(row, meta)

    @on(SeatsReserved, key="conference_id")
    def reserved(self, row: ConferenceSummary, event: SeatsReserved, meta: Meta) -> None:
        self._count(row, event.lines, taken=+1)
        row.version = meta.version

    @on(SeatsSold, key="conference_id")
    def sold(self, row: ConferenceSummary, event: SeatsSold, meta: Meta) -> None:
        """They were taken before."""
        row.version = meta.version

    @on(SeatsReleased, key="conference_id")
    def released(self, row: ConferenceSummary, event: SeatsReleased, meta: Meta) -> None:
        self._count(row, event.lines, taken=-1)
        row.version = meta.version

    @on(SeatsChanged, key="conference_id")
    def seats_changed(self, row: ConferenceSummary, event: SeatsChanged, meta: Meta) -> None:
        self._count(row, difference(event.before, event.lines), taken=+1)
        row.version = meta.version

    def _terms_changed(self, row: ConferenceSummary, meta: Meta) -> None:
        row.version = row.terms_version = meta.version
        self._recount(row)

    def _count(self, row: ConferenceSummary, lines: Iterable[Line | PricedLine], **signs: int) -> None:
        for line in lines:
            seat_type = row.seat_types[line.seat_type] = counted(row.seat_types[line.seat_type])
            for count, sign in signs.items():
                seat_type[count] += sign * line.quantity
        self._recount(row)

    def _recount(self, row: ConferenceSummary) -> None:
        """A pool has given out what the types that draw on it have; a type has no more seats than each of its pools."""
        for code, pool in row.pools.items():
            drawing = [each for each in row.seat_types.values() if code in each.get("pools", ())]
            pool.update({count: sum(each[count] for each in drawing) for count in COUNTS})
            pool["available"] = _left(pool)
        for code, seat_type in row.seat_types.items():
            each = row.seat_types[code] = counted(seat_type)
            each["available"] = min([_left(each), *(row.pools[pool]["available"] for pool in each["pools"])])


def _left(counts: dict[str, Any]) -> int:
    left: int = counts["capacity"] - sum(counts[count] for count in COUNTS)
    return left
