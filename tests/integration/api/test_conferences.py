"""Conferences as clients read them, whatever staff have changed about them."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent
from eventstore.testing import only_handlers
from ordering.domain.conference_changes import (
    AddPool,
    AssignPools,
    CancelConference,
    CloseSales,
    HoldSeats,
    MoveConference,
    Pool,
    RepriceSeats,
)
from ordering.domain.values import Money
from ordering.models import ConferenceSummary
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, placing

pytestmark = pytest.mark.usefixtures("clean")

CHEAPER = Money(Decimal("79.00"), "EUR")


@pytest.fixture
def conference():
    return shop.conference_on_sale(capacity=10)


@pytest.fixture
def ada():
    return callers.customer()


def shown(conference: UUID):
    return Caller().get(f"/conferences/{conference}").json()


def available(conference: UUID) -> int:
    return shown(conference)["seat_types"][0]["available"]


def test_a_conference_without_a_place_is_in_utc(conference):
    answer = shown(conference)
    assert (answer["status"], answer["time_zone"], answer["place"]) == ("scheduled", "UTC", "")


def test_a_conference_has_a_place_a_time_zone_and_times_in_utc(conference):
    starts_at = datetime(2100, 3, 28, 7, tzinfo=UTC)
    dispatch(MoveConference(conference_id=conference, starts_at=starts_at, time_zone="Europe/Berlin", place="Gasteig"))
    answer = shown(conference)
    assert (answer["time_zone"], answer["place"]) == ("Europe/Berlin", "Gasteig")
    assert answer["starts_at"] == "2100-03-28T07:00:00Z"
    assert Caller().get("/conferences").json()["results"] == [answer]


def test_nobody_orders_while_sales_are_closed(conference, ada):
    customer, caller = ada
    dispatch(CloseSales(conference_id=conference, reason="The hall is in doubt."))
    assert shown(conference)["status"] == "sales_closed"
    assert_problem(caller.post("/orders", placing(customer, conference)), 409, "conference-not-on-sale")


def test_an_order_that_meets_a_cancelled_conference_is_refused(conference, ada):
    customer, caller = ada
    with only_handlers("seat-availability", "order-summaries"):
        order = caller.post("/orders", placing(customer, conference)).json()
    dispatch(CancelConference(conference_id=conference, reason="The hall has burnt down."))
    bring_to_rest()
    assert caller.get(f"/orders/{order['id']}").json()["status"] == "refused"
    assert StoredEvent.objects.get(type="seats.refused").data["reason"] == "conference-cancelled"
    assert shown(conference)["status"] == "cancelled"
    assert_problem(caller.post("/orders", placing(customer, conference)), 409, "conference-not-on-sale")


def test_an_order_costs_what_it_was_placed_at_though_the_price_changes_before_its_seats_are_reserved(conference, ada):
    customer, caller = ada
    with only_handlers("seat-availability", "order-summaries"):
        order = caller.post("/orders", placing(customer, conference, 2)).json()
    dispatch(RepriceSeats(conference_id=conference, seat_type="standard", price=CHEAPER))
    bring_to_rest()
    assert StoredEvent.objects.get(type="seats.reserved").data["total"] == {"amount": "199.00", "currency": "EUR"}
    shop.pay(UUID(order["id"]), 2)
    assert caller.get(f"/orders/{order['id']}").json()["status"] == "confirmed"
    assert shown(conference)["seat_types"][0]["price"] == msgspec.to_builtins(CHEAPER)
    later = caller.post("/orders", placing(customer, conference)).json()
    assert later["total"] == {"amount": "79.00", "currency": "EUR"}


def test_what_is_available_counts_holds_and_pools(conference, ada):
    customer, caller = ada
    dispatch(AddPool(conference_id=conference, pool=Pool("hall", "Hall", 5)))
    dispatch(AssignPools(conference_id=conference, seat_type="standard", pools=("hall",)))
    dispatch(
        HoldSeats(
            conference_id=conference,
            hold_id=new_id(),
            seat_type="standard",
            quantity=3,
            label="Speakers",
            reason="Free entry.",
        )
    )
    assert available(conference) == 2
    assert caller.post("/orders", placing(customer, conference, 3)).json()["status"] == "refused"
    order = caller.post("/orders", placing(customer, conference, 2)).json()
    assert (order["status"], available(conference)) == ("awaiting_payment", 0)
    caller.post(f"/orders/{order['id']}/cancel", {})
    assert available(conference) == 2
    assert set(shown(conference)["seat_types"][0]) == {
        *("code", "name", "price", "capacity", "available", "max_per_order", "min_per_order")
    }
    assert ConferenceSummary.objects.get(pk=conference).pools["hall"]["held"] == 3
