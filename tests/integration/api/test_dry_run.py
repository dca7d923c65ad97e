"""With `?dry_run=true` a write says what it would record, or is refused as ever, and leaves no trace."""

from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from knox.models import AuthToken

from eventstore import advisory_locks, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import StoredEvent, SubscriberRow
from ordering.domain.conference_changes import ChangeCancellationRule, ChangeProviders, CloseSales
from ordering.domain.order import CancelOrder
from ordering.domain.terms import CancellationRule
from ordering.domain.values import Money, payment_id_of
from ordering.models import OrderSummary, WaitlistEntry
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import PASSWORD, V1, Caller, assert_problem, placing
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

DRY = "?dry_run=true"
TABLES = "SELECT format('%I', relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
LOCK_STREAMS = """SELECT pg_advisory_lock(%s, hashtext(stream_id::text))
    FROM (SELECT DISTINCT stream_id FROM eventstore_event) AS streams"""
LOCK_CLAIMS = "SELECT pg_advisory_lock(%s, hashtext(hash)) FROM eventstore_claim"
FEE = CancellationRule(per_seat=Money(Decimal(10), "EUR"))


def everything():
    """What every table holds, and how far every sequence is."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        digest = "SELECT md5(string_agg(each::text, ',' ORDER BY each::text)) FROM {} AS each"
        queries = {table: digest.format(table) for (table,) in cursor.fetchall()}
        assert "eventstore_event" in queries
        queries["sequences"] = SEQUENCES
        found = {}
        for name, query in queries.items():
            cursor.execute(query)
            found[name] = cursor.fetchall()
        return found


@contextmanager
def only_read():
    """Whoever wants to write inside is refused by the database, and whoever waits for a lock that a writer could hold,
    or that a decision takes, fails soon. Nothing is another afterwards.
    """
    before = everything()
    with closing(raw.connect("owner")) as owner, closing(raw.connect()) as other, connection.cursor() as cursor:
        for (table,) in owner.execute(TABLES).fetchall():
            owner.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        other.execute(LOCK_STREAMS, [advisory_locks.STREAM])
        other.execute(LOCK_CLAIMS, [advisory_locks.CLAIM])
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute("SET lock_timeout = '5s'")
        try:
            yield
        finally:
            cursor.execute("RESET default_transaction_read_only")
            cursor.execute("RESET lock_timeout")
    assert everything() == before


def types(answer):
    assert answer.status_code == 200, answer.content
    return [each["type"] for each in answer.json()["would_record"]]


def recorded_since(position):
    return list(StoredEvent.objects.filter(position__gt=position).order_by("position").values_list("type", flat=True))


class World(NamedTuple):
    """A conference with free seats, one without, a customer with an order of each kind, and the entries of others."""

    free: UUID
    sold_out: UUID
    customer: UUID
    caller: Caller
    open_order: UUID
    paid_order: UUID
    entry: UUID
    offered: UUID


@pytest.fixture
def world(settings):
    settings.BANK_TRANSFER_HOLDER, settings.BANK_TRANSFER_BIC = "Boxoffice Ltd", "COBADEFFXXX"
    settings.BANK_TRANSFER_IBAN = "DE89370400440532013000"
    customer, caller = callers.customer()
    free, sold_out, was_full = (shop.conference_on_sale(capacity) for capacity in (10, 1, 2))
    dispatch(ChangeProviders(conference_id=free, providers=("sandbox", "bank-transfer")))
    dispatch(ChangeCancellationRule(conference_id=free, rule=FEE))
    open_order, paid_order = shop.order(customer, free, 2), shop.order(customer, free, 2)
    shop.pay(paid_order, 2)
    shop.order(shop.customer(), sold_out)
    blocking = shop.order(shop.customer(), was_full, 2)
    entry, offered = shop.wait(customer, sold_out), shop.wait(customer, was_full)
    dispatch(CancelOrder(order_id=blocking))
    bring_to_rest()
    return World(free, sold_out, customer, caller, open_order, paid_order, entry, offered)


def registering(**more):
    return {"name": "Alan Turing", "email": "alan@example.org", "password": PASSWORD, **more}


def lines(quantity):
    return [{"seat_type": "standard", "quantity": quantity}]


class Write(NamedTuple):
    """A write as it is called, and what it records first."""

    method: str
    path: str
    body: dict[str, Any] | None
    records: list[str]


def writes(world):
    """Every write that has a dry run, by its path in the contract."""
    order, paid = f"/orders/{world.open_order}", f"/orders/{world.paid_order}"
    sold_out, payment = shop.conference_on_sale(1), payment_id_of(world.open_order)
    shop.order(shop.customer(), sold_out)
    wanted = registering(birth_date="1912-06-23")
    changing = {"name": "Ada King", "email": "king@example.org"}
    waiting = {"conference_id": str(sold_out), "lines": lines(1)}
    return [
        (
            "/customers",
            Write("POST", "/customers", wanted, ["customer.registered", "customer.birth-date-set"]),
        ),
        (
            "/customers/{customer_id}",
            Write("PATCH", f"/customers/{world.customer}", changing, ["customer.renamed", "customer.email-changed"]),
        ),
        (
            "/customers/{customer_id}/email-link",
            Write("POST", f"/customers/{world.customer}/email-link", None, ["customer.email-link-requested"]),
        ),
        ("/orders", Write("POST", "/orders", placing(world.customer, world.free, 2), ["order.placed"])),
        (
            "/orders/{order_id}/status-mail",
            Write("POST", f"{order}/status-mail", None, ["order.status-mail-requested"]),
        ),
        (
            "/orders/{order_id}/quantities",
            Write("POST", f"{order}/quantities", {"lines": lines(1)}, ["order.quantity-change-requested"]),
        ),
        ("/orders/{order_id}/payments", Write("POST", f"{order}/payments", None, [])),
        (
            "/orders/{order_id}/payments",
            Write("POST", f"{order}/payments", {"provider": "bank-transfer"}, ["order.provider-chosen"]),
        ),
        (
            "/sandbox/payments/{payment_id}",
            Write("POST", f"/sandbox/payments/{payment}", {"outcome": "accepted"}, ["payment.accepted"]),
        ),
        ("/orders/{order_id}/cancel", Write("POST", f"{paid}/cancel", {"reason": "ill"}, ["order.cancelled"])),
        ("/waitlist", Write("POST", "/waitlist", waiting, ["waitlist.joined"])),
        ("/waitlist/{entry_id}", Write("DELETE", f"/waitlist/{world.entry}", None, ["waitlist.left"])),
        (
            "/waitlist/{entry_id}/accept",
            Write("POST", f"/waitlist/{world.offered}/accept", None, ["waitlist.accepted"]),
        ),
        (
            "/waitlist/{entry_id}/decline",
            Write("POST", f"/waitlist/{world.offered}/decline", None, ["waitlist.declined"]),
        ),
    ]


def test_every_write_says_what_it_would_record_and_then_records_it(world):
    every = [write for _, write in writes(world)]
    with only_read():
        for method, path, body, records in every:
            answer = world.caller.call(method, path + DRY, body)
            assert types(answer) == records, path
            assert PASSWORD not in answer.content.decode()
    for method, path, body, records in every[:-1]:  # what is accepted can't be declined any more
        before = store.head()
        assert world.caller.call(method, path, body).status_code in {200, 201, 202}
        assert recorded_since(before)[: len(records)] == records, path


def test_a_cancellation_says_how_much_would_be_kept_and_returned(world):
    path = f"/orders/{world.paid_order}/cancel"
    foreseen = world.caller.post(path + DRY).json()
    assert foreseen["fee"] == {"amount": "20.00", "currency": "EUR"}
    assert foreseen["to_be_returned"] == {"amount": "179.00", "currency": "EUR"}
    done = world.caller.post(path).json()
    assert (done["fee"], done["to_be_returned"]) == (foreseen["fee"], foreseen["to_be_returned"])
    unpaid = world.caller.post(f"/orders/{world.open_order}/cancel{DRY}").json()
    assert [unpaid[name]["amount"] for name in ("fee", "to_be_returned")] == ["0.00", "0.00"]


def test_an_order_that_would_get_no_seats_says_why(world):
    def would_be_refused(conference, seats=1):
        answer = world.caller.post(f"/orders{DRY}", placing(world.customer, conference, seats))
        assert types(answer) == ["order.placed"]
        return answer.json()["would_be_refused"]

    with only_read():
        assert would_be_refused(world.free, 6) is None
        assert would_be_refused(world.free, 7) == "sold-out"
        assert would_be_refused(world.sold_out) == "sold-out"
    placed = world.caller.post("/orders", placing(world.customer, world.free, 7)).json()
    assert placed["status"] == "refused"


def test_what_a_customer_may_not_hold_without_paying_is_refused_as_the_conference_would(world, settings):
    settings.UNPAID_SEATS = 4
    another = shop.order(world.customer, world.free, 2)
    paid, more = f"/orders/{world.paid_order}/quantities", f"/orders/{another}/quantities"
    with only_read():
        assert types(world.caller.post(more + DRY, {"lines": lines(1)})) == ["order.quantity-change-requested"]
        assert types(world.caller.post(paid + DRY, {"lines": lines(3)})) == ["order.quantity-change-requested"]
        tried = assert_problem(world.caller.post(more + DRY, {"lines": lines(3)}), 409, "unpaid-limit")
        assert_problem(world.caller.post(f"/orders{DRY}", placing(world.customer, world.free)), 409, "unpaid-limit")
    real = assert_problem(world.caller.post(more, {"lines": lines(3)}), 409, "unpaid-limit")
    assert tried["detail"] == real["detail"]


def test_a_key_that_is_none_is_refused_all_the_same(world):
    answer = world.caller.post(f"/orders/{world.open_order}/cancel{DRY}", Idempotency_Key="not a key")
    assert_problem(answer, 400, "invalid")


def test_the_contract_says_which_writes_have_one(world):
    contract = Caller().get("/schema", Accept="application/vnd.oai.openapi+json").json()
    told = {
        (path.removeprefix(V1), method.upper())
        for path, operations in contract["paths"].items()
        for method, operation in operations.items()
        if "dry_run" in [each["name"] for each in operation.get("parameters", ())]
    }
    assert told == {(path, write.method) for path, write in writes(world)}
    cancelling = contract["paths"][f"{V1}/orders/{{order_id}}/cancel"]["post"]["responses"]["200"]
    done, foreseen = cancelling["content"]["application/json"]["schema"]["oneOf"]
    assert done == {"$ref": "#/components/schemas/Cancelled"}
    shape = contract["components"]["schemas"][foreseen["$ref"].rpartition("/")[2]]
    assert set(shape["required"]) == {"would_record", "fee", "to_be_returned"}


def test_what_would_be_recorded_is_told_as_the_history_tells_it(world):
    path = f"/orders/{world.open_order}"
    foreseen = world.caller.post(f"{path}/cancel{DRY}", {"reason": "ill"}).json()["would_record"]
    world.caller.post(f"{path}/cancel", {"reason": "ill"})
    last = world.caller.get(f"{path}/history").json()["results"][-1]
    assert foreseen == [{"type": last["type"], "data": last["data"]}]


def test_what_is_refused_is_refused_in_the_same_words(world):
    _, mallory = callers.customer()
    taken, closed, unknown = f"{world.customer.hex}@example.org", shop.conference_on_sale(), new_id()
    dispatch(CloseSales(conference_id=closed, reason="The hall is in doubt."))
    caller, paid = world.caller, f"/orders/{world.paid_order}"
    refused = [
        (Caller(), "POST", "/customers", registering(email=taken), 409, "email-taken"),
        (Caller(), "POST", "/customers", registering(password="123", name=""), 400, "invalid"),
        (Caller(), "POST", "/customers", registering(colour="red"), 400, "invalid"),
        (Caller(), "POST", "/customers", registering(id=str(world.paid_order)), 409, "already-exists"),
        (Caller(), "POST", "/customers", b"{", 400, "malformed"),
        (mallory, "PATCH", f"/customers/{world.customer}", {"name": "Mallory"}, 404, "not-found"),
        (mallory, "PATCH", f"/customers/{unknown}", {"name": "Mallory"}, 404, "not-found"),
        (caller, "POST", "/orders", placing(world.customer, closed), 409, "conference-not-on-sale"),
        (caller, "POST", "/orders", placing(world.customer, unknown), 409, "conference-not-found"),
        (caller, "POST", "/orders", placing(world.customer, world.free, 11), 409, "too-many-seats"),
        (mallory, "POST", "/orders", placing(world.customer, world.free), 409, "customer-not-found"),
        (Caller(), "POST", "/orders", placing(world.customer, world.free), 401, "not-authenticated"),
        (mallory, "POST", f"{paid}/cancel", None, 404, "not-found"),
        (caller, "POST", f"/orders/{unknown}/cancel", None, 404, "not-found"),
        (callers.staff(), "POST", f"{paid}/cancel", None, 403, "permission-denied"),
        (caller, "POST", f"{paid}/payments", None, 409, "order-not-payable"),
        (caller, "POST", f"{paid}/payments", {"provider": "stripe"}, 400, "invalid"),
        (caller, "POST", f"{paid}/quantities", {"lines": lines(2)}, 409, "quantities-unchanged"),
        (caller, "POST", f"/orders/{unknown}/status-mail", None, 404, "not-found"),
        (caller, "POST", "/waitlist", {"conference_id": str(world.free), "lines": lines(1)}, 409, "seats-free"),
        (
            caller,
            "POST",
            "/waitlist",
            {"conference_id": str(world.sold_out), "lines": lines(2)},
            409,
            "already-waiting",
        ),
        (mallory, "DELETE", f"/waitlist/{world.entry}", None, 404, "not-found"),
        (caller, "POST", f"/waitlist/{world.entry}/accept", None, 409, "offer-over"),
        (mallory, "POST", f"/sandbox/payments/{payment_id_of(world.open_order)}", None, 404, "not-found"),
        (caller, "POST", f"/sandbox/payments/{unknown}", {"outcome": "accepted"}, 404, "not-found"),
    ]
    for client, method, path, body, status, code in refused:
        with only_read():
            tried = assert_problem(client.call(method, path + DRY, body), status, code)
        real = assert_problem(client.call(method, path, body), status, code)
        assert tried | {"correlation_id": ""} == real | {"correlation_id": ""}, path


def test_a_stale_tag_is_refused_and_that_of_what_is_shown_is_not(world):
    path = f"/orders/{world.open_order}"
    seen = world.caller.get(path)["ETag"]
    for call in (f"{path}/cancel", f"{path}/payments"):
        with only_read():
            assert world.caller.post(call + DRY, If_Match=seen).status_code == 200
            assert_problem(world.caller.post(call + DRY, If_Match='"1-stale"'), 412, "version-conflict")
    assert world.caller.get(path)["ETag"] == seen


def test_what_can_not_be_read_yet_is_decided_by_the_log(world):
    OrderSummary.objects.all().delete()
    WaitlistEntry.objects.all().delete()
    SubscriberRow.objects.filter(rank=1).update(status="paused", checkpoint=0)
    with only_read():
        assert world.caller.get(f"/orders/{world.paid_order}").status_code == 202
        assert types(world.caller.post(f"/orders/{world.open_order}/cancel{DRY}")) == ["order.cancelled"]
        assert types(world.caller.post(f"/orders/{world.open_order}/payments{DRY}")) == []
        assert types(world.caller.delete(f"/waitlist/{world.entry}{DRY}")) == ["waitlist.left"]
        assert_problem(world.caller.post(f"/orders/{new_id()}/cancel{DRY}"), 404, "not-found")
        assert_problem(world.caller.delete(f"/waitlist/{new_id()}{DRY}"), 404, "not-found")


def test_what_was_carried_out_would_record_nothing(world):
    order = placing(world.customer, world.free, id=str(new_id()))
    customer = registering(id=str(new_id()))
    waiting = {"conference_id": str(world.sold_out), "lines": lines(1)}
    leaving = f"/waitlist/{world.entry}"
    assert world.caller.post("/orders", order).status_code == 201
    assert world.caller.post("/customers", customer).status_code == 201
    with only_read():
        again = world.caller.post(f"/orders{DRY}", order)
        assert (types(again), again.json()["would_be_refused"]) == ([], None)
        assert types(world.caller.post(f"/customers{DRY}", customer)) == []
        assert types(world.caller.post(f"/waitlist{DRY}", waiting)) == []
        assert types(world.caller.patch(f"/customers/{world.customer}{DRY}", {"name": "Ada Lovelace"})) == []
        assert_problem(world.caller.post(f"/orders{DRY}", order | {"lines": lines(3)}), 409, "already-exists")
    assert world.caller.delete(leaving).status_code == 200
    assert types(world.caller.delete(leaving + DRY)) == []


def test_a_registration_says_whether_the_login_could_be_opened_and_its_password_is_not_guessed(settings):
    settings.THROTTLE_ACCOUNT = "2/hour"
    User.objects.create(username="root@example.org")
    known = registering(id=str(new_id()))
    assert Caller().post("/customers", known).status_code == 201
    with only_read():
        taken = Caller().post(f"/customers{DRY}", registering(email="root@example.org"))
        assert_problem(taken, 409, "email-taken")
        assert types(Caller().post(f"/customers{DRY}", known)) == []
        for number in range(2):
            guessed = Caller().post(f"/customers{DRY}", known | {"password": f"another horse {number}"})
            assert_problem(guessed, 409, "already-exists")
        assert_problem(Caller().post(f"/customers{DRY}", known), 429, "throttled")


def test_dry_runs_of_registrations_are_counted_as_registrations(settings):
    settings.THROTTLE_REGISTER = "2/min"
    for address in ("a@example.org", "b@example.org"):
        assert Caller().post(f"/customers{DRY}", registering(email=address)).status_code == 200
    assert_problem(Caller().post(f"/customers{DRY}", registering(email="c@example.org")), 429, "throttled")
    assert not User.objects.exists()


def test_a_part_of_an_address_is_merged_with_the_rest(world):
    path = f"/customers/{world.customer}"
    whole = {"street": "12 St James Square", "postal_code": "SW1Y 4JH", "city": "London", "country": "GB"}
    world.caller.patch(path, {"address": whole})
    (foreseen,) = world.caller.patch(path + DRY, {"address": {"city": "Ockham"}}).json()["would_record"]
    assert foreseen["data"]["address"] == whole | {"city": "Ockham"}


def test_no_provider_is_asked(world, stripe):
    stripes = shop.conference_on_sale()
    dispatch(ChangeProviders(conference_id=stripes, providers=("stripe",)))
    order = shop.order(world.customer, stripes)
    with only_read():
        assert types(world.caller.post(f"/orders/{order}/payments{DRY}")) == []
    assert stripe.requests == []
    assert world.caller.post(f"/orders/{order}/payments").status_code == 200
    assert stripe.requests


def test_it_is_asked_for_with_true_or_false_on_writes_alone(world):
    path = f"/customers/{world.customer}"
    with only_read():
        for wrong in ("", "1", "yes", "True", "true&dry_run=true"):
            problem = assert_problem(
                world.caller.patch(f"{path}?dry_run={wrong}", {"name": "Ada King"}), 400, "invalid"
            )
            assert [each["pointer"] for each in problem["errors"]] in (["/dry_run"], ["/dry_run/0"])
        unknown = assert_problem(world.caller.get(path + DRY), 400, "invalid")
        assert [(each["pointer"], each["code"]) for each in unknown["errors"]] == [("/dry_run", "unknown")]
        both = assert_problem(world.caller.post("/orders?dry_run=1&colour=red", {}), 400, "invalid")
        assert {each["pointer"] for each in both["errors"]} == {"/dry_run", "/colour"}
    assert world.caller.patch(f"{path}?dry_run=false", {"name": "Ada King"}).json()["recorded"] == ["customer.renamed"]


def test_what_no_command_of_the_caller_stands_for_has_none_and_is_not_carried_out(world):
    tokens = AuthToken.objects.count()
    notice = {"id": "1", "outcome": "declined", "payment_id": str(payment_id_of(world.open_order))}
    with only_read():
        for method, path, body in (
            ("POST", "/auth/token", {"email": f"{world.customer.hex}@example.org", "password": PASSWORD}),
            ("DELETE", "/auth/token", None),
            ("POST", "/webhooks/payments/sandbox", notice),
        ):
            problem = assert_problem(world.caller.call(method, path + DRY, body), 400, "invalid")
            assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/dry_run", "no-dry-run")]
    assert AuthToken.objects.count() == tokens
    assert world.caller.delete("/auth/token?dry_run=false").status_code == 204
