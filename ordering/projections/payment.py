"""Writes `DailySales` and `ConferenceSales`: what finance has booked as received, and what has gone back.

Before finance kept books the payments themselves told of money. An acceptance of that time names no provider; it counts
where it stands, and not once more where finance has brought it forward since.
"""

from typing import Any
from uuid import UUID

from eventstore.events import Meta
from ordering.domain.finance import PaymentMovedIn, PaymentReceived, RefundReversed, RefundSettled
from ordering.domain.payment import PaymentAccepted, PaymentRefunded
from ordering.models import ConferenceSales, DailySales, OrderSummary
from projections.errors import RowMissing
from projections.projection import ASYNC, Projection, on


def day_of(event: Any, meta: Meta) -> tuple[str]:
    return (f"{meta.recorded_at.date()} {event.amount.currency}",)


def day_before_finance(event: PaymentAccepted, meta: Meta) -> tuple[str, ...]:
    return () if event.provider else day_of(event, meta)


def day_received(event: PaymentReceived, meta: Meta) -> tuple[str, ...]:
    return () if event.brought_forward else day_of(event, meta)


def payment_before_finance(event: PaymentAccepted, meta: Meta) -> tuple[UUID, ...]:
    return () if event.provider else (event.payment_id,)


def payment_received(event: PaymentReceived, meta: Meta) -> tuple[UUID, ...]:
    return () if event.brought_forward or event.order_id is None else (event.payment_id,)


def payment_returned(event: RefundSettled | RefundReversed, meta: Meta) -> tuple[UUID, ...]:
    return () if event.order_id is None else (event.payment_id,)


class SalesByDay(Projection[DailySales], name="sales-by-day", version=3, mode=ASYNC):
    model = DailySales

    @on(PaymentAccepted, key=day_before_finance)
    def accepted(self, row: DailySales, event: PaymentAccepted, meta: Meta) -> None:
        self._receive(row, event, meta)

    @on(PaymentReceived, key=day_received)
    def received(self, row: DailySales, event: PaymentReceived, meta: Meta) -> None:
        self._receive(row, event, meta)

    @on(PaymentRefunded, key=day_of)
    def refunded(self, row: DailySales, event: PaymentRefunded, meta: Meta) -> None:
        self._return(row, event, meta)

    @on(RefundSettled, key=day_of)
    def settled(self, row: DailySales, event: RefundSettled, meta: Meta) -> None:
        self._return(row, event, meta)

    @on(RefundReversed, key=day_of)
    def reversed(self, row: DailySales, event: RefundReversed, meta: Meta) -> None:
        """What went back on another day counts less on this one."""
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.refunds -= 1
        row.refunded -= event.amount.amount

    def _receive(self, row: DailySales, event: PaymentAccepted | PaymentReceived, meta: Meta) -> None:
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.payments += 1
        row.received += event.amount.amount

    def _return(self, row: DailySales, event: PaymentRefunded | RefundSettled, meta: Meta) -> None:
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.refunds += 1
        row.refunded += event.amount.amount


class SalesByConference(
    Projection[ConferenceSales], name="sales-by-conference", version=4, mode=ASYNC, uses=["order-summaries"]
):
    """A payment counts in the order's currency; what came in another one has no part in what a conference sells."""

    model = ConferenceSales

    @on(PaymentAccepted, key=payment_before_finance, look_up=(OrderSummary, "order_id"))
    def accepted(self, row: ConferenceSales, event: PaymentAccepted, meta: Meta, order: OrderSummary | None) -> None:
        self._receive(row, event, meta, order)

    @on(PaymentReceived, key=payment_received, look_up=(OrderSummary, "order_id"))
    def received(self, row: ConferenceSales, event: PaymentReceived, meta: Meta, order: OrderSummary | None) -> None:
        self._receive(row, event, meta, order)

    @on(PaymentMovedIn, key="payment_id", look_up=(OrderSummary, "order_id"))
    def moved_in(self, row: ConferenceSales, event: PaymentMovedIn, meta: Meta, order: OrderSummary | None) -> None:
        self._receive(row, event, meta, order)

    @on(PaymentRefunded, key="payment_id")
    def refunded(self, row: ConferenceSales, event: PaymentRefunded, meta: Meta) -> None:
        self._return(row, event, meta)

    @on(RefundSettled, key=payment_returned)
    def settled(self, row: ConferenceSales, event: RefundSettled, meta: Meta) -> None:
        self._return(row, event, meta)

    @on(RefundReversed, key=payment_returned)
    def reversed(self, row: ConferenceSales, event: RefundReversed, meta: Meta) -> None:
        if event.amount.currency == row.currency:
            row.refunded -= event.amount.amount
            row.refunds -= 1
            row.refunded_at = row.refunded_at if row.refunds else None

    def _receive(
        self,
        row: ConferenceSales,
        event: PaymentAccepted | PaymentReceived | PaymentMovedIn,
        meta: Meta,
        order: OrderSummary | None,
    ) -> None:
        if order is None:
            raise RowMissing
        row.order_id, row.conference_id, row.currency = order.order_id, order.conference_id, order.currency
        row.received_at = meta.recorded_at
        row.receipts.append([event.provider, event.reference])
        if event.amount.currency == row.currency:
            row.received += event.amount.amount
            row.count += 1

    def _return(self, row: ConferenceSales, event: PaymentRefunded | RefundSettled, meta: Meta) -> None:
        if event.amount.currency == row.currency:
            row.refunded += event.amount.amount
            row.refunds += 1
            row.refunded_at = meta.recorded_at
