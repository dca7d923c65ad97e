"""Writes `UnmatchedMoney`, `Excess` and `FailedRefund`: what waits for a person."""

from decimal import Decimal
from uuid import UUID

from eventstore.events import Meta
from ordering.domain.finance import RefundFailed, RefundReduced, RefundRequested, RefundReversed, RefundSettled
from ordering.domain.order import PaymentCredited, RefundDebited, RefundRecredited
from ordering.domain.order_changes import QuantitiesChanged, QuantityChangeLapsed, QuantityChangeOwed
from ordering.domain.payment import PaymentAssigned, PaymentUnmatched
from ordering.models import Excess, FailedRefund, UnmatchedMoney
from projections.projection import ASYNC, DELETE, Outcome, Projection, on


def of_nobody(event: RefundSettled | RefundReversed, meta: Meta) -> tuple[UUID, ...]:
    return (event.payment_id,) if event.order_id is None else ()


def order_of(event: RefundRequested | RefundFailed, meta: Meta) -> tuple[UUID, ...]:
    return () if event.order_id is None else (event.order_id,)


class UnmatchedPayments(Projection[UnmatchedMoney], name="unmatched-payments", version=2, mode=ASYNC):
    model = UnmatchedMoney

    @on(PaymentUnmatched, key="payment_id")
    def unmatched(self, row: UnmatchedMoney, event: PaymentUnmatched, meta: Meta) -> None:
        row.provider, row.reference, row.received_at = event.provider, event.reference, meta.recorded_at
        row.amount, row.currency = event.amount.amount, event.amount.currency

    @on(PaymentAssigned, key="payment_id")
    def assigned(self, row: UnmatchedMoney, event: PaymentAssigned, meta: Meta) -> Outcome:
        return DELETE

    @on(RefundSettled, key=of_nobody)
    def returned(self, row: UnmatchedMoney, event: RefundSettled, meta: Meta) -> Outcome | None:
        row.amount -= event.amount.amount
        return None if row.amount > 0 else DELETE

    @on(RefundReversed, key=of_nobody)
    def came_back(self, row: UnmatchedMoney, event: RefundReversed, meta: Meta) -> None:
        row.provider, row.reference, row.currency = event.provider, event.reference, event.amount.currency
        row.amount += event.amount.amount
        row.received_at = meta.recorded_at


class ExcessOfOrders(Projection[Excess], name="excess", version=4, mode=ASYNC):
    """A row is there while something was paid above, or is under way; an ordinary order leaves none."""

    model = Excess

    @on(PaymentCredited, key="order_id")
    def credited(self, row: Excess, event: PaymentCredited, meta: Meta) -> Outcome | None:
        row.paid_above, row.currency, row.since = -event.due.amount, event.due.currency, meta.recorded_at
        return self._reckon(row)

    @on(RefundDebited, key="order_id")
    def debited(self, row: Excess, event: RefundDebited, meta: Meta) -> Outcome | None:
        row.under_way.pop(str(event.refund_id), None)
        row.paid_above, row.currency, row.since = -event.due.amount, event.due.currency, meta.recorded_at
        return self._reckon(row)

    @on(RefundRecredited, key="order_id")
    def recredited(self, row: Excess, event: RefundRecredited, meta: Meta) -> Outcome | None:
        row.paid_above, row.currency, row.since = -event.due.amount, event.due.currency, meta.recorded_at
        return self._reckon(row)

    @on(QuantitiesChanged, key="order_id")
    def quantities_changed(self, row: Excess, event: QuantitiesChanged, meta: Meta) -> Outcome | None:
        row.paid_above, row.currency, row.since = -event.due.amount, event.due.currency, meta.recorded_at
        return self._reckon(row)

    @on(QuantityChangeOwed, key="order_id")
    def change_owed(self, row: Excess, event: QuantityChangeOwed, meta: Meta) -> Outcome | None:
        row.paid_above, row.currency, row.since = -event.due.amount, event.due.currency, meta.recorded_at
        return self._reckon(row)

    @on(QuantityChangeLapsed, key="order_id")
    def change_lapsed(self, row: Excess, event: QuantityChangeLapsed, meta: Meta) -> Outcome | None:
        row.paid_above, row.currency, row.since = -event.due.amount, event.due.currency, meta.recorded_at
        return self._reckon(row)

    @on(RefundRequested, key=order_of)
    def requested(self, row: Excess, event: RefundRequested, meta: Meta) -> Outcome | None:
        row.under_way[str(event.refund_id)] = str(event.amount.amount)
        row.currency, row.since = event.amount.currency, meta.recorded_at
        return self._reckon(row)

    @on(RefundFailed, key=order_of)
    def failed(self, row: Excess, event: RefundFailed, meta: Meta) -> Outcome | None:
        row.under_way.pop(str(event.refund_id), None)
        row.currency, row.since = event.amount.currency, meta.recorded_at
        return self._reckon(row)

    def _reckon(self, row: Excess) -> Outcome | None:
        row.amount = max(row.paid_above - sum(map(Decimal, row.under_way.values())), Decimal(0))
        return None if row.paid_above > 0 or row.under_way else DELETE


class FailedRefunds(Projection[FailedRefund], name="failed-refunds", version=3, mode=ASYNC):
    model = FailedRefund

    @on(RefundFailed, key="refund_id")
    def failed(self, row: FailedRefund, event: RefundFailed, meta: Meta) -> None:
        self._list(row, event, meta)

    @on(RefundReversed, key="refund_id")
    def reversed(self, row: FailedRefund, event: RefundReversed, meta: Meta) -> None:
        self._list(row, event, meta)

    @on(RefundReduced, key="refund_id")
    def reduced(self, row: FailedRefund, event: RefundReduced, meta: Meta) -> Outcome | None:
        row.amount = event.amount.amount
        return None if row.amount > 0 else DELETE

    @on(RefundRequested, key="refund_id")
    def tried_again(self, row: FailedRefund, event: RefundRequested, meta: Meta) -> Outcome:
        return DELETE

    @on(RefundSettled, key="refund_id")
    def settled(self, row: FailedRefund, event: RefundSettled, meta: Meta) -> Outcome:
        return DELETE

    def _list(self, row: FailedRefund, event: RefundFailed | RefundReversed, meta: Meta) -> None:
        row.account_id, row.order_id, row.payment_id = event.account_id, event.order_id, event.payment_id
        row.provider, row.reference, row.reason = event.provider, event.reference, event.reason
        row.amount, row.currency, row.failed_at = event.amount.amount, event.amount.currency, meta.recorded_at
