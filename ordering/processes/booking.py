"""Booking: what a provider reports is booked by finance, and what it says to a refund settles it, or doesn't."""

from collections.abc import Iterator

import msgspec

from eventstore.events import Meta
from ordering.domain.finance import (
    BookPayment,
    FailRefund,
    MovePaymentIn,
    MovePaymentOut,
    PaymentMovedOut,
    RefundAnswered,
    SettleRefund,
    account_id_of,
)
from ordering.domain.payment import PaymentAccepted, PaymentAssigned, PaymentUnmatched
from ordering.providers.provider import RefundOutcome
from sagas.saga import Saga, on
from sagas.steps import Send, Step


class BookingState(msgspec.Struct):
    """Everything is said by the events."""


class Booking(Saga[BookingState], name="booking"):
    """One instance a payment. What came in before finance kept books names no provider and is not booked here: the sale
    brings it forward where it matters.
    """

    state = BookingState

    @on(PaymentAccepted, key="payment_id", starts=True)
    def accepted(self, state: BookingState, event: PaymentAccepted, meta: Meta) -> Iterator[Step]:
        if event.provider:
            yield Send(
                BookPayment(
                    account_id=account_id_of(event.order_id),
                    order_id=event.order_id,
                    payment_id=event.payment_id,
                    provider=event.provider,
                    reference=event.reference,
                    amount=event.amount,
                )
            )

    @on(PaymentUnmatched, key="payment_id", starts=True)
    def unmatched(self, state: BookingState, event: PaymentUnmatched, meta: Meta) -> Iterator[Step]:
        yield Send(
            BookPayment(
                account_id=account_id_of(event.payment_id),
                order_id=None,
                payment_id=event.payment_id,
                provider=event.provider,
                reference=event.reference,
                amount=event.amount,
            )
        )

    @on(PaymentAssigned, key="payment_id")
    def assigned(self, state: BookingState, event: PaymentAssigned, meta: Meta) -> Iterator[Step]:
        yield Send(MovePaymentOut(account_id=account_id_of(event.payment_id), to_order_id=event.order_id))

    @on(PaymentMovedOut, key="payment_id")
    def moved_out(self, state: BookingState, event: PaymentMovedOut, meta: Meta) -> Iterator[Step]:
        yield Send(
            MovePaymentIn(
                account_id=account_id_of(event.to_order_id),
                order_id=event.to_order_id,
                payment_id=event.payment_id,
                provider=event.provider,
                reference=event.reference,
                amount=event.amount,
            )
        )

    @on(RefundAnswered, key="payment_id", starts=True)
    def refund_answered(self, state: BookingState, event: RefundAnswered, meta: Meta) -> Iterator[Step]:
        match event.outcome:
            case RefundOutcome.SETTLED:
                yield Send(
                    SettleRefund(
                        account_id=event.account_id,
                        refund_id=event.refund_id,
                        refund_reference=event.refund_reference,
                        attempt=event.attempt,
                    )
                )
            case RefundOutcome.FAILED:
                yield Send(
                    FailRefund(
                        account_id=event.account_id,
                        refund_id=event.refund_id,
                        reason=event.reason,
                        attempt=event.attempt,
                    )
                )
