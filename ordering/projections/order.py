"""Writes `OrderSummary`."""

import msgspec

from eventstore.events import Meta
from ordering.domain.order import (
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderRefused,
    OrderStatusMailRequested,
)
from ordering.domain.payment import PaymentAccepted, PaymentDeclined, PaymentRefunded, PaymentRequested
from ordering.models import OrderSummary
from projections.projection import SYNC, Projection, on

Status = OrderSummary.Status


class OrderSummaries(Projection[OrderSummary], name="order-summaries", version=2, mode=SYNC):
    model = OrderSummary

    @on(OrderPlaced, key="order_id")
    def placed(self, row: OrderSummary, event: OrderPlaced, meta: Meta) -> None:
        row.number, row.customer_id, row.conference_id = event.number, event.customer_id, event.conference_id
        row.lines = msgspec.to_builtins(event.lines)
        row.total, row.currency = event.total.amount, event.total.currency
        row.placed_at, row.expires_at = meta.recorded_at, event.expires_at
        row.status, row.version = Status.PLACED, meta.version

    @on(OrderRefused, key="order_id")
    def refused(self, row: OrderSummary, event: OrderRefused, meta: Meta) -> None:
        row.status, row.version = Status.REFUSED, meta.version

    @on(OrderConfirmed, key="order_id")
    def confirmed(self, row: OrderSummary, event: OrderConfirmed, meta: Meta) -> None:
        row.status, row.version = Status.CONFIRMED, meta.version

    @on(OrderExpired, key="order_id")
    def expired(self, row: OrderSummary, event: OrderExpired, meta: Meta) -> None:
        row.status, row.version = Status.EXPIRED, meta.version

    @on(OrderCancelled, key="order_id")
    def cancelled(self, row: OrderSummary, event: OrderCancelled, meta: Meta) -> None:
        row.status, row.version = Status.CANCELLED, meta.version

    @on(OrderStatusMailRequested, key="order_id")
    def status_mail_requested(self, row: OrderSummary, event: OrderStatusMailRequested, meta: Meta) -> None:
        row.version = meta.version

    @on(PaymentRequested, key="order_id")
    def payment_requested(self, row: OrderSummary, event: PaymentRequested, meta: Meta) -> None:
        row.payment_id, row.payment_status, row.payment_amount = event.payment_id, "requested", event.amount.amount
        if row.status == Status.PLACED:
            row.status = Status.AWAITING_PAYMENT

    @on(PaymentAccepted, key="order_id")
    def payment_accepted(self, row: OrderSummary, event: PaymentAccepted, meta: Meta) -> None:
        row.payment_status, row.payment_amount = "accepted", event.amount.amount

    @on(PaymentDeclined, key="order_id")
    def payment_declined(self, row: OrderSummary, event: PaymentDeclined, meta: Meta) -> None:
        row.payment_status = "declined"

    @on(PaymentRefunded, key="order_id")
    def payment_refunded(self, row: OrderSummary, event: PaymentRefunded, meta: Meta) -> None:
        row.payment_status = "refunded"
        if row.status == Status.CANCELLED:
            row.status = Status.REFUNDED
