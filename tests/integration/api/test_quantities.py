"""The quantities of an order are changed by its customer, while it waits for its payment and when it is paid."""

from decimal import Decimal
from uuid import UUID

import pytest
from django.core import mail
from django.db.models import Sum

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from eventstore.testing.subscribers import given
from ordering.domain.conference_changes import CancelConference
from ordering.domain.errors import OrderNotDue
from ordering.domain.finance import RequestRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder
from ordering.domain.order_changes import ChangeQuantities, QuantityChangeRequested
from ordering.domain.seats import ChangeSeats, Line, PricedLine, SeatsReserved
from ordering.domain.values import Money
from ordering.models import ConferenceSummary, JournalEntry, OrderSummary
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import assert_problem, nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def conference():
    return shop.conference_on_sale(capacity=10)


@pytest.fixture
def ada():
    return callers.customer()


@pytest.fixture
def order(conference, ada):
    """Of two seats, which wait for their payment."""
    customer, caller = ada
    return caller.post("/orders", placing(customer, conference, 2)).json()["id"]


def seats(quantity):
    return {"lines": [{"seat_type": "standard", "quantity": quantity}]}


def euros(amount):
    return {"amount": amount, "currency": "EUR"}


def asked(order, quantity):
    """A change is asked for, and nothing has come of it yet."""
    lines = (PricedLine("standard", quantity, shop.PRICE),)
    given(UUID(order), QuantityChangeRequested(order_id=UUID(order), change=1, lines=lines), category="order")


def free(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["available"]


def balance(account):
    sums = JournalEntry.objects.filter(account=account).aggregate(debit=Sum("debit"), credit=Sum("credit"))
    return (sums["debit"] or Decimal(0)) - (sums["credit"] or Decimal(0))


def mails_about_changes():
    return [each for each in mail.outbox if "has changed" in each.subject]


def test_an_order_that_waits_for_its_payment_owes_its_new_total(conference, ada, order):
    _, caller = ada
    answer = caller.post(f"/orders/{order}/quantities", seats(5))
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["lines"][0]["quantity"], changed["total"]) == (5, euros("497.50"))
    assert (changed["balance"]["due"], changed["payment"]["amount"]) == (euros("497.50"), euros("497.50"))
    assert free(conference) == 5
    bring_to_rest()
    (told,) = mails_about_changes()
    assert "497.50 EUR are to be paid" in told.body
    caller.post(f"/orders/{order}/quantities", seats(1))
    assert free(conference) == 9
    shop.pay(UUID(order), 1)
    bring_to_rest()
    assert caller.get(f"/orders/{order}").json()["status"] == "confirmed"
    assert balance(JournalEntry.Account.REVENUE) == Decimal("-99.50")
    assert balance(JournalEntry.Account.CUSTOMERS) == 0


def test_what_a_paid_order_no_longer_costs_goes_back(conference, ada, order):
    _, caller = ada
    shop.pay(UUID(order), 2)
    bring_to_rest()
    answer = caller.post(f"/orders/{order}/quantities", seats(1))
    assert (answer.status_code, answer.json()["total"]) == (200, euros("99.50"))
    bring_to_rest()
    row = OrderSummary.objects.get(pk=order)
    assert (row.status, row.received, row.returned, row.due) == ("confirmed", Decimal(199), Decimal("99.5"), Decimal(0))
    assert free(conference) == 9
    (told,) = mails_about_changes()
    assert "99.50 EUR goes back to you" in told.body
    assert balance(JournalEntry.Account.REVENUE) == Decimal("-99.50")
    assert balance(JournalEntry.Account.CUSTOMERS) == 0
    for position in JournalEntry.objects.values_list("position", flat=True).distinct():
        sums = JournalEntry.objects.filter(position=position).aggregate(debit=Sum("debit"), credit=Sum("credit"))
        assert sums["debit"] == sums["credit"]
    caller.post(f"/orders/{order}/cancel")
    bring_to_rest()
    row.refresh_from_db()
    assert (row.status, row.returned) == ("refunded", Decimal(199))
    assert balance(JournalEntry.Account.REVENUE) == 0


def test_what_can_not_be_is_refused_with_figures_and_changes_nothing(conference, ada, order):
    _, caller = ada
    shop.order(shop.customer(), conference, 7)
    bring_to_rest()
    _, stranger = callers.customer()
    with nothing_written():
        refused = caller.post(f"/orders/{order}/quantities", seats(4))
        assert_problem(refused, 409, "not-enough-seats")
        assert "Standard: 2 more, 1 free" in refused.json()["detail"]
        assert_problem(caller.post(f"/orders/{order}/quantities", seats(2)), 409, "quantities-unchanged")
        assert_problem(caller.post(f"/orders/{order}/quantities", seats(11)), 409, "too-many-seats")
        wrong = caller.post(f"/orders/{order}/quantities", seats(0))
        assert_problem(wrong, 400, "invalid")
        assert wrong.json()["errors"][0]["pointer"] == "/lines/0/quantity"
        assert_problem(caller.post(f"/orders/{order}/quantities", {"lines": []}), 400, "invalid")
        assert_problem(caller.post(f"/orders/{order}/quantities", seats(3), If_Match='"9"'), 412, "version-conflict")
        assert_problem(stranger.post(f"/orders/{order}/quantities", seats(3)), 404, "not-found")
    assert free(conference) == 1


def test_a_command_that_is_sent_twice_changes_an_order_once(conference, order):
    command, command_id = ChangeQuantities(order_id=UUID(order), lines=(Line("standard", 3),)), new_id()
    first, again = (dispatch(command, command_id=command_id) for _ in range(2))
    bring_to_rest()
    assert (again.repeated, again.version) == (True, first.version)
    assert StoredEvent.objects.filter(type="order.quantities-changed").count() == 1
    assert free(conference) == 7


@pytest.mark.parametrize("end", ["cancelled", "conference cancelled", "expired"])
def test_an_order_that_ends_beside_its_change_keeps_no_seat_and_no_money(conference, ada, order, end, settings):
    settings.EVENTSTORE_SETTLE_SECONDS = 2.0
    asked(order, 4)
    if end == "cancelled":
        dispatch(CancelOrder(order_id=UUID(order)))
    elif end == "expired":
        with pytest.raises(OrderNotDue):
            dispatch(ExpireOrder(order_id=UUID(order)))
        bring_to_rest()
        dispatch(ExpireOrder(order_id=UUID(order)))
    else:
        dispatch(CancelConference(conference_id=conference, reason="no hall"))
    bring_to_rest()
    assert free(conference) == 10
    assert OrderSummary.objects.get(pk=order).status in {"cancelled", "expired"}


def test_money_that_comes_beside_a_change_counts_for_what_comes_of_it(conference, order, settings):
    settings.EVENTSTORE_SETTLE_SECONDS = 2.0
    asked(order, 1)
    shop.pay(UUID(order), 2)
    bring_to_rest()
    row = OrderSummary.objects.get(pk=order)
    assert (row.status, row.total, row.received - row.returned) == ("confirmed", Decimal("99.5"), Decimal("99.5"))
    assert free(conference) == 9


def test_a_change_that_loses_the_last_seats_to_another_order_leaves_the_order_as_it_was(conference, ada, order):
    _, caller = ada
    bring_to_rest()
    rival = SeatsReserved(
        conference_id=conference,
        order_id=new_id(),
        lines=(PricedLine("standard", 7, shop.PRICE),),
        total=shop.PRICE * 7,
    )
    given(conference, rival, category="conference")
    asked(order, 4)
    bring_to_rest()
    shown = caller.get(f"/orders/{order}").json()
    assert (shown["status"], shown["lines"][0]["quantity"], shown["total"]) == ("awaiting_payment", 2, euros("199.00"))
    assert StoredEvent.objects.get(type="order.quantity-change-refused").data["reason"] == "sold-out"
    assert free(conference) == 1
    shop.pay(UUID(order), 2)
    bring_to_rest()
    assert caller.get(f"/orders/{order}").json()["status"] == "confirmed"


def test_no_more_goes_back_than_is_there(ada, order):
    _, caller = ada
    shop.pay(UUID(order), 2, reference="PAID")
    bring_to_rest()
    account = account_id_of(UUID(order))
    dispatch(
        RequestRefund(
            account_id=account,
            provider="sandbox",
            reference="PAID",
            amount=Money(Decimal("150.00"), "EUR"),
            reason="As a favour.",
        )
    )
    bring_to_rest()
    caller.post(f"/orders/{order}/quantities", seats(1))
    bring_to_rest()
    row = OrderSummary.objects.get(pk=order)
    assert (row.total, row.returned) == (Decimal("99.5"), Decimal(150))
    (told,) = mails_about_changes()
    assert "goes back to you" not in told.body


def test_seats_of_nobody_are_not_changed(conference):
    dispatch(ChangeSeats(conference_id=conference, order_id=UUID(int=1), change=1, lines=(Line("standard", 1),)))
    bring_to_rest()
    assert free(conference) == 10
