"""A call with an `Idempotency-Key` is carried out once, and each repeat is answered as the first time."""

import json
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from knox.models import AuthToken

from eventstore import advisory_locks, queries, store
from eventstore.commands import dispatch
from ordering.api import idempotency
from ordering.domain.order import CancelOrder
from ordering.domain.values import payment_id_of
from ordering.models import KeyedCall
from ordering.tasks import forget_keyed_calls
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written, placing
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")


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


@pytest.fixture
def someone(ada, conference, order):
    """Makes any write, each with what it is about."""
    customer, caller = ada
    return Writes(customer, caller, conference, order)


class Writes:
    """Every write of the API that takes a key, by its name."""

    def __init__(self, customer: UUID, caller: Caller, conference: UUID, order: str) -> None:
        self.customer, self.caller, self.conference, self.order = customer, caller, conference, order
        self.merged, self.left = False, ""

    def __call__(self, name: str, key: str) -> Any:
        return getattr(self, name)({"Idempotency-Key": key})

    def register(self, key):
        body = {"name": "Grace Hopper", "email": "grace@example.com", "password": callers.PASSWORD}
        return Caller().post("/customers", body, **key)

    def change(self, key):
        return self.caller.patch(f"/customers/{self.customer}", {"name": "Ada Byron"}, **key)

    def merge(self, key):
        """A part of an address."""
        if not self.merged:
            whole = {"street": "1 High Street", "city": "London", "postal_code": "N1", "country": "GB"}
            self.merged = self.caller.patch(f"/customers/{self.customer}", {"address": whole}).status_code == 200
        return self.caller.patch(f"/customers/{self.customer}", {"address": {"city": "Leeds"}}, **key)

    def place(self, key):
        body = placing(self.customer, self.conference, 1)
        return self.caller.post("/orders", {name: body[name] for name in body if name != "id"}, **key)

    def quantities(self, key):
        lines = [{"seat_type": "standard", "quantity": 1}]
        return self.caller.post(f"/orders/{self.order}/quantities", {"lines": lines}, **key)

    def cancel(self, key):
        return self.caller.post(f"/orders/{self.order}/cancel", {"reason": "ill"}, **key)

    def pay(self, key):
        return self.caller.post(f"/orders/{self.order}/payments", {}, **key)

    def play(self, key):
        path = f"/sandbox/payments/{payment_id_of(UUID(self.order))}"
        return self.caller.post(path, {"outcome": "accepted"}, **key)

    def mail(self, key):
        return self.caller.post(f"/orders/{self.order}/status-mail", **key)

    def join(self, key):
        lines = [{"seat_type": "standard", "quantity": 1}]
        return self.caller.post("/waitlist", {"conference_id": str(self.sold_out), "lines": lines}, **key)

    def leave(self, key):
        entry = self.join({}).json()["id"] if not self.left else self.left
        self.left = entry
        return self.caller.call("DELETE", f"/waitlist/{entry}", **key)

    @cached_property
    def sold_out(self):
        conference = shop.conference_on_sale(1)
        shop.order(shop.customer(), conference, 1)
        return conference


NAMES = ["register", "change", "merge", "place", "quantities", "cancel", "pay", "play", "mail", "join", "leave"]


def same(first, again):
    """What clients read of two answers is one answer."""
    for name in ("ETag", "Event-Position", "Location", "Content-Type", "X-Correlation-Id"):
        assert again.headers.get(name) == first.headers.get(name)
    return (again.status_code, again.content) == (first.status_code, first.content)


@pytest.mark.usefixtures("quick_passwords")
@pytest.mark.parametrize("name", NAMES)
def test_a_repeat_is_answered_as_the_first_time(someone, name):
    first = someone(name, "k-1")
    assert first.status_code in {200, 201, 202}, first.content
    assert "Idempotent-Replayed" not in first.headers
    bring_to_rest()
    with nothing_written():
        again = someone(name, "k-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert same(first, again)


@pytest.mark.usefixtures("quick_passwords")
@pytest.mark.parametrize("name", NAMES)
def test_a_repeat_of_what_was_cut_off_finds_what_was_recorded(someone, name):
    """The first was committed, and whoever had it died before there was an answer."""
    first = someone(name, "k-1")
    bring_to_rest()
    KeyedCall.objects.update(answer=None)
    with nothing_written():
        again = someone(name, "k-1")
    assert again.status_code == first.status_code, again.content
    assert "Idempotent-Replayed" not in again.headers
    if "id" in first.json():
        assert again.json()["id"] == first.json()["id"]
    assert same(again, someone(name, "k-1"))


def test_another_key_is_another_call(someone):
    first, second = someone("place", "k-1"), someone("place", "k-2")
    assert first.json()["id"] != second.json()["id"]
    assert "Idempotent-Replayed" not in second.headers


def test_a_refusal_is_kept_as_well(ada, conference, order):
    """Of what is possible by now only another key tells."""
    others = shop.order(shop.customer(), conference, 8)
    more = {"lines": [{"seat_type": "standard", "quantity": 3}]}
    first = ada[1].post(f"/orders/{order}/quantities", more, Idempotency_Key="k-1")
    problem = assert_problem(first, 409, "not-enough-seats")
    dispatch(CancelOrder(order_id=others))
    bring_to_rest()
    again = ada[1].post(f"/orders/{order}/quantities", more, Idempotency_Key="k-1")
    assert assert_problem(again, 409, "not-enough-seats") == problem
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ada[1].post(f"/orders/{order}/quantities", more, Idempotency_Key="k-2").status_code == 200


def test_what_was_not_understood_is_not_kept(ada, conference):
    customer, caller = ada
    wrong = placing(customer, conference, 0)
    assert_problem(caller.post("/orders", wrong, Idempotency_Key="k-1"), 400, "invalid")
    assert not KeyedCall.objects.exists()
    right = caller.post("/orders", placing(customer, conference, 1), Idempotency_Key="k-1")
    assert right.status_code == 201


def test_a_key_belongs_to_one_body(someone, ada):
    someone("change", "k-1")
    with nothing_written():
        other = ada[1].patch(f"/customers/{ada[0]}", {"name": "Somebody else"}, Idempotency_Key="k-1")
    assert_problem(other, 422, "idempotency-key-reused")
    assert "Idempotent-Replayed" not in other.headers
    spaced = b'{ "name" : "Ada Byron" }'
    assert ada[1].patch(f"/customers/{ada[0]}", spaced, Idempotency_Key="k-1").status_code == 200


def test_a_key_belongs_to_one_caller_and_to_one_path(conference):
    (ada, hers), (bob, his) = callers.customer(), callers.customer()
    first = hers.post("/orders", placing(ada, conference, 1), Idempotency_Key="k-1")
    second = his.post("/orders", placing(bob, conference, 1), Idempotency_Key="k-1")
    assert (first.status_code, second.status_code) == (201, 201)
    third = hers.patch(f"/customers/{ada}", {"name": "Ada Byron"}, Idempotency_Key="k-1")
    assert third.status_code == 200
    assert "Idempotent-Replayed" not in third.headers


def test_while_the_first_is_under_way_a_repeat_is_told_so(someone, ada):
    someone("change", "k-1")
    digest = KeyedCall.objects.values_list("digest", flat=True).get()
    with closing(raw.connect("owner")) as another, nothing_written():
        another.execute(queries.TRY_SLOT, [advisory_locks.KEYED_CALL, digest])
        again = someone("change", "k-1")
        assert_problem(again, 409, "idempotency-in-progress")
        assert again.headers["Retry-After"] == "1"
    assert someone("change", "k-1").headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "k" * 256])
def test_a_key_is_some_visible_characters(ada, key):
    with nothing_written():
        answer = ada[1].patch(f"/customers/{ada[0]}", {"name": "Ada Byron"}, Idempotency_Key=key)
    problem = assert_problem(answer, 400, "invalid")
    assert "Idempotency-Key" in problem["errors"][0]["detail"]


def test_reads_need_no_key(ada):
    assert ada[1].get(f"/customers/{ada[0]}", Idempotency_Key="k-1").status_code == 200
    assert not KeyedCall.objects.exists()


def test_a_dry_run_uses_up_no_key(ada):
    path, body = f"/customers/{ada[0]}", {"name": "Ada Byron"}
    for _ in range(2):
        foreseen = ada[1].patch(f"{path}?dry_run=true", body, Idempotency_Key="k-1")
        assert [each["type"] for each in foreseen.json()["would_record"]] == ["customer.renamed"]
    assert not KeyedCall.objects.exists()
    done = ada[1].patch(path, body, Idempotency_Key="k-1")
    assert "Idempotent-Replayed" not in done.headers
    with nothing_written():
        foreseen = ada[1].patch(f"{path}?dry_run=true", body, Idempotency_Key="k-1")
    assert foreseen.json() == {"would_record": []}


def test_no_token_is_kept(ada, quick_passwords):
    user = User.objects.get()
    user.set_password(callers.PASSWORD)
    user.save()
    body = {"email": user.username, "password": callers.PASSWORD}
    first, second = (Caller().post("/auth/token", body, Idempotency_Key="k-1").json()["token"] for _ in range(2))
    assert first != second
    assert AuthToken.objects.filter(user=user).count() == 2
    assert not KeyedCall.objects.exists()


def test_nobody_reads_a_kept_answer_without_its_key(someone, settings):
    first = someone("change", f"{uuid4()}")
    kept = KeyedCall.objects.get().answer
    assert kept is not None
    assert b"Byron" in first.content
    assert b"Byron" not in bytes(kept)


def test_a_kept_answer_outlives_a_change_of_the_secret(someone, settings):
    first = someone("change", "k-1")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 10, [settings.SECRET_KEY]
    assert same(first, someone("change", "k-1"))


def test_once_the_secret_is_lost_a_repeat_is_refused_and_does_nothing(someone, settings):
    """Nobody can tell by then whether it says the same."""
    someone("change", "k-1")
    settings.SECRET_KEY = "another" * 10
    with nothing_written():
        assert_problem(someone("change", "k-1"), 422, "idempotency-key-reused")


def test_what_is_kept_of_a_body_does_not_lead_back_to_it(someone, quick_passwords):
    """Else a password could be guessed from it, as fast as one likes."""
    someone("register", "k-1")
    body = {"name": "Grace Hopper", "email": "grace@example.com", "password": callers.PASSWORD}
    plain = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    kept = KeyedCall.objects.get()
    assert len(kept.body_digest) == len(plain)
    assert kept.body_digest != plain
    KeyedCall.objects.all().delete()
    someone("register", "k-2")
    assert KeyedCall.objects.get().body_digest != kept.body_digest


def test_a_key_is_forgotten_after_its_time(someone):
    first = someone("mail", "k-1")
    someone("change", "k-2")
    assert idempotency.forget() == 0
    KeyedCall.objects.filter(pk=KeyedCall.objects.order_by("begun_at")[0].pk).update(
        begun_at=Now() - timedelta(hours=25)
    )
    forget_keyed_calls()
    assert KeyedCall.objects.count() == 1
    assert first.status_code == 202
    assert_problem(someone("mail", "k-1"), 409, "status-mail-too-soon")


def test_what_was_asked_for_without_a_key_is_recorded_each_time(ada):
    before = store.head()
    for name in ("Ada Byron", "Ada King"):
        assert ada[1].patch(f"/customers/{ada[0]}", {"name": name}).status_code == 200
    assert store.head() == before + 2
    assert not KeyedCall.objects.exists()
