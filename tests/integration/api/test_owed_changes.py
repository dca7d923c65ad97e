"""A confirmed order comes to cost more: its customer owes the difference, pays it in time, in parts, late, or not."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.core import mail
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from eventstore import repository
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import Incident, StoredEvent
from eventstore.testing.subscribers import given
from ordering.domain.conference_changes import CancelConference, CloseSales, RepriceSeats
from ordering.domain.order import CancelOrder, ExtendOrder, Order
from ordering.domain.payment import AcceptPayment, AwaitPayment
from ordering.domain.seats import AddSeats, PricedLine, SeatsReserved, SeatType
from ordering.domain.values import Money
from ordering.models import ConferenceSummary, Excess, JournalEntry, OrderSummary
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import assert_problem, placing
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")

A = JournalEntry.Account


@pytest.fixture
def conference():
    return shop.conference_on_sale(capacity=10)


@pytest.fixture
def ada():
    return callers.customer()


@pytest.fixture
def order(conference, ada):
    """Of two seats, which are paid."""
    customer, caller = ada
    id_ = caller.post("/orders", placing(customer, conference, 2)).json()["id"]
    shop.pay(UUID(id_), 2)
    bring_to_rest()
    mail.outbox.clear()
    return id_


def seats(quantity):
    return {"lines": [{"seat_type": "standard", "quantity": quantity}]}


def euros(amount):
    return {"amount": amount, "currency": "EUR"}


def free(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["available"]


def balance(account):
    sums = JournalEntry.objects.filter(account=account).aggregate(debit=Sum("debit"), credit=Sum("credit"))
    return (sums["debit"] or Decimal(0)) - (sums["credit"] or Decimal(0))


def until(order):
    return OrderSummary.objects.get(pk=order).expires_at


def pay(shown, amount, reference="MORE"):
    """The newest payment of an order."""
    payment_id, money = UUID(shown["payment"]["id"]), Money(Decimal(amount), "EUR")
    dispatch(AcceptPayment(payment_id=payment_id, amount=money, reference=reference, provider="sandbox"))
    bring_to_rest()


def time_passes():
    """Until after the deadline of an order."""
    let_pass(timedelta(minutes=16))
    bring_to_rest()


def told(words):
    return [each for each in mail.outbox if words in each.subject]


def assert_books_balance():
    """And whoever watches books and seats has found nothing."""
    for position in JournalEntry.objects.values_list("position", flat=True).distinct():
        sums = JournalEntry.objects.filter(position=position).aggregate(debit=Sum("debit"), credit=Sum("credit"))
        assert sums["debit"] == sums["credit"]
    assert not JournalEntry.objects.filter(debit__lt=0).exists()
    assert not JournalEntry.objects.filter(credit__lt=0).exists()
    assert not Incident.objects.exists()


def test_a_confirmed_order_owes_the_difference_and_has_its_seats_until_that_is_paid(conference, ada, order):
    _, caller = ada
    before = timezone.now()
    answer = caller.post(f"/orders/{order}/quantities", seats(3))
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["lines"][0]["quantity"], shown["total"]) == ("confirmed", 2, euros("199.00"))
    assert (shown["change"]["lines"][0]["quantity"], shown["change"]["total"]) == (3, euros("298.50"))
    assert shown["balance"] == {"received": euros("199.00"), "returned": euros("0.00"), "due": euros("99.50")}
    assert before + timedelta(minutes=15) <= until(order) <= timezone.now() + timedelta(minutes=15)
    assert (shown["payment"]["amount"], free(conference)) == (euros("99.50"), 7)
    assert caller.post(f"/orders/{order}/payments").json()["amount"] == euros("99.50")
    bring_to_rest()
    (asked,) = told("to pay for its change")
    assert "3 x Standard" in asked.body
    assert balance(A.REVENUE) == Decimal(-199)

    pay(shown, "99.50")
    shown = caller.get(f"/orders/{order}").json()
    assert (shown["lines"][0]["quantity"], shown["total"], shown["change"]) == (3, euros("298.50"), None)
    assert shown["balance"]["due"] == euros("0.00")
    (confirmed,) = told("has changed")
    assert "3 x Standard" in confirmed.body
    assert "You owe nothing more." in confirmed.body
    assert (balance(A.REVENUE), balance(A.CUSTOMERS)) == (Decimal("-298.5"), 0)
    time_passes()
    assert free(conference) == 7
    assert_books_balance()


def test_what_is_not_paid_in_time_leaves_the_order_as_it_was_and_part_of_it_goes_back(conference, ada, order):
    _, caller = ada
    shown = caller.post(f"/orders/{order}/quantities", seats(4)).json()
    pay(shown, "50.00")
    (part,) = told("149.00 EUR still due")
    assert "For the change of your order" in part.body
    assert free(conference) == 6
    time_passes()
    shown = caller.get(f"/orders/{order}").json()
    assert (shown["status"], shown["lines"][0]["quantity"], shown["total"]) == ("confirmed", 2, euros("199.00"))
    assert (shown["change"], free(conference)) == (None, 8)
    assert shown["balance"] == {"received": euros("249.00"), "returned": euros("50.00"), "due": euros("0.00")}
    (lapsed,) = told("was not paid in time")
    assert "2 x Standard" in lapsed.body
    assert "goes back to you" in lapsed.body
    assert (balance(A.REVENUE), balance(A.CUSTOMERS)) == (Decimal(-199), 0)
    assert_problem(caller.post(f"/orders/{order}/payments"), 409, "order-not-payable")
    assert_books_balance()


def test_too_much_goes_back_by_the_rule_for_excess(ada, order, settings):
    _, caller = ada
    pay(caller.post(f"/orders/{order}/quantities", seats(3)).json(), "100.00")
    row = OrderSummary.objects.get(pk=order)
    assert (row.total, row.returned) == (Decimal("298.5"), Decimal("0.5"))
    settings.PAYMENT_EXCESS = {"sandbox": "staff"}
    pay(caller.post(f"/orders/{order}/quantities", seats(4)).json(), "100.00", "STILL MORE")
    row.refresh_from_db()
    assert (row.total, row.returned) == (Decimal(398), Decimal("0.5"))
    assert Excess.objects.get(pk=order).amount == Decimal("0.5")
    assert_books_balance()


def test_a_change_that_is_paid_late_is_in_force_if_there_are_seats(conference, ada, order):
    _, caller = ada
    shown = caller.post(f"/orders/{order}/quantities", seats(3)).json()
    time_passes()
    pay(shown, "99.50")
    row = OrderSummary.objects.get(pk=order)
    assert (row.total, row.lines[0]["quantity"], free(conference)) == (Decimal("298.5"), 3, 7)
    assert balance(A.REVENUE) == Decimal("-298.5")


def test_money_for_a_change_that_comes_too_late_for_seats_goes_back(conference, ada, order):
    _, caller = ada
    shown = caller.post(f"/orders/{order}/quantities", seats(3)).json()
    time_passes()
    shop.order(shop.customer(), conference, 8)
    bring_to_rest()
    pay(shown, "99.50")
    row = OrderSummary.objects.get(pk=order)
    assert (row.total, row.lines[0]["quantity"], row.returned) == (Decimal(199), 2, Decimal("99.5"))
    assert len(told("could not be changed")) == 1
    assert (balance(A.REVENUE), balance(A.CUSTOMERS)) == (Decimal(-199), 0)


def test_one_change_follows_another_and_may_lead_back(conference, ada, order):
    _, caller = ada
    deadline = caller.post(f"/orders/{order}/quantities", seats(3)).json()["expires_at"]
    shown = caller.post(f"/orders/{order}/quantities", seats(5)).json()
    assert (shown["balance"]["due"], shown["expires_at"], free(conference)) == (euros("298.50"), deadline, 5)
    pay(shown, "298.00")
    shown = caller.post(f"/orders/{order}/quantities", seats(4)).json()
    bring_to_rest()
    row = OrderSummary.objects.get(pk=order)
    assert (row.total, row.lines[0]["quantity"], row.change, free(conference)) == (Decimal(398), 4, None, 6)
    assert row.received - row.returned == 398
    shown = caller.post(f"/orders/{order}/quantities", seats(6)).json()
    pay(shown, "50.00", "A PART")
    shown = caller.post(f"/orders/{order}/quantities", seats(4)).json()
    assert (shown["total"], shown["change"], free(conference)) == (euros("398.00"), None, 6)
    bring_to_rest()
    row.refresh_from_db()
    assert row.received - row.returned == 398
    assert (balance(A.REVENUE), balance(A.CUSTOMERS)) == (Decimal(-398), 0)
    time_passes()
    assert not told("was not paid in time")
    assert_books_balance()


@pytest.mark.parametrize("end", ["cancelled", "conference cancelled"])
def test_an_order_that_ends_while_it_owes_for_a_change_keeps_no_seat_and_no_money(conference, ada, order, end):
    _, caller = ada
    pay(caller.post(f"/orders/{order}/quantities", seats(3)).json(), "50.00")
    if end == "cancelled":
        dispatch(CancelOrder(order_id=UUID(order)))
    else:
        dispatch(CancelConference(conference_id=conference, reason="no hall"))
    bring_to_rest()
    time_passes()
    row = OrderSummary.objects.get(pk=order)
    assert (row.status, row.returned, row.due, row.change) == ("refunded", Decimal(249), Decimal(0), None)
    assert free(conference) == 10
    assert (balance(A.REVENUE), balance(A.CUSTOMERS)) == (0, 0)
    assert not told("was not paid in time")


def test_what_is_owed_when_sales_close_can_still_be_paid(conference, ada, order):
    _, caller = ada
    shown = caller.post(f"/orders/{order}/quantities", seats(3)).json()
    dispatch(CloseSales(conference_id=conference, reason="enough"))
    assert_problem(caller.post(f"/orders/{order}/quantities", seats(4)), 409, "conference-not-on-sale")
    pay(shown, "99.50")
    assert OrderSummary.objects.get(pk=order).lines[0]["quantity"] == 3


def test_staff_may_give_more_time_and_a_payment_that_is_pending_has_it(conference, ada, order):
    _, caller = ada
    shown = caller.post(f"/orders/{order}/quantities", seats(3)).json()
    later = timezone.now() + timedelta(hours=1)
    dispatch(ExtendOrder(order_id=UUID(order), expires_at=later, reason="ill"))
    bring_to_rest()
    time_passes()
    assert OrderSummary.objects.get(pk=order).change is not None
    dispatch(AwaitPayment(payment_id=UUID(shown["payment"]["id"])))
    bring_to_rest()
    assert until(order) > later + timedelta(hours=70)
    let_pass(timedelta(hours=24))
    bring_to_rest()
    assert OrderSummary.objects.get(pk=order).change is not None
    let_pass(timedelta(hours=72))
    bring_to_rest()
    assert OrderSummary.objects.get(pk=order).change is None
    assert free(conference) == 8


def test_a_free_order_begins_to_owe(conference, ada):
    customer, caller = ada
    dispatch(RepriceSeats(conference_id=conference, seat_type="standard", price=Money(Decimal(0), "EUR"), seen=None))
    gratis = caller.post("/orders", placing(customer, conference, 1)).json()["id"]
    dear = SeatType("box", "Box", shop.PRICE, 4, 4)
    dispatch(AddSeats(conference_id=conference, seat_type=dear, seen=None))
    bring_to_rest()
    lines = [{"seat_type": "standard", "quantity": 1}, {"seat_type": "box", "quantity": 1}]
    shown = caller.post(f"/orders/{gratis}/quantities", {"lines": lines}).json()
    assert (shown["status"], shown["total"], shown["balance"]["due"]) == ("confirmed", euros("0.00"), euros("99.50"))
    pay(shown, "99.50")
    assert OrderSummary.objects.get(pk=gratis).total == Decimal("99.5")
    assert balance(A.REVENUE) == Decimal("-99.5")


def test_an_exchange_for_dearer_seats_keeps_the_old_ones_until_it_is_paid(conference, ada, order):
    _, caller = ada
    dispatch(AddSeats(conference_id=conference, seat_type=SeatType("box", "Box", shop.PRICE * 2, 4, 4), seen=None))
    shown = caller.post(f"/orders/{order}/quantities", {"lines": [{"seat_type": "box", "quantity": 2}]}).json()
    bring_to_rest()
    has = ConferenceSummary.objects.get(pk=conference).seat_types
    assert (has["standard"]["available"], has["box"]["available"]) == (8, 2)
    pay(shown, "199.00")
    has = ConferenceSummary.objects.get(pk=conference).seat_types
    assert (has["standard"]["available"], has["box"]["available"]) == (10, 2)


def test_the_last_seats_that_somebody_else_got_at_that_moment_are_refused_at_once(conference, ada, order):
    """The rival's reservation is on its way when the change is decided, and is there when the conference is asked."""
    _, caller = ada
    rival = SeatsReserved(
        conference_id=conference,
        order_id=new_id(),
        lines=(PricedLine("standard", 8, shop.PRICE),),
        total=shop.PRICE * 8,
    )

    def take_them():
        try:
            with transaction.atomic():
                given(conference, rival, category="conference")
                started.append(True)
                eventually(
                    lambda: StoredEvent.objects.filter(type="order.quantity-change-requested").exists(),
                    what="the change is asked for",
                )
        finally:
            connection.close()

    started: list[bool] = []
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(take_them)
        eventually(lambda: started, what="the rival is on its way")
        answer = caller.post(f"/orders/{order}/quantities", seats(3))
        taken.result()
    assert_problem(answer, 409, "not-enough-seats")
    assert repository.get(Order, UUID(order)).lines[0].quantity == 2
    bring_to_rest()
    (refused,) = told("could not be changed")
    assert "were gone" in refused.body


def test_a_change_that_is_owed_lapses_once(order, ada):
    _, caller = ada
    caller.post(f"/orders/{order}/quantities", seats(3))
    time_passes()
    let_pass(timedelta(days=2))
    bring_to_rest()
    assert StoredEvent.objects.filter(type="order.quantity-change-lapsed").count() == 1
    assert not StoredEvent.objects.filter(type="order.expired").exists()
