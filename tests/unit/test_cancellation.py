"""A conference is cancelled, and its orders after it."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings

from eventstore.context import new_id
from ordering.domain.conference_changes import CallOffOrders, ConferenceCancelled, OrdersCalledOff
from ordering.domain.order import CancelOrder
from ordering.processes.cancellation import MOST, REASON, TIMER, Cancellation
from sagas.steps import After, Send
from sagas.testing import tell

from .samples import CONFERENCE

CALL_OFF = CallOffOrders(conference_id=CONFERENCE, most=MOST)


def called_off(*order_ids: UUID, left: int = 0) -> OrdersCalledOff:
    return OrdersCalledOff(conference_id=CONFERENCE, order_ids=order_ids, left=left)


CANCELLED = ConferenceCancelled(conference_id=CONFERENCE, reason="The hall has burnt down.")


def test_a_conference_that_is_cancelled_calls_its_orders_off() -> None:
    assert tell(Cancellation, CANCELLED).last == [Send(CALL_OFF)]


def test_each_order_that_is_called_off_is_cancelled() -> None:
    orders = new_id(), new_id()
    assert tell(Cancellation, CANCELLED, called_off(*orders)).last == [
        Send(CancelOrder(order_id=order, reason=REASON)) for order in orders
    ]


def test_the_next_ones_are_called_off_no_faster_than_the_rate_allows() -> None:
    orders = [new_id() for _ in range(MOST)]
    *_, next_ones = tell(Cancellation, CANCELLED, called_off(*orders, left=1)).last
    pause = timedelta(minutes=MOST / settings.CANCELLED_ORDERS_PER_MINUTE)
    assert next_ones == After(pause, CALL_OFF, name=TIMER)
