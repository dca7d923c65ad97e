"""Faults that systems which sell tickets have had, this one among them, each as a story that must end well."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from django.contrib.auth.models import User
from django.db import connections

from eventstore import repository
from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from eventstore.testing import given, only_handlers, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import PaymentTermsChanged
from ordering.domain.customer import Customer
from ordering.domain.finance import RequestRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder, Order, OrderPlaced, PlaceOrder, ReopenOrder, Status
from ordering.domain.payment import AcceptPayment, AwaitPayment
from ordering.domain.seats import Line, ReserveSeats
from ordering.domain.terms import PaymentTerms, Unit
from ordering.domain.values import Money, payment_id_of
from ordering.domain.waitlist import ClearWaitlist, waitlist_id_of
from ordering.effects import mail, order_mail
from ordering.models import ConferenceSales, ConferenceSummary, JournalEntry, OrderSummary
from ordering.providers.provider import Instructions
from ordering.providers.sandbox import Sandbox
from sagas.models import Delivery
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.unit.samples import ADA, CONFERENCE, ON_SALE, ORDER, PLACED, REGISTERED

pytestmark = pytest.mark.usefixtures("clean")

PRICE = shop.PRICE.amount
A = JournalEntry.Account


def order_row(order):
    return OrderSummary.objects.get(pk=order)


def available(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["available"]


def balances():
    """What each account of the books has, where that isn't nothing."""
    found = JournalEntry.objects.all().balances()
    return {row["account"]: row["balance"] for row in found if row["balance"]}


def test_no_money_is_lost_when_the_seats_ran_out_before_the_payment_arrived():
    conference = shop.conference_on_sale(capacity=1)
    late, quick = (shop.order(shop.customer(), conference) for _ in range(2))
    assert (order_row(late).status, order_row(quick).status) == ("awaiting_payment", "refused")
    dispatch(ExpireOrder(order_id=late))
    quick = shop.order(shop.customer(), conference)
    shop.pay(quick)
    shop.pay(late)
    bring_to_rest()
    assert (order_row(late).status, order_row(quick).status) == ("expired", "confirmed")
    assert (order_row(late).received, order_row(late).returned) == (PRICE, PRICE)
    assert balances() == {A.PROVIDER: PRICE, A.REVENUE: -PRICE}
    told = StoredEvent.objects.filter(type="mail.sent").values_list("causation_id", flat=True)
    assert StoredEvent.objects.get(type="refund.settled").event_id in told


def test_the_refund_of_a_double_payment_does_not_void_the_order():
    conference = shop.conference_on_sale()
    order = shop.order(shop.customer(), conference)
    shop.pay(order)
    dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="TWICE"))
    bring_to_rest()
    row = order_row(order)
    assert (row.status, row.received, row.returned, row.due) == ("confirmed", 2 * PRICE, PRICE, 0)
    assert [payment["status"] for payment in row.payments] == ["accepted", "refunded"]
    assert [refund["amount"] for refund in row.payments[1]["refunds"]] == ["99.50"]
    assert not row.payments[0]["refunds"]
    assert available(conference) == 99
    assert repository.get(Order, order).status is Status.CONFIRMED


def test_an_excess_goes_back_though_staff_were_quicker_with_a_part_of_it():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    with only_handlers("order-summaries", "booking"):
        dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference="TWICE"))
        twice: dict[str, Any] = {"provider": "sandbox", "reference": "TWICE", "reason": "They called."}
        part = Money(Decimal("40.00"), "EUR")
        dispatch(RequestRefund(account_id=account_id_of(order), amount=part, **twice))
    bring_to_rest()
    row = order_row(order)
    assert (row.status, row.received, row.returned, row.due) == ("confirmed", 2 * PRICE, PRICE, 0)
    assert [refund["amount"] for refund in row.payments[1]["refunds"]] == ["40.00", "59.50"]
    assert balances() == {A.PROVIDER: PRICE, A.REVENUE: -PRICE}


def test_money_from_before_an_order_was_reopened_does_not_confirm_it_without_seats():
    conference = shop.conference_on_sale(capacity=1)
    order = shop.order(shop.customer(), conference)
    dispatch(CancelOrder(order_id=order))
    with only_handlers("order-summaries", "seat-availability", "booking"):
        shop.pay(order)
        dispatch(ReopenOrder(order_id=order, reason="She comes after all."))
        dispatch(ReserveSeats(conference_id=conference, order_id=uuid4(), lines=(Line("standard", 1),)))
    bring_to_rest()
    row = order_row(order)
    assert (row.status, row.received, row.returned) == ("refused", PRICE, PRICE)
    assert balances() == {}


def test_money_from_before_an_order_was_reopened_confirms_it_once_it_has_seats():
    order = shop.order(shop.customer(), shop.conference_on_sale(capacity=1))
    dispatch(CancelOrder(order_id=order))
    with only_handlers("order-summaries", "seat-availability", "booking"):
        shop.pay(order)
        dispatch(ReopenOrder(order_id=order, reason="She comes after all."))
    bring_to_rest()
    row = order_row(order)
    assert (row.status, row.received, row.returned, row.due) == ("confirmed", PRICE, 0, 0)
    assert OrderSummary.objects.sold(row.conference_id) == {"standard": 1}


def test_an_order_that_is_paid_at_the_moment_it_expires_is_not_confirmed_by_money_that_goes_back():
    """A part had come before; the rest is booked, and not credited yet."""
    conference = shop.conference_on_sale()
    order = shop.order(shop.customer(), conference, 2)
    shop.pay(order, 1)
    with only_handlers("order-summaries", "booking"):
        shop.pay(order, 2, reference="ALL")
        dispatch(ExpireOrder(order_id=order))
    bring_to_rest()
    row = order_row(order)
    assert (row.status, row.received, row.returned) == ("confirmed", 3 * PRICE, PRICE)
    assert balances() == {A.PROVIDER: 2 * PRICE, A.REVENUE: -2 * PRICE}
    assert available(conference) == 98


def test_an_answer_of_a_provider_that_nobody_knows_leaves_no_payment_stuck(monkeypatch, settings):
    """Money that is on its way for good holds no seats for good; and a refund of which nobody knows whether it was made
    is asked for again under the same key, until it is known.
    """
    conference = shop.conference_on_sale()
    pending, paid = (shop.order(shop.customer(), conference) for _ in range(2))
    dispatch(AwaitPayment(payment_id=payment_id_of(pending), reference="SOON"))
    let_pass(timedelta(hours=settings.PAYMENT_PENDING_HOURS + 1))
    bring_to_rest(deliver=False)
    assert order_row(pending).status == "expired"
    shop.pay(paid)
    settle, keys = Sandbox.refund, []

    def refund(sandbox, reference, amount, *, key):
        keys.append(key)
        if len(keys) < 3:
            raise TimeoutError("no answer")
        return settle(sandbox, reference, amount, key=key)

    monkeypatch.setattr(Sandbox, "refund", refund)
    assert order_row(paid).status == "confirmed"
    dispatch(CancelOrder(order_id=paid))
    for _ in range(3):
        bring_to_rest()
        let_pass(timedelta(hours=1))
    assert (order_row(paid).status, order_row(paid).returned) == ("refunded", PRICE)
    assert len(keys) == 3
    assert len({*keys}) == 1
    assert not Delivery.objects.exclude(status="done").exists()
    shop.pay(pending)
    assert order_row(pending).status == "confirmed"


def test_every_sum_falls_when_an_order_is_cancelled():
    conference = shop.conference_on_sale()
    kept, cancelled = (shop.order(shop.customer(), conference, seats) for seats in (1, 2))
    shop.pay(kept, 1)
    shop.pay(cancelled, 2)
    bring_to_rest()
    assert balances() == {A.PROVIDER: 3 * PRICE, A.REVENUE: -3 * PRICE}
    assert OrderSummary.objects.standing(conference) == {"orders": 2, "held": 3 * PRICE}
    dispatch(CancelOrder(order_id=cancelled))
    bring_to_rest()
    assert balances() == {A.PROVIDER: PRICE, A.REVENUE: -PRICE}
    assert OrderSummary.objects.standing(conference) == {"orders": 1, "held": PRICE}
    assert OrderSummary.objects.sold(conference) == {"standard": 1}
    (sums,) = ConferenceSales.objects.sums(conference)
    assert (sums["total_received"], sums["total_refunded"]) == (3 * PRICE, 2 * PRICE)
    assert (order_row(cancelled).due, order_row(cancelled).returned) == (0, 2 * PRICE)
    (day,) = JournalEntry.objects.days(conference, "UTC")
    assert (day["received"], day["returned"], day["earned"]) == (3 * PRICE, 2 * PRICE, PRICE)


def test_seats_are_free_again_however_an_order_ends():
    conference = shop.conference_on_sale(capacity=3)
    ends = {
        "expired": lambda order: dispatch(ExpireOrder(order_id=order)),
        "out of time": lambda order: let_pass(timedelta(hours=1)),
        "cancelled": lambda order: dispatch(CancelOrder(order_id=order)),
        "paid and cancelled": lambda order: (shop.pay(order, 3), dispatch(CancelOrder(order_id=order))),
    }
    for how, end in ends.items():
        order = shop.order(shop.customer(), conference, 3)
        assert (order_row(order).status, available(conference)) == ("awaiting_payment", 0), how
        refused = shop.order(shop.customer(), conference)
        assert order_row(refused).status == "refused"
        end(order)
        bring_to_rest()
        assert available(conference) == 2, f"{how}: whoever was refused has an offer"
        dispatch(ClearWaitlist(waitlist_id=waitlist_id_of(conference)))
        bring_to_rest()
        assert available(conference) == 3, how
        seats = repository.get(ConferenceSeats, conference)
        assert not seats.reserved, how
        assert not seats.sold, how


def test_expired_orders_are_found_by_staff_and_through_the_api(client):
    conference = shop.conference_on_sale()
    expired, open_ = (shop.order(shop.customer(name), conference) for name in ("Ada Lovelace", "Grace Hopper"))
    dispatch(ExpireOrder(order_id=expired))
    bring_to_rest()
    number = order_row(expired).number
    client.force_login(User.objects.create_superuser("root"))
    for query in ("status=expired", f"q={number}", f"q={number.lower()}", "q=lovelace", f"q={expired}"):
        listed = client.get(f"/admin/ordering/ordersummary/?{query}").content.decode()
        assert number in listed, query
        assert order_row(open_).number not in listed, query
    assert client.get(f"/admin/ordering/ordersummary/{expired}/change/").status_code == 200
    api = callers.staff(is_superuser=True)
    found = api.get("/orders?status=expired").json()["results"]
    assert [each["id"] for each in found] == [str(expired)]
    assert api.get(f"/orders/{expired}").json()["status"] == "expired"
    assert number in {each["number"] for each in api.get("/orders").json()["results"]}


@pytest.mark.parametrize(
    ("ordered", "until", "shown"),
    [
        ("2030-03-29T23:30:00+01:00", "2030-03-30T22:59:59+00:00", "30 Mar 2030 23:59"),
        ("2030-03-30T12:00:00+01:00", "2030-03-31T21:59:59+00:00", "31 Mar 2030 23:59"),
        ("2030-03-31T03:30:00+02:00", "2030-04-01T21:59:59+00:00", "1 Apr 2030 23:59"),
        ("2030-10-25T23:30:00+02:00", "2030-10-26T21:59:59+00:00", "26 Oct 2030 23:59"),
        ("2030-10-26T12:00:00+02:00", "2030-10-27T22:59:59+00:00", "27 Oct 2030 23:59"),
        ("2030-10-27T02:30:00+01:00", "2030-10-28T22:59:59+00:00", "28 Oct 2030 23:59"),
    ],
)
def test_a_deadline_at_the_end_of_a_day_is_right_over_both_changes_of_the_clock(ordered, until, shown):
    now = datetime.fromisoformat(ordered).astimezone(UTC)
    scheduled = msgspec.structs.replace(
        ON_SALE[0],
        time_zone="Europe/Berlin",
        opens_at=now - timedelta(days=1),
        closes_at=now + timedelta(days=9),
        starts_at=now + timedelta(days=9),
    )
    terms = PaymentTermsChanged(conference_id=CONFERENCE, terms=PaymentTerms(1, Unit.DAYS))
    conference = given(ConferenceSeats, CONFERENCE, scheduled, *ON_SALE[1:], terms)
    others = [conference, given(Customer, ADA, REGISTERED)]
    lines = tuple(Line(line.seat_type, line.quantity) for line in PLACED.lines)
    place = PlaceOrder(order_id=ORDER, customer_id=ADA, conference_id=CONFERENCE, lines=lines)
    (placed,) = when(Order(ORDER), place, now=now, others=others)
    assert isinstance(placed, OrderPlaced)
    assert placed.expires_at == datetime.fromisoformat(until)
    order = given(Order, ORDER, placed)
    told = order_mail.told(order, conference) | {"due": order.due, "how": Instructions(pay_url="https://pay.example")}
    for template in ("order_received", "payment_due", "payment_reminder"):
        made = mail.compose(template, to="ada@example.com", message_id=ORDER, **told)
        ((html, _),) = made.alternatives
        for text in (str(made.body), str(html)):
            assert f"{shown} Europe/Berlin" in text


def test_the_last_seat_is_not_sold_twice():
    """Eight want it at the same moment, and whoever has it pays at once."""
    conference, crowd = shop.conference_on_sale(capacity=1), 8
    customers, gate = [shop.customer() for _ in range(crowd)], Barrier(crowd, timeout=30)

    def buy(customer):
        try:
            gate.wait()
            order = shop.order(customer, conference)
            if order_row(order).status == "awaiting_payment":
                shop.pay(order)
            return order
        finally:
            connections.close_all()

    with ThreadPoolExecutor(crowd) as threads:
        orders = [*threads.map(buy, customers)]
    bring_to_rest(deliver=False)
    for order in OrderSummary.objects.filter(status="awaiting_payment"):
        shop.pay(order.pk)
    bring_to_rest()
    assert Counter(order_row(order).status for order in orders) == {"confirmed": 1, "refused": crowd - 1}
    assert StoredEvent.objects.filter(type="seats.sold").count() == 1
    assert available(conference) == 0
    assert balances() == {A.PROVIDER: PRICE, A.REVENUE: -PRICE}
