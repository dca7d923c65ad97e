"""Every subscriber that is registered keeps what the machinery relies on."""

import pytest

from eventstore import store
from eventstore.commands import dispatch
from eventstore.events import catalogue
from eventstore.models import StoredEvent
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from eventstore.testing import reset
from eventstore.testing.subscribers import CHECKS, given, rows
from ordering.domain.conference_changes import CancelConference
from ordering.domain.customer import ChangeCustomer
from ordering.domain.finance import FailRefund, RefundRequested, SettleRefund
from ordering.domain.order import CancelOrder, ExpireOrder, RequestReminder, RequestStatusMail
from ordering.domain.payment import KeepUnmatched, unmatched_payment_id
from sagas.models import Delivery, Instance, OutboxCommand, Timer, Transition
from tests.integration import shop

OF_THE_RUN = {"id", "started_at", "created_at", "moved_at"}
SUBSCRIBERS = {subscriber.name: subscriber for subscriber in registry}


def made_by(subscriber):
    """How to tell what it makes."""
    if subscriber.rank is Rank.PROJECTION:
        return lambda: rows(subscriber.model.objects.all())
    if subscriber.rank is Rank.SAGA:
        return lambda: [
            *rows(Instance.objects.all(), Timer.objects.filter(status="waiting"), leave_out=OF_THE_RUN),
            *rows(OutboxCommand.objects.all(), leave_out={*OF_THE_RUN, "due_at"}),
            *rows(Transition.objects.all(), leave_out={*OF_THE_RUN, "at"}),
        ]
    return lambda: rows(Delivery.objects.all(), leave_out={*OF_THE_RUN, "due_at"})


@pytest.fixture
def history(clean):
    """A log in which everybody finds something, and nobody has been fed."""
    conference, ada = shop.conference_on_sale(), shop.customer()
    dispatch(ChangeCustomer(customer_id=ada, name="Ada King"))
    for _ in range(2):
        order = shop.order(ada, conference, seats=2)
    shop.pay(order, seats=1)
    shop.pay(order, seats=2, reference="THE REST, AND MORE")
    dispatch(RequestStatusMail(order_id=order))
    unpaid = shop.order(ada, conference)
    dispatch(RequestReminder(order_id=unpaid))
    dispatch(ExpireOrder(order_id=unpaid))
    shop.order(ada, shop.conference_on_sale(capacity=1), seats=2)
    (refund,) = store.read(0, store.head(), [RefundRequested.stored], 10)
    assert isinstance(refund.event, RefundRequested)
    dispatch(FailRefund(account_id=refund.stream_id, refund_id=refund.event.refund_id, reason="no"))
    dispatch(CancelOrder(order_id=order))
    refund = store.read(0, store.head(), [RefundRequested.stored], 10)[-1]
    assert isinstance(refund.event, RefundRequested)
    dispatch(SettleRefund(account_id=refund.stream_id, refund_id=refund.event.refund_id))
    unknown = unmatched_payment_id("bank", "R")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="R", amount=shop.PRICE))
    cancelled = shop.conference_on_sale()
    shop.order(ada, cancelled)
    dispatch(CancelConference(conference_id=cancelled, reason="no hall"))
    happened = [
        (each.stream_id, each.category, each.event)
        for each in store.read(0, store.head(), [event.stored for event in catalogue], 1000)
    ]
    reset()
    for stream_id, category, event in happened:
        given(stream_id, event, category=category)
    assert StoredEvent.objects.count() == len(happened)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SUBSCRIBERS)
def test_a_subscriber_keeps(name, check):
    registry.make_rows()
    feeding.catch_up([registry[used] for used in SUBSCRIBERS[name].uses])
    check(SUBSCRIBERS[name], made_by(SUBSCRIBERS[name]))
