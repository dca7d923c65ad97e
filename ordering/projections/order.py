"""Writes `OrderSummary`."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from eventstore.events import Meta
from ordering.domain.finance import (
    PaymentMovedIn,
    PaymentReceived,
    RefundFailed,
    RefundReduced,
    RefundRequested,
    RefundReversed,
    RefundSettled,
)
from ordering.domain.order import (
    DeadlineMoved,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderExtended,
    OrderPlaced,
    OrderRefused,
    OrderReopened,
    OrderStatusMailRequested,
    OrderTakenUp,
    OrderUnderpaid,
    PaymentCredited,
    ProviderChosen,
    RefundDebited,
    RefundRecredited,
)
from ordering.domain.order_changes import (
    QuantitiesChanged,
    QuantityChangeLapsed,
    QuantityChangeOwed,
    QuantityChangeRefused,
    QuantityChangeRequested,
)
from ordering.domain.payment import (
    PaymentAccepted,
    PaymentDeclined,
    PaymentPending,
    PaymentRefunded,
    PaymentRequested,
)
from ordering.domain.values import Money
from ordering.models import OrderSummary
from projections.projection import SYNC, Projection, on

Status = OrderSummary.Status

OPEN = {Status.PLACED, Status.AWAITING_PAYMENT}

OfRefund = RefundRequested | RefundSettled | RefundFailed | RefundReversed | RefundReduced


def order_of(event: PaymentReceived | OfRefund, meta: Meta) -> tuple[UUID, ...]:
    """None, where nobody knows it."""
    return () if event.order_id is None else (event.order_id,)


class OrderSummaries(Projection[OrderSummary], name="order-summaries", version=7, mode=SYNC):
    """Money counts as finance books it; what came in before finance kept books, as the payment told it.

    A payment that was paid twice is there twice, under two references.
    """

    model = OrderSummary

    @on(OrderPlaced, key="order_id")
    def placed(self, row: OrderSummary, event: OrderPlaced, meta: Meta) -> None:
        row.number, row.customer_id, row.conference_id = event.number, event.customer_id, event.conference_id
        row.lines = msgspec.to_builtins(event.lines)
        row.total, row.currency = event.total.amount, event.total.currency
        row.placed_at, row.expires_at = meta.recorded_at, event.expires_at
        row.provider = event.provider
        row.status, row.version = Status.PLACED, meta.version
        self._reckon(row)

    @on(OrderRefused, key="order_id")
    def refused(self, row: OrderSummary, event: OrderRefused, meta: Meta) -> None:
        row.status, row.version = Status.REFUSED, meta.version
        self._reckon(row)

    @on(OrderConfirmed, key="order_id")
    def confirmed(self, row: OrderSummary, event: OrderConfirmed, meta: Meta) -> None:
        row.status, row.version = Status.CONFIRMED, meta.version
        self._reckon(row)

    @on(OrderExpired, key="order_id")
    def expired(self, row: OrderSummary, event: OrderExpired, meta: Meta) -> None:
        row.status, row.version = Status.EXPIRED, meta.version
        self._reckon(row)

    @on(OrderExtended, key="order_id")
    def extended(self, row: OrderSummary, event: OrderExtended, meta: Meta) -> None:
        row.expires_at, row.version = event.expires_at, meta.version

    @on(DeadlineMoved, key="order_id")
    def deadline_moved(self, row: OrderSummary, event: DeadlineMoved, meta: Meta) -> None:
        row.expires_at, row.version = event.expires_at, meta.version

    @on(ProviderChosen, key="order_id")
    def provider_chosen(self, row: OrderSummary, event: ProviderChosen, meta: Meta) -> None:
        row.provider, row.version = event.provider, meta.version

    @on(OrderReopened, key="order_id")
    def reopened(self, row: OrderSummary, event: OrderReopened, meta: Meta) -> None:
        row.expires_at, row.version = event.expires_at, meta.version
        row.status, row.fee = Status.PLACED, Decimal(0)
        self._reckon(row)

    @on(OrderCancelled, key="order_id")
    def cancelled(self, row: OrderSummary, event: OrderCancelled, meta: Meta) -> None:
        row.status, row.version = Status.CANCELLED, meta.version
        row.fee, row.change = event.fee.amount if event.fee else Decimal(0), None
        self._reckon(row)

    @on(QuantityChangeRequested, key="order_id")
    def change_requested(self, row: OrderSummary, event: QuantityChangeRequested, meta: Meta) -> None:
        row.version = meta.version

    @on(QuantitiesChanged, key="order_id")
    def quantities_changed(self, row: OrderSummary, event: QuantitiesChanged, meta: Meta) -> None:
        row.lines, row.total = msgspec.to_builtins(event.lines), event.total.amount
        row.change, row.version = None, meta.version
        self._reckon(row)

    @on(QuantityChangeOwed, key="order_id")
    def change_owed(self, row: OrderSummary, event: QuantityChangeOwed, meta: Meta) -> None:
        row.change = {
            "lines": msgspec.to_builtins(event.lines),
            "total": str(event.total.amount),
            "needs": str(event.needs.amount),
        }
        row.expires_at, row.version = event.expires_at, meta.version
        self._reckon(row)

    @on(QuantityChangeLapsed, key="order_id")
    def change_lapsed(self, row: OrderSummary, event: QuantityChangeLapsed, meta: Meta) -> None:
        row.change, row.version = None, meta.version
        self._reckon(row)

    @on(QuantityChangeRefused, key="order_id")
    def change_refused(self, row: OrderSummary, event: QuantityChangeRefused, meta: Meta) -> None:
        row.version = meta.version

    @on(OrderTakenUp, key="order_id")
    def taken_up(self, row: OrderSummary, event: OrderTakenUp, meta: Meta) -> None:
        row.version = meta.version

    @on(PaymentCredited, key="order_id")
    def credited(self, row: OrderSummary, event: PaymentCredited, meta: Meta) -> None:
        row.version = meta.version

    @on(OrderUnderpaid, key="order_id")
    def underpaid(self, row: OrderSummary, event: OrderUnderpaid, meta: Meta) -> None:
        row.version = meta.version

    @on(RefundDebited, key="order_id")
    def debited(self, row: OrderSummary, event: RefundDebited, meta: Meta) -> None:
        row.version = meta.version

    @on(RefundRecredited, key="order_id")
    def recredited(self, row: OrderSummary, event: RefundRecredited, meta: Meta) -> None:
        row.version = meta.version

    @on(OrderStatusMailRequested, key="order_id")
    def status_mail_requested(self, row: OrderSummary, event: OrderStatusMailRequested, meta: Meta) -> None:
        row.version = meta.version

    @on(PaymentRequested, key="order_id")
    def payment_requested(self, row: OrderSummary, event: PaymentRequested, meta: Meta) -> None:
        row.payments.append(_payment(event.payment_id, "requested", event.amount))
        if row.status == Status.PLACED:
            row.status = Status.AWAITING_PAYMENT
        self._newest(row)

    @on(PaymentPending, key="order_id")
    def payment_pending(self, row: OrderSummary, event: PaymentPending, meta: Meta) -> None:
        for payment in _unpaid(row, event.payment_id):
            payment["status"] = "pending"
        self._newest(row)

    @on(PaymentDeclined, key="order_id")
    def payment_declined(self, row: OrderSummary, event: PaymentDeclined, meta: Meta) -> None:
        for payment in _unpaid(row, event.payment_id):
            payment["status"] = "declined"
        self._newest(row)

    @on(PaymentAccepted, key="order_id")
    def payment_accepted(self, row: OrderSummary, event: PaymentAccepted, meta: Meta) -> None:
        paid = _paid(event, meta)
        for payment in _unpaid(row, event.payment_id):
            payment.update(paid)
            break
        else:
            row.payments.append(paid)
        self._newest(row)
        if not event.provider:
            self._receive(row, event.amount)

    @on(PaymentRefunded, key="order_id")
    def payment_refunded(self, row: OrderSummary, event: PaymentRefunded, meta: Meta) -> None:
        for payment in row.payments:
            if payment["id"] == str(event.payment_id) and payment["reference"]:
                refund = {"id": str(event.payment_id), "amount": str(event.amount.amount), "status": "settled"}
                payment.update(status="refunded", refunds=[refund])
        self._return(row, event.amount)

    @on(PaymentReceived, key=order_of)
    def received(self, row: OrderSummary, event: PaymentReceived, meta: Meta) -> None:
        if not event.brought_forward:
            self._receive(row, event.amount)

    @on(PaymentMovedIn, key="order_id")
    def moved_in(self, row: OrderSummary, event: PaymentMovedIn, meta: Meta) -> None:
        row.payments.append(_paid(event, meta))
        self._newest(row)
        self._receive(row, event.amount)

    @on(RefundRequested, key=order_of)
    def refund_requested(self, row: OrderSummary, event: RefundRequested, meta: Meta) -> None:
        self._refund(row, event, "requested")
        self._reckon(row)

    @on(RefundFailed, key=order_of)
    def refund_failed(self, row: OrderSummary, event: RefundFailed, meta: Meta) -> None:
        self._refund(row, event, "failed")
        self._reckon(row)

    @on(RefundSettled, key=order_of)
    def refund_settled(self, row: OrderSummary, event: RefundSettled, meta: Meta) -> None:
        self._refund(row, event, "settled")
        self._return(row, event.amount)

    @on(RefundReversed, key=order_of)
    def refund_reversed(self, row: OrderSummary, event: RefundReversed, meta: Meta) -> None:
        self._refund(row, event, "failed")
        if event.amount.currency == row.currency:
            row.returned -= event.amount.amount
        if row.status == Status.REFUNDED and row.returned < row.received - row.fee:
            row.status = Status.CANCELLED
        self._reckon(row)

    @on(RefundReduced, key=order_of)
    def refund_reduced(self, row: OrderSummary, event: RefundReduced, meta: Meta) -> None:
        """What is closed is still known by what it was of."""
        for refund in (each for payment in row.payments for each in payment["refunds"]):
            if refund["id"] == str(event.refund_id):
                still = {"amount": str(event.amount.amount)}
                refund.update(still if event.amount.amount else {"status": "closed"})

    def _receive(self, row: OrderSummary, amount: Money) -> None:
        if amount.currency == row.currency:
            row.received += amount.amount
        self._reckon(row)

    def _return(self, row: OrderSummary, amount: Money) -> None:
        if amount.currency == row.currency:
            row.returned += amount.amount
        if row.status == Status.CANCELLED and row.returned >= row.received - row.fee:
            row.status = Status.REFUNDED
        self._newest(row)
        self._reckon(row)

    def _reckon(self, row: OrderSummary) -> None:
        """Only who is still waited for owes anything: for the order, or for a change of it. What is on its way back
        pays for nothing.
        """
        owed = Decimal(0)
        if row.change:
            owed = Decimal(row.change["needs"]) - row.received
        elif row.status in OPEN:
            owed = row.total - row.received + row.returned + _under_way(row)
        row.due = max(owed, Decimal(0))

    def _refund(self, row: OrderSummary, event: OfRefund, status: str) -> None:
        refund = {"id": str(event.refund_id), "amount": str(event.amount.amount), "status": status}
        for payment in row.payments:
            if (payment["id"], payment["reference"]) == (str(event.payment_id), event.reference):
                others = [each for each in payment["refunds"] if each["id"] != refund["id"]]
                payment["refunds"] = [*others, refund]
                all_of_it = _returned(payment) >= Decimal(payment["amount"])
                payment["status"] = "refunded" if all_of_it else "accepted"
        self._newest(row)

    def _newest(self, row: OrderSummary) -> None:
        if row.payments:
            newest = row.payments[-1]
            row.payment_id, row.payment_status = UUID(newest["id"]), newest["status"]
            row.payment_amount = Decimal(newest["amount"])


def _payment(payment_id: UUID, status: str, amount: Money) -> dict[str, Any]:
    return {
        "id": str(payment_id),
        "reference": "",
        "status": status,
        "amount": str(amount.amount),
        "currency": amount.currency,
        "received_at": None,
        "refunds": [],
    }


def _paid(event: PaymentAccepted | PaymentMovedIn, meta: Meta) -> dict[str, Any]:
    received_at = msgspec.to_builtins(meta.recorded_at)
    payment = _payment(event.payment_id, "accepted", event.amount)
    return {**payment, "reference": event.reference, "received_at": received_at}


def _unpaid(row: OrderSummary, payment_id: UUID) -> Iterator[dict[str, Any]]:
    return (each for each in row.payments if each["id"] == str(payment_id) and not each["reference"])


def _under_way(row: OrderSummary) -> Decimal:
    refunds = (each for payment in row.payments if payment["currency"] == row.currency for each in payment["refunds"])
    return sum((Decimal(each["amount"]) for each in refunds if each["status"] == "requested"), Decimal(0))


def _returned(payment: dict[str, Any]) -> Decimal:
    settled = (Decimal(each["amount"]) for each in payment["refunds"] if each["status"] == "settled")
    return sum(settled, Decimal(0))
