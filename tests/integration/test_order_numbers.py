"""The number of an order: drawn by chance, given out once, and found however it is written."""

import secrets
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from eventstore.commands import ATTEMPTS, dispatch
from eventstore.context import new_id
from eventstore.errors import ConcurrencyConflict
from eventstore.models import StoredEvent
from ordering.domain.order import PlaceOrder
from ordering.domain.seats import Line
from ordering.domain.values import order_number
from ordering.models import OrderSummary
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def draw(monkeypatch):
    """What is drawn by chance from now on, in this order; answers what has not been drawn yet."""

    def draws(*numbers):
        left = list(numbers)
        monkeypatch.setattr(secrets, "randbits", lambda bits: left.pop(0))
        return left

    return draws


@pytest.fixture
def place():
    """Place another order of one customer, whose id may be chosen."""
    customer, conference = shop.customer(), shop.conference_on_sale()

    def send(**options):
        order_id = options.pop("order_id", None) or new_id()
        lines = (Line("standard", 1),)
        order = PlaceOrder(order_id=order_id, customer_id=customer, conference_id=conference, lines=lines)
        return dispatch(order, **options)

    return send


def numbers():
    return [event.data["number"] for event in StoredEvent.objects.filter(type="order.placed").order_by("position")]


def test_a_number_that_is_taken_leads_to_another_one(draw, place):
    left = draw(5, 5, 5, 7)
    place()
    receipt = place()
    assert (numbers(), left) == ([order_number(5), order_number(7)], [])
    assert OrderSummary.objects.get(pk=receipt.stream_id).number == order_number(7)


def test_an_order_is_not_placed_as_long_as_only_taken_numbers_are_drawn(draw, place):
    draw(5)
    place()
    left = draw(*[5] * ATTEMPTS, 7)
    with nothing_written(), pytest.raises(ConcurrencyConflict):
        place()
    assert left == [7]


def test_the_same_command_again_has_the_same_number(draw, place):
    left = draw(5, 7)
    wish, order_id = new_id(), new_id()
    first = place(order_id=order_id, command_id=wish)
    again = place(order_id=order_id, command_id=wish)
    assert (again.repeated, again.recorded, left) == (True, first.recorded, [7])


def test_the_same_call_again_is_answered_with_the_same_number():
    customer, caller = callers.customer()
    body = placing(customer, shop.conference_on_sale(), id=str(new_id()))
    first, again = (caller.post("/orders", body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["number"] == again.json()["number"] == OrderSummary.objects.get().number


def test_ids_that_end_alike_do_not_make_numbers_alike(place):
    first = new_id()
    for each in range(3):
        place(order_id=UUID(int=first.int ^ each << 64))
    assert len(set(numbers())) == 3


@pytest.mark.parametrize("stored", ["BX-7K3MQ-9QWE2", "BX-1001-9QWE"])
def test_an_order_is_found_however_its_number_is_written(client, draw, place, stored):
    draw(1, 2)
    place()
    order = OrderSummary.objects.get(pk=place().stream_id)
    OrderSummary.objects.filter(pk=order.pk).update(number=stored)
    client.force_login(User.objects.create_superuser("root"))
    letters = stored.removeprefix("BX-")
    for written in (
        *(stored, stored.lower(), stored.replace("-", ""), stored.replace("-", " "), f" {stored} "),
        *(letters, letters.lower().replace("-", ""), f"BY-{letters}", f"B-{letters}", f"8X{letters}", f"BXX-{letters}"),
        stored.replace("1", "I").replace("0", "O"),
        stored.lower().replace("1", "l").replace("0", "o"),
    ):
        found = client.get(reverse("admin:ordering_ordersummary_changelist"), {"q": written}).context["cl"]
        assert found.result_list == [order], written
