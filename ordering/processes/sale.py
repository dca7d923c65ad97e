"""The sale: from an order to seats that are paid for, or given back."""

from collections.abc import Iterator
from uuid import UUID

import msgspec
from django.conf import settings

from eventstore.events import Meta
from ordering.domain.conference import (
    Line,
    ReleaseSeats,
    ReserveSeats,
    SeatsRefused,
    SeatsReserved,
    SellSeats,
)
from ordering.domain.order import (
    ConfirmOrder,
    ExpireOrder,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderRefused,
    RefuseOrder,
)
from ordering.domain.payment import PaymentAccepted, RefundPayment, RequestPayment
from ordering.domain.values import Money, payment_id_of
from sagas.refusal import CommandRefused
from sagas.saga import Saga, on
from sagas.steps import At, Cancel, End, Send, Step

PAYMENT_TIMER = "payment-window"


class SaleState(msgspec.Struct):
    """What the sale of one order remembers."""

    order_id: UUID | None = None
    conference_id: UUID | None = None
    total: Money | None = None
    closed: bool = False
    paid: bool = False


class Sale(Saga[SaleState], name="sale"):
    """Reserve, ask for the money, confirm; when the order ends otherwise, give back seats and money."""

    state = SaleState

    @on(OrderPlaced, key="order_id", starts=True)
    def placed(self, state: SaleState, event: OrderPlaced, meta: Meta) -> Iterator[Step]:
        state.order_id, state.conference_id, state.total = event.order_id, event.conference_id, event.total
        lines = tuple(Line(line.seat_type, line.quantity) for line in event.lines)
        prices = {line.seat_type: line.unit_price for line in event.lines}
        yield Send(ReserveSeats(conference_id=event.conference_id, order_id=event.order_id, lines=lines, prices=prices))
        yield At(event.expires_at, ExpireOrder(order_id=event.order_id), name=PAYMENT_TIMER)

    @on(SeatsReserved, key="order_id")
    def reserved(self, state: SaleState, event: SeatsReserved, meta: Meta) -> Iterator[Step]:
        if state.closed:
            yield Send(ReleaseSeats(conference_id=event.conference_id, order_id=event.order_id))
            return
        yield Send(
            RequestPayment(
                payment_id=payment_id_of(event.order_id),
                order_id=event.order_id,
                amount=event.total,
                provider=settings.PAYMENT_PROVIDER,
            )
        )

    @on(SeatsRefused, key="order_id")
    def seats_refused(self, state: SaleState, event: SeatsRefused, meta: Meta) -> Iterator[Step]:
        yield Send(RefuseOrder(order_id=event.order_id, reason=event.reason))

    @on(PaymentAccepted, key="order_id")
    def accepted(self, state: SaleState, event: PaymentAccepted, meta: Meta) -> Iterator[Step]:
        state.paid = True
        if state.closed:
            yield self._refund(event.order_id, "The order had ended when the payment arrived.")
        elif event.amount != state.total:
            yield self._refund(event.order_id, "The payment was not what the order costs.")
        else:
            yield Send(ConfirmOrder(order_id=event.order_id))

    @on(OrderConfirmed, key="order_id")
    def confirmed(self, state: SaleState, event: OrderConfirmed, meta: Meta) -> Iterator[Step]:
        yield Cancel(PAYMENT_TIMER)
        if state.conference_id:
            yield Send(SellSeats(conference_id=state.conference_id, order_id=event.order_id))

    @on(OrderRefused, key="order_id")
    def refused(self, state: SaleState, event: OrderRefused, meta: Meta) -> Iterator[Step]:
        state.closed = True
        yield Cancel(PAYMENT_TIMER)
        yield End()

    @on(OrderExpired, key="order_id")
    def expired(self, state: SaleState, event: OrderExpired, meta: Meta) -> Iterator[Step]:
        state.closed = True
        yield Cancel(PAYMENT_TIMER)
        yield from self._give_seats_back(state)

    @on(OrderCancelled, key="order_id")
    def cancelled(self, state: SaleState, event: OrderCancelled, meta: Meta) -> Iterator[Step]:
        state.closed = True
        yield Cancel(PAYMENT_TIMER)
        yield from self._give_seats_back(state)
        if state.paid:
            yield self._refund(event.order_id, "The order was cancelled.")

    @on(CommandRefused, key="key")
    def command_refused(self, state: SaleState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """The order had ended just before its confirmation: the money goes back."""
        if event.command == ConfirmOrder.stored and state.order_id:
            yield self._refund(state.order_id, "The order had ended when the payment arrived.")

    def _give_seats_back(self, state: SaleState) -> Iterator[Step]:
        if state.conference_id and state.order_id:
            yield Send(ReleaseSeats(conference_id=state.conference_id, order_id=state.order_id))

    def _refund(self, order_id: UUID, reason: str) -> Step:
        return Send(RefundPayment(payment_id=payment_id_of(order_id), reason=reason))
