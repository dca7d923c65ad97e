"""Who may see and touch what: somebody else's does not exist."""

from uuid import UUID

import pytest

from eventstore.commands import dispatch
from eventstore.context import new_id
from ordering.domain.conference_changes import HoldSeats
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
def entry(ada):
    """Of a waitlist."""
    sold_out = shop.conference_on_sale(1)
    dispatch(
        HoldSeats(
            conference_id=sold_out,
            hold_id=new_id(),
            seat_type="standard",
            quantity=1,
            label="Speakers",
            reason="They speak.",
        )
    )
    return shop.wait(ada[0], sold_out)


@pytest.fixture
def calls(ada, order, entry):
    """Everything that one can do to a customer, an order and an entry of a waitlist."""
    return [
        ("GET", f"/customers/{ada[0]}", None),
        ("GET", f"/orders/{order}", None),
        ("GET", f"/orders/{order}/history", None),
        ("PATCH", f"/customers/{ada[0]}", {"name": "Mallory"}),
        ("POST", f"/orders/{order}/status-mail", None),
        ("POST", f"/sandbox/payments/{payment_id_of(order)}", {"outcome": "declined"}),
        ("POST", f"/orders/{order}/cancel", {}),
        ("GET", f"/waitlist/{entry}", None),
        ("DELETE", f"/waitlist/{entry}", None),
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


@pytest.mark.parametrize("seen", callers.SEEN)
def test_staff_see_no_more_than_they_may_view_in_the_admin(ada, order, calls, seen):
    about = {"customers": "customerprofile", "orders": "ordersummary", "sandbox": "ordersummary"}
    clerk = callers.staff(sees=[seen])
    with nothing_written():
        for method, path, body in calls:
            answer = clerk.call(method, path, body)
            if about.get(path.split("/")[1], "waitlistentry") != seen:
                assert_problem(answer, 404, "not-found")
            elif method == "GET":
                assert answer.status_code == 200
            else:
                assert_problem(answer, 403, "permission-denied")
    listed = {path: bool(clerk.get(path).json()["results"]) for path in ("/orders", "/waitlist")}
    assert listed == {"/orders": seen == "ordersummary", "/waitlist": seen == "waitlistentry"}
    assert clerk.get(f"/orders/{order}?as_of=2001-01-01T00:00:00Z").status_code == 404


def test_what_staff_have_as_customers_they_see_without_any_permission(ada, order):
    from django.contrib.auth.models import User

    User.objects.update(is_staff=True)
    assert [each["id"] for each in ada[1].get("/orders").json()["results"]] == [str(order)]
    assert ada[1].get(f"/customers/{ada[0]}").status_code == 200


def test_who_was_staff_sees_nothing_any_more(ada, order):
    from django.contrib.auth.models import User

    clerk = callers.staff()
    User.objects.filter(username__startswith="staff-").update(is_staff=False)
    assert_problem(clerk.get(f"/orders/{order}"), 404, "not-found")
