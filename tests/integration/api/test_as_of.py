"""An order as it was, for staff: what the API said of it at each position, whatever has happened since."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import StoredEvent
from ordering.domain.order import CancelOrder
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api.caller import Caller, assert_problem, customer, nothing_written, staff, storefront

pytestmark = pytest.mark.usefixtures("clean")

OF_NOW = ("cancellation", "pay_url", "how_to_pay")
"""What only concerns who acts on an order now."""


@pytest.fixture
def ada():
    return customer()


@pytest.fixture
def order(ada):
    placed = shop.order(ada[0], shop.conference_on_sale())
    bring_to_rest(deliver=False)
    return placed


def without_now(told):
    """The same without what only concerns who acts on it now."""
    if isinstance(told, dict):
        return {name: without_now(value) for name, value in told.items() if name not in OF_NOW}
    return [without_now(each) for each in told] if isinstance(told, list) else told


def all_of_now(told):
    return [told["cancellation"], *(told["payment"][name] for name in OF_NOW[1:])]


def test_at_each_position_it_is_what_was_said_then(order):
    clerk, said = staff(), {}

    def note():
        bring_to_rest(deliver=False)
        said[store.head()] = clerk.get(f"/orders/{order}").json()

    note()
    shop.pay(order)
    note()
    shop.pay(order, reference="TWICE")
    note()
    dispatch(CancelOrder(order_id=order, reason="a trial"))
    note()
    assert len({told["status"] for told in said.values()}) > 2
    for position, told in said.items():
        answer = clerk.get(f"/orders/{order}?as_of={position}")
        assert without_now(answer.json()) == without_now(told), position
        assert all_of_now(answer.json()) == [None, None, None]
        assert answer.headers["Event-Position"] == str(position)


def test_at_a_time_all_had_happened_that_was_recorded_by_then(order):
    last = StoredEvent.objects.latest("position")
    shop.pay(order)
    bring_to_rest(deliver=False)
    asked = quote(last.recorded_at.isoformat())
    told = staff().get(f"/orders/{order}?as_of={asked}")
    assert (told.json()["status"], told.headers["Event-Position"]) == ("awaiting_payment", str(last.position))
    just_before = quote((last.recorded_at - timedelta(microseconds=1)).isoformat())
    assert int(staff().get(f"/orders/{order}?as_of={just_before}").headers["Event-Position"]) < last.position


def test_before_it_was_placed_it_is_not_there(order):
    placed = StoredEvent.objects.get(type="order.placed").position
    assert staff().get(f"/orders/{order}?as_of={placed}").json()["status"] == "placed"
    assert_problem(staff().get(f"/orders/{order}?as_of={placed - 1}"), 404, "not-found")
    assert_problem(staff().get(f"/orders/{order}?as_of=2001-01-01T00:00:00Z"), 404, "not-found")


def test_only_staff_are_told(ada, order):
    for caller in (ada[1], storefront()):
        assert_problem(caller.get(f"/orders/{order}?as_of=1"), 403, "permission-denied")
    assert_problem(customer()[1].get(f"/orders/{order}?as_of=1"), 404, "not-found")
    assert_problem(Caller().get(f"/orders/{order}?as_of=1"), 401, "not-authenticated")


def test_what_is_no_position_and_no_time_or_is_yet_to_come_is_refused(order):
    beyond, tomorrow = store.head() + 1, quote((timezone.now() + timedelta(days=1)).isoformat())
    with nothing_written():
        for asked in (beyond, 10**18 - 1, tomorrow, "9999-12-31T23:59:59Z", "-1", "soon", "", "1.5", "2030-13-01"):
            body = assert_problem(staff().get(f"/orders/{order}?as_of={asked}"), 400, "invalid")
            assert [error["pointer"] for error in body["errors"]] == ["/as_of"], asked
