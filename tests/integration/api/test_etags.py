"""Who has seen something is told whether it is shown otherwise by now, and changes nothing that is."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connections

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import SubscriberRow
from ordering.api import views
from ordering.domain.conference_changes import ChangeCancellationRule, RenameConference
from ordering.domain.customer import ChangeCustomer
from ordering.domain.order import CancelOrder, Order
from ordering.domain.terms import CancellationRule
from ordering.domain.values import Money, payment_id_of
from ordering.domain.waitlist import LeaveWaitlist, PrioritiseEntry, waitlist_id_of
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import assert_problem, nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")

RULE = CancellationRule(per_seat=Money(Decimal(10), "EUR"))


@pytest.fixture
def conference():
    return shop.conference_on_sale(capacity=10)


@pytest.fixture
def ada():
    return callers.customer()


@pytest.fixture
def order(conference, ada):
    customer, caller = ada
    return caller.post("/orders", placing(customer, conference, 2)).json()["id"]


def seats(quantity):
    return {"lines": [{"seat_type": "standard", "quantity": quantity}]}


def done(answer):
    assert answer.status_code in {200, 201, 202}, answer.content
    return answer


def play(caller, order, outcome, amount=None):
    """What the customer does at the provider's page."""
    body = {"outcome": outcome} | ({"amount": {"amount": amount, "currency": "EUR"}} if amount else {})
    done(caller.post(f"/sandbox/payments/{payment_id_of(UUID(order))}", body))


def feeding(status):
    """Whether anything comes to be read."""
    SubscriberRow.objects.filter(rank=1).update(status=status)


def test_the_tag_of_an_order_moves_with_all_that_becomes_of_it_and_of_its_money(conference, ada, order):
    _, caller = ada
    path = f"/orders/{order}"
    story = {
        "placed": lambda: None,
        "declined": lambda: play(caller, order, "declined"),
        "pending": lambda: play(caller, order, "pending"),
        "paid in part": lambda: play(caller, order, "accepted", "100.00"),
        "more to pay": lambda: done(caller.post(f"{path}/quantities", seats(3))),
        "paid": lambda: play(caller, order, "accepted", "298.50"),
        "paid twice": lambda: play(caller, order, "accepted", "298.51"),
        "a mail": lambda: done(caller.post(f"{path}/status-mail")),
        "fewer seats": lambda: done(caller.post(f"{path}/quantities", seats(1))),
        "more seats": lambda: done(caller.post(f"{path}/quantities", seats(4))),
        "another rule": lambda: dispatch(ChangeCancellationRule(conference_id=conference, rule=RULE)),
        "cancelled": lambda: done(caller.post(f"{path}/cancel")),
    }
    former: list[str] = []
    for step, happen in story.items():
        happen()
        bring_to_rest()
        etag = caller.get(path)["ETag"]
        assert etag not in former, step
        again = caller.get(path, If_None_Match=etag)
        assert (again.status_code, again["ETag"], again.content) == (304, etag, b""), step
        with nothing_written():
            assert_problem(caller.get(path, If_Match=former[-1] if former else '"1"'), 412, "version-conflict")
            refused = caller.post(f"{path}/quantities", seats(100), If_Match=etag)
            assert refused.status_code == 409, (step, refused.json()["code"])
            for each in former:
                assert_problem(caller.post(f"{path}/cancel", If_Match=each), 412, "version-conflict")
        former.append(etag)
    assert caller.get(path).json()["status"] == "refunded"


def a_customer(conference, customer, caller):
    return f"/customers/{customer}", [lambda: dispatch(ChangeCustomer(customer_id=customer, name="Ada King"))]


def a_conference(conference, customer, caller):
    return f"/conferences/{conference}", [
        lambda: shop.order(customer, conference),
        lambda: dispatch(RenameConference(conference_id=conference, name="EuroPython")),
        lambda: dispatch(ChangeCancellationRule(conference_id=conference, rule=RULE)),
    ]


def an_entry(conference, customer, caller):
    sold, waitlist = shop.order(shop.customer(), conference, 10), waitlist_id_of(conference)
    first, second = (shop.wait(shop.customer(), conference, 9) for _ in range(2))
    entry = done(caller.post("/waitlist", {"conference_id": str(conference), **seats(10)})).json()["id"]

    def prioritised(entry_id, priority):
        dispatch(PrioritiseEntry(waitlist_id=waitlist, entry_id=entry_id, priority=priority, reason="a speaker"))

    return f"/waitlist/{entry}", [
        lambda: dispatch(LeaveWaitlist(waitlist_id=waitlist, entry_id=first)),
        lambda: prioritised(UUID(entry), 1),
        lambda: prioritised(second, 2),
        lambda: prioritised(UUID(entry), 3),
        lambda: dispatch(CancelOrder(order_id=sold)),
        lambda: done(caller.post(f"/waitlist/{entry}/accept")),
    ]


def a_history(conference, customer, caller):
    order = shop.order(customer, conference)
    return f"/orders/{order}/history", [lambda: dispatch(CancelOrder(order_id=order))]


@pytest.mark.parametrize("what", [a_customer, a_conference, an_entry, a_history])
def test_the_tag_of_whatever_is_read_moves_with_what_is_shown_and_with_nothing_else(conference, ada, what):
    path, changes = what(conference, *ada)
    _, caller = ada
    for change in changes:
        before = caller.get(path)
        shop.order(shop.customer(), shop.conference_on_sale())
        assert caller.get(path, If_None_Match=before["ETag"]).status_code == 304
        change()
        bring_to_rest()
        after = caller.get(path, If_None_Match=before["ETag"])
        assert (after.status_code, after["ETag"] == before["ETag"]) == (200, False)
        assert after.json() != before.json()


def test_the_tag_of_what_is_told_by_settings_moves_with_them(conference, ada, order, settings):
    _, caller = ada
    before = {path: caller.get(path)["ETag"] for path in (f"/orders/{order}", f"/conferences/{conference}")}
    settings.PAYMENT_PROVIDER = "another"
    for path, etag in before.items():
        assert caller.get(path, If_None_Match=etag).status_code == 200


def test_an_order_as_it_was_has_the_same_tag_for_good(ada, order):
    clerk, then = callers.staff(), store.head()
    path = f"/orders/{order}?as_of={then}"
    etag = clerk.get(path)["ETag"]
    play(ada[1], order, "accepted")
    bring_to_rest()
    again = clerk.get(path, If_None_Match=etag)
    assert (again.status_code, again["ETag"], again["Event-Position"]) == (304, etag, str(then))
    assert clerk.get(f"/orders/{order}?as_of={store.head()}")["ETag"] != etag


@pytest.mark.parametrize("status", ["running", "halted"])
def test_who_cancels_what_was_paid_meanwhile_is_told_so(ada, order, status):
    _, caller = ada
    unpaid = caller.get(f"/orders/{order}")["ETag"]
    feeding(status)
    play(caller, order, "declined")
    with nothing_written():
        assert_problem(caller.post(f"/orders/{order}/cancel", If_Match=unpaid), 412, "version-conflict")
    assert repository.get(Order, UUID(order)).version == 1


@pytest.mark.parametrize("status", ["running", "halted"])
def test_a_write_has_the_tag_of_the_read_that_follows(conference, ada, order, status):
    customer, caller = ada
    feeding(status)
    shop.order(shop.customer(), conference, 7)
    changed = done(caller.post(f"/orders/{order}/quantities", seats(3)))
    first = done(caller.post("/waitlist", {"conference_id": str(conference), **seats(1)}))
    _, bob = callers.customer()
    entry = done(bob.post("/waitlist", {"conference_id": str(conference), **seats(1)}))
    assert (first.json()["ahead"], entry.json()["ahead"]) == (0, 1)
    known = done(bob.post("/waitlist", {"conference_id": str(conference), **seats(1)}))
    assert known["ETag"] == entry["ETag"]
    written = {
        (bob, f"/waitlist/{entry.json()['id']}"): known,
        (caller, f"/waitlist/{first.json()['id']}"): first,
        (caller, f"/customers/{customer}"): done(caller.patch(f"/customers/{customer}", {"name": "Ada King"})),
        (caller, f"/orders/{order}"): changed,
    }
    feeding("running")
    bring_to_rest()
    for (who, path), answer in written.items():
        assert who.get(path)["ETag"] == answer["ETag"], path


def test_each_write_of_an_order_answers_what_the_next_one_can_name(conference, ada):
    customer, caller = ada
    answer = done(caller.post("/orders", placing(customer, conference, 2)))
    path = f"/orders/{answer.json()['id']}"
    for call, body in (("payments", None), ("quantities", seats(3)), ("status-mail", None), ("cancel", None)):
        assert caller.get(path)["ETag"] == answer["ETag"]
        answer = done(caller.post(f"{path}/{call}", body, If_Match=answer["ETag"]))
    assert caller.get(path)["ETag"] == answer["ETag"]


def test_how_to_pay_is_told_only_who_has_seen_what_is_to_be_paid(ada, order):
    _, caller = ada
    stale = caller.get(f"/orders/{order}")["ETag"]
    done(caller.post(f"/orders/{order}/quantities", seats(3)))
    assert_problem(caller.post(f"/orders/{order}/payments", If_Match=stale), 412, "version-conflict")


def test_who_joins_a_waitlist_behind_others_changes_nothing_for_them(conference, ada):
    shop.order(shop.customer(), conference, 10)
    _, caller = ada
    answer = done(caller.post("/waitlist", {"conference_id": str(conference), **seats(1)}))
    path = f"/waitlist/{answer.json()['id']}"
    shop.wait(shop.customer(), conference)
    left = done(caller.call("DELETE", path, If_Match=answer["ETag"]))
    with nothing_written():
        assert_problem(caller.call("DELETE", path, If_Match=answer["ETag"]), 412, "version-conflict")
    assert caller.get(path)["ETag"] == left["ETag"]


def test_of_those_who_change_the_same_at_once_one_does(ada):
    customer, caller = ada
    path = f"/customers/{customer}"
    etag = caller.get(path)["ETag"]

    def patch(number):
        with closing(connections["default"]):
            return caller.patch(path, {"name": f"Ada {number}"}, If_Match=etag).status_code

    with ThreadPoolExecutor(4) as together:
        assert Counter(together.map(patch, range(4))) == {200: 1, 412: 3}
    assert store.version_of(customer) == 2


@pytest.mark.parametrize("shown", [True, False])
def test_what_comes_between_the_look_and_the_decision_counts_only_if_it_is_shown(conference, ada, shown, monkeypatch):
    shop.order(shop.customer(), conference, 10)
    first = shop.wait(shop.customer(), conference)
    _, caller = ada
    entry = done(caller.post("/waitlist", {"conference_id": str(conference), **seats(1)}))

    def late(command, **how):
        monkeypatch.undo()
        if shown:
            dispatch(LeaveWaitlist(waitlist_id=waitlist_id_of(conference), entry_id=first))
        else:
            shop.wait(shop.customer(), conference)
        return dispatch(command, **how)

    monkeypatch.setattr(views, "dispatch", late)
    answer = caller.call("DELETE", f"/waitlist/{entry.json()['id']}", If_Match=entry["ETag"])
    assert answer.status_code == (412 if shown else 200)


@pytest.mark.parametrize("path", ["/orders", "/customers", "/waitlist"])
def test_what_has_no_tag_is_not_as_anybody_has_seen_it(conference, ada, path):
    customer, caller = ada
    shop.order(shop.customer(), conference, 10)
    new = {"name": "Grace Hopper", "email": "grace@example.org"}
    wanted = {"conference_id": str(conference), **seats(1)}
    body = {"/orders": placing(customer, conference), "/customers": new, "/waitlist": wanted}[path]
    with nothing_written():
        assert_problem(caller.post(path, body, If_Match='"1"'), 412, "version-conflict")
    assert caller.post(path, body, If_Match="*").status_code == 201


def test_what_is_not_there_is_not_found_whatever_is_named(ada):
    _, caller = ada
    for path in (f"/orders/{UUID(int=1)}/cancel", f"/waitlist/{UUID(int=1)}/accept"):
        for named in ('"1"', "*"):
            assert_problem(caller.post(path, If_Match=named), 404, "not-found")


def test_a_customer_that_is_not_there_is_not_found_by_who_may_touch_any(conference):
    """Nor is something else of that id."""
    for customer_id in (new_id(), conference):
        for named in ('"1"', 'W/"1"', "*"):
            answer = callers.storefront().patch(f"/customers/{customer_id}", {"name": "Ada"}, If_Match=named)
            assert_problem(answer, 404, "not-found")
