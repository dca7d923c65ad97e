"""Cancellation: when a conference is cancelled so are its orders, some at a time, and their money goes back."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from eventstore.events import Meta
from ordering import conf
from ordering.domain.conference_changes import CallOffOrders, ConferenceCancelled, OrdersCalledOff
from ordering.domain.order import CancelOrder
from sagas.refusal import CommandRefused
from sagas.saga import Saga, on, on_refusal
from sagas.steps import After, Send, Step

MOST = 50
"""Orders that are called off at once."""

TIMER = "next-orders"
REASON = "The conference is cancelled."


class CancellationState(msgspec.Struct):
    """Which orders are called off is known to the conference."""


class Cancellation(Saga[CancellationState], name="conference-cancellation"):
    """One instance a conference."""

    state = CancellationState

    @on(ConferenceCancelled, key="conference_id", starts=True)
    def cancelled(self, state: CancellationState, event: ConferenceCancelled, meta: Meta) -> Iterator[Step]:
        yield Send(CallOffOrders(conference_id=event.conference_id, most=MOST))

    @on(OrdersCalledOff, key="conference_id")
    def called_off(self, state: CancellationState, event: OrdersCalledOff, meta: Meta) -> Iterator[Step]:
        for order_id in event.order_ids:
            yield Send(CancelOrder(order_id=order_id, reason=REASON))
        if event.left:
            pause = timedelta(minutes=len(event.order_ids) / conf.CANCELLATION_RATE.get())
            next_orders = CallOffOrders(conference_id=event.conference_id, most=MOST)
            yield After(pause, next_orders, name=TIMER)

    @on_refusal(CancelOrder)
    def not_cancelled(self, state: CancellationState, event: CommandRefused, meta: Meta) -> None:
        """It has ended by itself, and has no seats and no money any more."""
