"""Every subscriber that is registered keeps what the machinery relies on."""

from datetime import date
from uuid import UUID

import pytest
from django.db import connections

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.events import catalogue
from eventstore.models import Incident, StoredEvent
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from eventstore.testing import NOON, reset
from eventstore.testing.subscribers import CHECKS, given, rows
from ordering import conf
from ordering.domain.conference_changes import CancelConference
from ordering.domain.customer import ChangeCustomer, ConfirmEmail, Customer, RecordPasswordChange, RequestEmailLink
from ordering.domain.finance import FailRefund, RefundRequested, ReportRefund, SettleRefund
from ordering.domain.order import CancelOrder, ExpireOrder, Order, OrderConfirmed, RequestReminder, RequestStatusMail
from ordering.domain.order_changes import ChangeQuantities, QuantityChangeRefused
from ordering.domain.password_reset import RequestPasswordReset
from ordering.domain.payment import KeepUnmatched, unmatched_payment_id
from ordering.domain.seats import Line, PricedLine, SeatsReserved
from ordering.password_reset import hash_of
from sagas.models import Delivery, Instance, OutboxCommand, Timer, Transition, WebhookDelivery, WebhookEndpoint
from sagas.testing import bring_to_rest, let_pass
from sagas.webhooks.subscriber import webhooks
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
    if subscriber.rank is Rank.WATCH:
        return lambda: rows(Incident.objects.all(), leave_out={"id", "began_at", "seen_at", "raised_at"})
    if subscriber is webhooks:
        return lambda: rows(WebhookDelivery.objects.all(), leave_out={*OF_THE_RUN, "due_at"})
    return lambda: rows(Delivery.objects.all(), leave_out={*OF_THE_RUN, "due_at"})


@pytest.fixture(scope="module")
def happened(django_db_setup, django_db_blocker):
    """Events among which everybody finds something."""
    with django_db_blocker.unblock():
        reset()
        sell()
        found = store.read(0, store.head(), [event.stored for event in catalogue], 1000)
        connections.close_all()
    return [(each.stream_id, each.category, each.event) for each in found]


def sell():
    conference, ada = shop.conference_on_sale(), shop.customer()
    dispatch(ChangeCustomer(customer_id=ada, name="Ada King", birth_date=date(1815, 12, 10)))
    dispatch(RequestPasswordReset(reset_id=new_id(), mailbox=hash_of(repository.get(Customer, ada).email)))
    dispatch(RecordPasswordChange(customer_id=ada))
    dispatch(ChangeCustomer(customer_id=ada, email=f"king-{ada.hex}@example.org"))
    dispatch(RequestEmailLink(customer_id=ada))
    dispatch(ConfirmEmail(customer_id=ada, email=f"king-{ada.hex}@example.org"))
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
    dispatch(ChangeQuantities(order_id=order, lines=(Line("standard", 3),)))
    owed = repository.get(Order, order)
    assert owed.owed
    dispatch(ExpireOrder(order_id=order, deadline=owed.expires_at))
    dispatch(ChangeQuantities(order_id=order, lines=(Line("standard", 1),)))
    dispatch(CancelOrder(order_id=order))
    refund = store.read(0, store.head(), [RefundRequested.stored], 10)[-1]
    assert isinstance(refund.event, RefundRequested)
    dispatch(SettleRefund(account_id=refund.stream_id, refund_id=refund.event.refund_id))
    dispatch(
        ReportRefund(
            account_id=refund.stream_id,
            provider=refund.event.provider,
            reference=refund.event.reference,
            refund_id=refund.event.refund_id,
            attempt=refund.event.attempt,
            refund_reference="",
            amount=refund.event.amount,
            settled=False,
            reason="no such account",
        )
    )
    unknown = unmatched_payment_id("bank", "R")
    dispatch(KeepUnmatched(payment_id=unknown, provider="bank", reference="R", amount=shop.PRICE))
    cancelled = shop.conference_on_sale()
    shop.order(ada, cancelled)
    dispatch(CancelConference(conference_id=cancelled, reason="no hall"))
    offer_seats_to_who_waits()
    break_what_must_hold(order, cancelled)


@pytest.fixture
def history(happened, clean):
    """A log of these, and nobody has been fed."""
    for stream_id, category, event in happened:
        given(stream_id, event, category=category)
    assert StoredEvent.objects.count() == len(happened)
    WebhookEndpoint.objects.create(url="https://hooks.example/", owner="ops@example.org", secret=b"", begins_after=0)


def offer_seats_to_who_waits():
    full = shop.conference_on_sale(capacity=1)
    first = shop.order(shop.customer(), full)
    shop.order(shop.customer(), full)
    bring_to_rest(deliver=False)
    dispatch(CancelOrder(order_id=first))
    bring_to_rest(deliver=False)
    let_pass(conf.offered_for())
    bring_to_rest(deliver=False)
    shop.order(shop.customer(), full, seats=2)
    bring_to_rest(deliver=False)
    dispatch(CancelConference(conference_id=full, reason="no hall"))
    bring_to_rest(deliver=False)


def break_what_must_hold(order, conference):
    """As no aggregate does, so that who watches finds something."""
    lines = (PricedLine("standard", 1000, shop.PRICE),)
    nobody = {"conference_id": conference, "order_id": UUID(int=1)}
    given(conference, SeatsReserved(**nobody, lines=lines, total=shop.PRICE), category="conference")
    given(order, *[OrderConfirmed(order_id=order)] * 2, category="order")
    refused = QuantityChangeRefused(order_id=order, change=9, reason="sold-out", expires_at=NOON)
    given(order, refused, category="order")


def used_by(subscriber):
    """All that it stands on, the lowest first."""
    for name in subscriber.uses:
        yield from used_by(SUBSCRIBERS[name])
        yield SUBSCRIBERS[name]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SUBSCRIBERS)
def test_a_subscriber_keeps(name, check):
    registry.make_rows()
    for used in used_by(SUBSCRIBERS[name]):
        feeding.catch_up([used])
    check(SUBSCRIBERS[name], made_by(SUBSCRIBERS[name]))
