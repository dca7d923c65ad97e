"""The whole sale through the command path."""

from datetime import timedelta

import pytest

from eventstore.commands import dispatch
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.testing import only_handlers
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.models import ConferenceSummary, OrderSummary
from sagas.models import Delivery, OutboxCommand, Timer
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")


def status_of(order_id):
    return OrderSummary.objects.get(pk=order_id).status


def available(conference_id):
    return ConferenceSummary.objects.get(pk=conference_id).seat_types["standard"]["available"]


def test_an_order_awaits_its_payment_when_the_command_returns():
    conference, ada = shop.conference_on_sale(), shop.customer()
    receipt = shop.place(ada, conference, 2)
    assert receipt.settled
    summary = OrderSummary.objects.get(pk=receipt.stream_id)
    assert summary.status == "awaiting_payment"
    assert summary.payment_status == "requested"
    assert available(conference) == 98


def test_a_paid_order_is_confirmed_and_its_seats_are_sold():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 2)
    assert shop.pay(order, 2).settled
    assert status_of(order) == "confirmed"
    types = list(StoredEvent.objects.filter(position__gt=3).values_list("type", flat=True))
    assert types == [
        "order.placed",
        "seats.reserved",
        "payment.requested",
        "payment.accepted",
        "order.confirmed",
        "seats.sold",
    ]
    assert Timer.objects.get().status == "cancelled"


def test_an_order_of_more_seats_than_there_are_is_refused():
    conference, ada = shop.conference_on_sale(capacity=3), shop.customer()
    shop.order(ada, conference, 2)
    refused = shop.order(ada, conference, 2)
    assert status_of(refused) == "refused"
    assert available(conference) == 1


def test_an_expired_order_gives_its_seats_back():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 2)
    dispatch(ExpireOrder(order_id=order))
    assert status_of(order) == "expired"
    assert available(conference) == 100


def test_a_cancelled_order_that_was_paid_is_refunded():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    shop.pay(order)
    dispatch(CancelOrder(order_id=order, reason="ill"))
    assert status_of(order) == "refunded"
    assert available(conference) == 100


def test_a_payment_that_comes_too_late_is_refunded():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    dispatch(ExpireOrder(order_id=order))
    shop.pay(order)
    assert status_of(order) == "expired"
    assert OrderSummary.objects.get(pk=order).payment_status == "refunded"


@pytest.mark.parametrize("seats", [1, 3])
def test_a_payment_of_another_amount_is_refunded_and_confirms_nothing(seats):
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference, 2)
    shop.pay(order, seats)
    assert status_of(order) == "awaiting_payment"
    assert OrderSummary.objects.get(pk=order).payment_status == "refunded"
    let_pass(timedelta(hours=1))
    bring_to_rest(deliver=False)
    assert status_of(order) == "expired"
    assert available(conference) == 100


def test_a_payment_for_an_order_that_ends_before_it_can_be_confirmed_is_refunded():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    with only_handlers("order-summaries"):
        shop.pay(order)
        dispatch(ExpireOrder(order_id=order))
    bring_to_rest(deliver=False)
    assert status_of(order) == "expired"
    assert OrderSummary.objects.get(pk=order).payment_status == "refunded"
    assert available(conference) == 100
    refused = StoredEvent.objects.get(type="saga.command-refused")
    assert (refused.data["command"], refused.data["code"]) == ("order.confirm", "order-not-payable")


def test_everything_that_follows_from_a_request_carries_its_correlation():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    placed = StoredEvent.objects.get(stream_id=order, type="order.placed")
    chain = StoredEvent.objects.filter(correlation_id=placed.correlation_id)
    assert [event.type for event in chain] == ["order.placed", "seats.reserved", "payment.requested"]
    assert {event.metadata["root"] for event in chain} == {placed.metadata["root"]}


def test_every_sync_subscriber_has_seen_everything_when_the_command_returns():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    head = shop.pay(order).position
    assert head is not None
    behind = SubscriberRow.objects.filter(mode="sync", checkpoint__lt=head)
    assert not behind.exists()
    assert not OutboxCommand.objects.exclude(status="done").exists()
    assert set(Delivery.objects.values_list("effect", flat=True)) == {"mail.welcome", "mail.order-confirmation"}
