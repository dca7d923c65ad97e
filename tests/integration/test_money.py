"""Money in currencies with other decimals than two: from the command that a conference is scheduled with to the pages,
answers and mails that show it.
"""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core import mail as outbox
from django.utils import timezone

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.domain.order import PlaceOrder
from ordering.domain.payment import AcceptPayment
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import Line, SeatType
from ordering.domain.values import Money, payment_id_of
from ordering.effects import mail
from ordering.effects.order_mail import Seats
from ordering.models import OrderSummary
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import assert_problem, nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")

YEN, DINARS = Money(Decimal(1250), "JPY"), Money(Decimal("1.005"), "KWD")


def on_sale(price: Money, most: int = 10) -> UUID:
    conference_id, now = new_id(), timezone.now()
    dispatch(
        ScheduleConference(
            conference_id=conference_id,
            name="PyCon",
            starts_at=now + timedelta(days=30),
            opens_at=now - timedelta(days=1),
            closes_at=now + timedelta(days=29),
            seat_types=(SeatType("standard", "Standard", price, 1000, most),),
        )
    )
    return conference_id


def sell(price: Money) -> UUID:
    """Two seats at this price, paid for; read wherever it can be read."""
    order_id = new_id()
    lines = (Line("standard", 2),)
    dispatch(PlaceOrder(order_id=order_id, customer_id=shop.customer(), conference_id=on_sale(price), lines=lines))
    dispatch(AcceptPayment(payment_id=payment_id_of(order_id), amount=price * 2, reference="REF-1"))
    feeding.catch_up(list(registry.of(Mode.ASYNC)))
    return order_id


@pytest.mark.parametrize(("price", "unit", "total"), [(YEN, "1250", "2500"), (DINARS, "1.005", "2.010")])
def test_the_api_answers_amounts_in_the_decimals_of_their_currency(price, unit, total):
    customer, caller = callers.customer()
    conference = on_sale(price)
    order = caller.post("/orders", placing(customer, conference, 2)).json()
    assert order["lines"][0]["unit_price"] == {"amount": unit, "currency": price.currency}
    assert order["total"] == order["payment"]["amount"] == {"amount": total, "currency": price.currency}
    assert caller.get(f"/orders/{order['id']}").json() == order
    (seats,) = caller.get(f"/conferences/{conference}").json()["seat_types"]
    assert seats["price"] == {"amount": unit, "currency": price.currency}


@pytest.mark.parametrize(("price", "total"), [(YEN, "2,500 JPY"), (DINARS, "2.010 KWD")])
def test_pages_show_amounts_in_the_decimals_of_their_currency(client, price, total):
    order = OrderSummary.objects.get(pk=sell(price))
    client.force_login(User.objects.create_superuser("root"))
    pages = [
        "/admin/",
        "/admin/ordering/ordersummary/",
        f"/admin/ordering/ordersummary/{order.pk}/change/",
        f"/admin/ordering/conferencesummary/{order.conference_id}/change/",
        f"/admin/ordering/customerprofile/{order.customer_id}/change/",
        "/admin/ordering/conferencesales/",
        "/admin/ordering/dailysales/",
        shop.profile_path(order.customer_id),
    ]
    for page in pages:
        shown = client.get(page).content.decode()
        assert total in shown, page
        assert ".0000" not in shown, page


@pytest.mark.parametrize(
    ("price", "unit", "total"), [(YEN, "1250 JPY", "2500 JPY"), (DINARS, "1.005 KWD", "2.010 KWD")]
)
def test_mails_say_amounts_in_the_decimals_of_their_currency(price, unit, total):
    said = {
        "number": "BX-1",
        "lines": [Seats("Standard", 2, price)],
        "total": price * 2,
        "paid": price * 2,
        "status": "placed",
    }
    for template in ("order_cancelled", "order_status"):
        mail.send(template, to="ada@example.org", message_id=new_id(), **said)
    for sent in outbox.outbox:
        assert isinstance(sent, outbox.EmailMultiAlternatives)
        ((html, _),) = sent.alternatives
        for text in (str(sent.body), str(html)):
            assert f"{unit} each" in text
            assert total in text


def test_an_order_that_would_cost_more_than_an_amount_can_be_is_refused():
    customer, caller = callers.customer()
    conference = on_sale(Money(Decimal("9999999999.99"), "IRR"), most=1000)
    assert caller.post("/orders", placing(customer, conference, 100)).status_code == 201
    with nothing_written():
        assert_problem(caller.post("/orders", placing(customer, conference, 101)), 409, "amount-too-large")


@pytest.mark.parametrize(
    ("currency", "price", "field", "code"),
    [
        ("JPY", "100.50", None, "too-many-decimals"),
        ("KWD", "1.0005", None, "too-many-decimals"),
        ("ABC", "1", "currency", "unknown-currency"),
        ("XAU", "1", "currency", "unknown-currency"),
        ("yen", "1", "currency", "Three capital letters"),
    ],
)
def test_a_conference_is_not_scheduled_for_what_nobody_can_pay(client, currency, price, field, code):
    client.force_login(User.objects.create_superuser("root"))
    day = timezone.now() + timedelta(days=1)
    times = {f"{name}_at": day + timedelta(days=n) for n, name in enumerate(("opens", "closes", "starts"))}
    form = {
        **{name: f"{at:%Y-%m-%dT%H:%M}" for name, at in times.items()},
        "conference_id": str(new_id()),
        "name": "PyCon",
        "currency": currency,
        "time_zone": "UTC",
        "seats-TOTAL_FORMS": "1",
        "seats-INITIAL_FORMS": "0",
        "seats-0-code": "std",
        "seats-0-name": "Standard",
        "seats-0-price": price,
        "seats-0-capacity": "5",
        "seats-0-max_per_order": "2",
    }
    with nothing_written():
        answer = client.post("/admin/ordering/conferencesummary/add/", form)
    assert code in str(answer.context["form"].errors[field or "__all__"])
