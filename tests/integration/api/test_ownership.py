"""Who may see and touch what: somebody else's does not exist."""

from uuid import UUID

import pytest

from ordering.domain.values import payment_id_of
from ordering.models import CustomerProfile, OrderSummary
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def ada():
    return callers.customer()


@pytest.fixture
def order(ada):
    customer, caller = ada
    return UUID(caller.post("/orders", placing(customer, shop.conference_on_sale())).json()["id"])


@pytest.fixture
def calls(ada, order):
    """Everything that one can do to a customer and an order."""
    return [
        ("GET", f"/customers/{ada[0]}", None),
        ("GET", f"/orders/{order}", None),
        ("GET", f"/orders/{order}/history", None),
        ("PATCH", f"/customers/{ada[0]}", {"name": "Mallory"}),
        ("POST", f"/orders/{order}/status-mail", None),
        ("POST", f"/sandbox/payments/{payment_id_of(order)}", {"outcome": "declined"}),
        ("POST", f"/orders/{order}/cancel", {}),
    ]


def test_what_is_anothers_does_not_exist(calls):
    _, mallory = callers.customer()
    with nothing_written():
        for call in calls:
            assert_problem(mallory.call(*call), 404, "not-found")
    assert mallory.get("/orders").json()["results"] == []


def test_what_is_anothers_does_not_exist_even_where_it_cannot_be_read_yet(calls):
    _, mallory = callers.customer()
    OrderSummary.objects.all().delete()
    CustomerProfile.objects.all().delete()
    for call in calls:
        assert_problem(mallory.call(*call), 404, "not-found")


def test_anothers_orders_cannot_be_listed_by_asking_for_them(ada, order):
    _, mallory = callers.customer()
    assert mallory.get(f"/orders?customer_id={ada[0]}").json()["results"] == []


def test_nobody_orders_in_anothers_name(ada):
    _, mallory = callers.customer()
    conference = shop.conference_on_sale()
    with nothing_written():
        assert_problem(mallory.post("/orders", placing(ada[0], conference)), 409, "customer-not-found")


def test_whoever_is_nobody_is_asked_who_they_are(calls):
    with nothing_written():
        for call in calls:
            response = Caller().call(*call)
            assert_problem(response, 401, "not-authenticated")
            assert response.headers["WWW-Authenticate"] == "Token"


def test_a_login_that_is_no_customer_sees_nothing(calls):
    from django.contrib.auth.models import User

    nobody = callers.caller_for(User.objects.create(username="nobody"))
    for call in calls:
        assert_problem(nobody.call(*call), 404, "not-found")
    assert nobody.get("/orders").json()["results"] == []


def test_the_storefront_acts_for_any_customer(ada, calls):
    storefront = callers.storefront()
    for call in calls:
        assert storefront.call(*call).status_code in {200, 202}
    assert storefront.post("/orders", placing(ada[0], shop.conference_on_sale())).status_code == 201
    assert len(storefront.get("/orders").json()["results"]) == 2


def test_staff_see_all_and_touch_nothing(ada, order, calls):
    staff = callers.staff()
    assert [each["id"] for each in staff.get("/orders").json()["results"]] == [str(order)]
    with nothing_written():
        for method, path, body in calls:
            answer = staff.call(method, path, body)
            if method == "GET":
                assert answer.status_code == 200
            else:
                assert_problem(answer, 403, "permission-denied")
