"""A conference is cancelled: every order of it is, and what was paid goes back."""

from datetime import timedelta

import pytest

from eventstore.commands import dispatch
from ordering.domain.conference_changes import CancelConference
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.models import ConferenceSummary, FailedRefund, OrderSummary
from ordering.processes import cancellation
from sagas.models import Timer
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

PRICE = shop.PRICE.amount


def cancel(conference):
    dispatch(CancelConference(conference_id=conference, reason="The hall has burnt down."))


def standing(order):
    row = OrderSummary.objects.get(pk=order)
    return row.status, row.received - row.returned


def taken(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["taken"]


def test_every_order_of_a_cancelled_conference_is_cancelled_and_all_that_was_paid_goes_back():
    conference, ada = shop.conference_on_sale(), shop.customer()
    paid, paid_in_part, unpaid, expired, cancelled = (shop.order(ada, conference, 2) for _ in range(5))
    shop.pay(paid, 2)
    shop.pay(paid_in_part, 1)
    dispatch(ExpireOrder(order_id=expired))
    dispatch(CancelOrder(order_id=cancelled))
    elsewhere = shop.order(ada, shop.conference_on_sale())
    shop.pay(elsewhere)
    cancel(conference)
    bring_to_rest()
    assert [standing(each) for each in (paid, paid_in_part, unpaid, expired, cancelled, elsewhere)] == [
        ("refunded", 0),
        ("refunded", 0),
        ("cancelled", 0),
        ("expired", 0),
        ("cancelled", 0),
        ("confirmed", PRICE),
    ]
    assert taken(conference) == 0


def test_money_that_comes_in_after_the_conference_was_cancelled_goes_back():
    conference = shop.conference_on_sale()
    order = shop.order(shop.customer(), conference)
    cancel(conference)
    shop.pay(order)
    bring_to_rest()
    assert standing(order) == ("refunded", 0)


def test_a_refund_that_fails_is_listed_and_the_others_are_made():
    conference, ada = shop.conference_on_sale(), shop.customer()
    fails, goes_back = (shop.order(ada, conference) for _ in range(2))
    shop.pay(fails, reference="NOREFUND-1")
    shop.pay(goes_back)
    cancel(conference)
    bring_to_rest()
    assert (standing(fails), standing(goes_back)) == (("cancelled", PRICE), ("refunded", 0))
    assert FailedRefund.objects.get().order_id == fails


def test_orders_are_cancelled_some_at_a_time(monkeypatch, settings):
    monkeypatch.setattr(cancellation, "MOST", 2)
    settings.CANCELLED_ORDERS_PER_MINUTE = 1
    conference, ada = shop.conference_on_sale(), shop.customer()
    orders = [shop.order(ada, conference) for _ in range(5)]
    cancel(conference)
    left = []
    for _ in range(3):
        bring_to_rest()
        left.append(taken(conference))
        let_pass(timedelta(minutes=2))
    assert left == [3, 1, 0]
    assert {standing(order) for order in orders} == {("cancelled", 0)}
    assert not Timer.objects.filter(status="waiting", name=cancellation.TIMER).exists()
