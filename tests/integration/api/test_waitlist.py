"""The waitlist over the API: joining, one's place, leaving, and the answer to an offer."""

import pytest

from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import ParkedEvent, StoredEvent, SubscriberRow
from ordering import conf
from ordering.domain.conference_changes import CloseSales, ReopenSales
from ordering.domain.order import CancelOrder
from ordering.models import WaitlistEntry
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import assert_problem, nothing_written

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def sold_out():
    """A conference, and the order that has both of its seats."""
    conference = shop.conference_on_sale(2)
    return conference, shop.order(shop.customer(), conference, 2)


@pytest.fixture
def ada():
    return callers.customer()


def wanting(conference, seats=1, **more):
    lines = [{"seat_type": "standard", "quantity": seats}]
    return {"conference_id": str(conference), "lines": lines, **more}


def joined(caller, conference, seats=1):
    answer = caller.post("/waitlist", wanting(conference, seats))
    assert answer.status_code == 201, answer.content
    return answer.json()


def freed(order):
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()


def test_who_joins_by_wish_is_told_the_place_in_the_line(sold_out, ada):
    conference, _ = sold_out
    customer, caller = ada
    first = shop.wait(shop.customer(), conference)
    answer = caller.post("/waitlist", wanting(conference, 2))
    entry = answer.json()
    assert (answer.status_code, answer["ETag"][:3], int(answer["Event-Position"]) > 0) == (201, '"2-', True)
    assert answer["Location"].endswith(f"/api/v1/waitlist/{entry['id']}")
    assert (entry["customer_id"], entry["status"], entry["ahead"]) == (str(customer), "waiting", 1)
    assert entry["lines"] == [{"seat_type": "standard", "quantity": 2}]
    assert caller.get(answer["Location"].split("/api/v1")[1]).json() == entry
    assert [each["id"] for each in caller.get("/waitlist").json()["results"]] == [entry["id"]]
    everybody = callers.staff().get(f"/waitlist?conference_id={conference}&status=waiting").json()["results"]
    assert [(each["id"], each["ahead"]) for each in everybody] == [(entry["id"], 1), (str(first), 0)]


def test_who_was_refused_an_order_finds_an_entry_that_names_it(sold_out, ada):
    conference, _ = sold_out
    customer, caller = ada
    order = shop.order(customer, conference, 2)
    bring_to_rest()
    (entry,) = caller.get("/waitlist").json()["results"]
    assert (entry["refused_order_id"], entry["status"], entry["ahead"]) == (str(order), "waiting", 0)


def test_the_same_wish_again_is_answered_with_the_entry_and_another_one_refused(sold_out, ada):
    conference, _ = sold_out
    _, caller = ada
    entry = joined(caller, conference)
    with nothing_written():
        again = caller.post("/waitlist", wanting(conference), If_None_Match="*")
        assert (again.status_code, again.json()["id"]) == (200, entry["id"])
        assert_problem(caller.post("/waitlist", wanting(conference, 2)), 409, "already-waiting")


def test_what_can_not_be_waited_for_is_refused(sold_out, ada):
    conference, _ = sold_out
    _, caller = ada
    free, somebody_else = shop.conference_on_sale(), shop.customer()
    storefront = callers.storefront()
    with nothing_written():
        assert_problem(caller.post("/waitlist", wanting(free)), 409, "seats-free")
        assert_problem(caller.post("/waitlist", wanting(new_id())), 409, "conference-not-found")
        assert_problem(caller.post("/waitlist", wanting(conference, 11)), 409, "too-many-seats")
        assert_problem(caller.post("/waitlist", wanting(conference, 0)), 400, "invalid")
        assert_problem(caller.post("/waitlist", wanting(conference, id=str(new_id()))), 400, "invalid")
        another = wanting(conference, customer_id=str(somebody_else))
        assert_problem(caller.post("/waitlist", another), 409, "customer-not-found")
        assert_problem(storefront.post("/waitlist", wanting(conference)), 400, "invalid")
        assert_problem(callers.Caller().post("/waitlist", wanting(conference)), 401, "not-authenticated")


def test_the_storefront_joins_for_a_customer(sold_out, ada):
    conference, _ = sold_out
    customer, _ = ada
    answer = callers.storefront().post("/waitlist", wanting(conference, customer_id=str(customer)))
    assert (answer.status_code, answer.json()["customer_id"]) == (201, str(customer))


def test_seats_that_become_free_are_offered_and_accepted_and_accepting_again_says_the_same(sold_out, ada):
    conference, order = sold_out
    _, caller = ada
    path = f"/waitlist/{joined(caller, conference, 2)['id']}"
    assert_problem(caller.post(f"{path}/accept"), 409, "offer-over")
    freed(order)
    offered = caller.get(path).json()
    assert (offered["status"], offered["ahead"], offered["order_id"]) == ("offered", None, None)
    assert offered["offered_until"]
    answer = caller.post(f"{path}/accept")
    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
    bring_to_rest()
    placed = caller.get(f"/orders/{answer.json()['order_id']}").json()
    assert (placed["status"], placed["lines"][0]["quantity"]) == ("awaiting_payment", 2)
    with nothing_written():
        again = caller.post(f"{path}/accept")
        assert (again.status_code, again.json()) == (200, answer.json())
        followed = StoredEvent.objects.filter(type="payment.requested").latest("position")
        assert int(again["Event-Position"]) == followed.position > int(answer["Event-Position"])
        assert_problem(caller.post(f"{path}/decline"), 409, "waitlist-entry-not-found")


def test_an_offer_that_is_declined_is_over_and_the_next_has_it(sold_out, ada):
    conference, order = sold_out
    _, caller = ada
    _, bob = callers.customer()
    mine, next_one = joined(caller, conference, 2), joined(bob, conference, 2)
    freed(order)
    answer = caller.post(f"/waitlist/{mine['id']}/decline")
    assert (answer.status_code, answer.json()["status"]) == (200, "declined")
    bring_to_rest()
    assert bob.get(f"/waitlist/{next_one['id']}").json()["status"] == "offered"


def test_an_offer_that_lapsed_can_not_be_accepted(sold_out, ada):
    conference, order = sold_out
    _, caller = ada
    path = f"/waitlist/{joined(caller, conference)['id']}"
    freed(order)
    let_pass(conf.offered_for())
    bring_to_rest()
    assert caller.get(path).json()["status"] == "lapsed"
    with nothing_written():
        assert_problem(caller.post(f"{path}/accept"), 409, "waitlist-entry-not-found")


def test_an_offer_can_not_be_accepted_while_sales_are_closed_but_afterwards(sold_out, ada):
    conference, order = sold_out
    _, caller = ada
    path = f"/waitlist/{joined(caller, conference)['id']}"
    freed(order)
    dispatch(CloseSales(conference_id=conference, reason="The hall is in doubt."))
    with nothing_written():
        assert_problem(caller.post(f"{path}/accept"), 409, "conference-not-on-sale")
    dispatch(ReopenSales(conference_id=conference))
    assert caller.post(f"{path}/accept").status_code == 200


def test_who_leaves_is_off_the_list_and_may_join_again_at_its_end(sold_out, ada):
    conference, _ = sold_out
    _, caller = ada
    _, bob = callers.customer()
    entry = joined(caller, conference)
    joined(bob, conference)
    for _ in range(2):
        answer = caller.delete(f"/waitlist/{entry['id']}")
        assert (answer.status_code, answer.json()["status"], answer.json()["ahead"]) == (200, "left", None)
    assert joined(caller, conference)["ahead"] == 1


def test_one_page_follows_another(sold_out, ada):
    conference, _ = sold_out
    entries = [shop.wait(shop.customer(), conference) for _ in range(3)]
    staff = callers.staff()
    first = staff.get(f"/waitlist?conference_id={conference}&limit=2").json()
    second = staff.get(first["next"].split("/api/v1")[1]).json()
    assert [each["id"] for each in first["results"] + second["results"]] == [str(each) for each in entries[::-1]]
    assert second["next"] is None


def test_an_entry_that_can_not_be_read_yet_is_told_from_one_that_is_not_there(sold_out, ada):
    conference, _ = sold_out
    _, caller = ada
    entry = joined(caller, conference)
    row = WaitlistEntry.objects.get(pk=entry["id"])
    row.delete()
    behind = SubscriberRow.objects.filter(pk="waitlist-entries")
    behind.update(checkpoint=row.as_of - 1)
    answer = caller.get(f"/waitlist/{entry['id']}")
    assert (answer.status_code, answer.json()["position"], answer["Retry-After"]) == (202, row.as_of, "1")
    left = caller.delete(f"/waitlist/{entry['id']}")
    assert (left.status_code, left.json()["status"]) == (200, "left")
    assert_problem(caller.get(f"/waitlist/{new_id()}"), 404, "not-found")


def test_an_entry_whose_events_are_parked_is_pending(sold_out, ada):
    conference, _ = sold_out
    _, caller = ada
    entry = joined(caller, conference)
    row = WaitlistEntry.objects.get(pk=entry["id"])
    row.delete()
    ParkedEvent.objects.create(subscriber="waitlist-entries", key=entry["id"], position=row.as_of, error="no")
    assert caller.get(f"/waitlist/{entry['id']}").status_code == 202
