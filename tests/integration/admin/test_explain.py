"""Each figure says which events made it: what each added, and the sum, which is what is shown."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from eventstore.commands import dispatch
from eventstore.context import new_id
from ordering.admin import explain
from ordering.domain.conference_changes import HoldSeats
from ordering.domain.order import CancelOrder
from ordering.domain.payment import AcceptPayment
from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSales, DailySales, OrderSummary
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.admin.reading import text

pytestmark = pytest.mark.usefixtures("clean")

SEE = [f"ordering.view_{model}" for model in ("ordersummary", "conferencesummary", "dailysales", "conferencesales")]


@pytest.fixture
def order():
    """Of two seats, paid in two parts."""
    order = shop.order(shop.customer(), shop.conference_on_sale(10), 2)
    bring_to_rest(deliver=False)
    for reference in ("ONE", "TWO"):
        dispatch(AcceptPayment(payment_id=payment_id_of(order), amount=shop.PRICE, reference=reference))
        bring_to_rest(deliver=False)
    return order


def why(model, row, *figure):
    return reverse(f"admin:ordering_{model}_explain", args=[row, *figure])


def told(client, address):
    """The type of each event, what it added and the sum after it."""
    lines = client.get(address).context["lines"]
    return [(event.type, added, total) for event, _, added, total in lines]


def test_what_was_received_for_an_order_is_explained(client, staff, order):
    staff(*SEE)
    address = why("ordersummary", order, "received")
    assert told(client, address) == [
        ("finance.payment-received", "+99.50 EUR", "99.50 EUR"),
        ("finance.payment-received", "+99.50 EUR", "199.00 EUR"),
    ]
    shown = text(client.get(address))
    assert "2 events made this figure, and come to what is shown: <strong>199.00 EUR</strong>." in shown
    assert address in text(client.get(reverse("admin:ordering_ordersummary_change", args=[order])))


def test_what_is_owed_rises_and_falls(client, staff, order):
    staff(*SEE)
    assert told(client, why("ordersummary", order, "due")) == [
        ("order.placed", "+199.00 EUR", "199.00 EUR"),
        ("finance.payment-received", "−99.50 EUR", "99.50 EUR"),
        ("finance.payment-received", "−99.50 EUR", "0.00 EUR"),
    ]


def test_seats_of_a_conference_are_explained(client, staff, order):
    conference = OrderSummary.objects.get().conference_id
    dispatch(
        HoldSeats(
            conference_id=conference,
            hold_id=new_id(),
            seat_type="standard",
            quantity=3,
            label="speakers",
            reason="A test.",
        )
    )
    dispatch(CancelOrder(order_id=order, reason="A test."))
    bring_to_rest(deliver=False)
    staff(*SEE)
    assert told(client, why("conferencesummary", conference, "available", "standard")) == [
        ("seats.added", "+10 seats", "10 seats"),
        ("seats.reserved", "−2 seats", "8 seats"),
        ("seats.held", "−3 seats", "5 seats"),
        ("seats.released", "+2 seats", "7 seats"),
    ]
    assert told(client, why("conferencesummary", conference, "taken", "standard"))[-1][2] == "0 seats"
    assert told(client, why("conferencesummary", conference, "held", "standard"))[-1][2] == "3 seats"
    shown = text(client.get(reverse("admin:ordering_conferencesummary_change", args=[conference])))
    assert why("conferencesummary", conference, "available", "standard") in shown


def test_sales_of_a_day_and_of_a_conference_are_explained(client, staff, order):
    staff(*SEE)
    day, sale = DailySales.objects.get(), ConferenceSales.objects.get()
    for address in (why("dailysales", day.pk, "received"), why("conferencesales", sale.pk, "received")):
        assert [total for *_, total in told(client, address)] == ["99.50 EUR", "199.00 EUR"], address
        assert "come to what is shown" in text(client.get(address))
    assert why("dailysales", day.pk, "received") in text(
        client.get(reverse("admin:ordering_dailysales_change", args=[day.pk]))
    )


def test_a_figure_that_is_not_what_its_events_say_is_said_to_differ(client, staff, order):
    OrderSummary.objects.update(received=Decimal(250))
    staff(*SEE, "projections.verify_projection")
    shown = text(client.get(why("ordersummary", order, "received")))
    assert "The events come to 199.00 EUR, and shown is 250.00 EUR: it differs by +51.00 EUR." in shown
    assert f"{reverse('admin:eventstore_operation', args=['verify', 'order-summaries'])}?key={order}" in shown


def test_what_has_many_events_is_told_in_pages_up_to_a_bound(client, staff, order, monkeypatch):
    monkeypatch.setattr(explain, "PAGE", 2)
    staff(*SEE)
    address = why("ordersummary", order, "due")
    assert len(told(client, address)) == 1
    assert len(told(client, f"{address}?page=1")) == 2
    monkeypatch.setattr(explain, "MOST", 1)
    assert "shown is 0.00 EUR, which later ones made" in text(client.get(address))


@pytest.mark.parametrize("figure", [("profit",), ("received", "standard")])
def test_what_is_no_figure_is_not_there(client, staff, order, figure):
    staff(*SEE)
    assert client.get(why("ordersummary", order, *figure)).status_code == 404
    assert client.get(why("ordersummary", new_id(), "received")).status_code == 404


def test_who_may_not_see_a_row_is_told_nothing_of_its_figures(client, staff, order):
    staff("ordering.view_customerprofile")
    assert client.get(why("ordersummary", order, "received")).status_code == 403


def test_the_pages_take_few_statements(client, staff, order):
    staff(superuser=True)
    conference = OrderSummary.objects.get().conference_id
    for address in (
        why("conferencesummary", conference, "available", "standard"),
        why("dailysales", DailySales.objects.get().pk, "received"),
        why("ordersummary", order, "received"),
    ):
        client.get(address)
        with CaptureQueriesContext(connection) as asked:
            client.get(address)
        assert len(asked) <= 15
