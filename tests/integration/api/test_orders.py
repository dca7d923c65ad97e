"""Orders: placing, reading, cancelling, their history, and how they are paid."""

import json
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from benchmarks.wire import Trip, traced
from eventstore import context, database
from eventstore.commands import dispatch
from eventstore.models import StoredEvent, SubscriberRow
from ordering.domain.conference_changes import ChangeCancellationRule
from ordering.domain.finance import RequestRefund, account_id_of
from ordering.domain.order import CancelOrder, ExpireOrder, RequestStatusMail
from ordering.domain.terms import CancellableUntil, CancellationRule
from ordering.domain.values import Money, payment_id_of
from ordering.models import ConferenceSummary, OrderSummary
from ordering.pages.links import sandbox_path
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written, placing

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def conference():
    return shop.conference_on_sale(capacity=10)


@pytest.fixture
def ada():
    return callers.customer()


def test_an_order_is_answered_as_it_stands_after_the_sale_ran(conference, ada):
    customer, caller = ada
    answer = caller.post("/orders", placing(customer, conference, 2))
    assert answer.status_code == 201
    order = answer.json()
    payment_id = str(payment_id_of(UUID(order["id"])))
    pay_url = f"http://localhost:8000{sandbox_path(UUID(payment_id))}"
    assert answer.headers["Location"] == f"http://testserver/api/v1/orders/{order['id']}"
    assert answer.headers["ETag"].startswith('"1-')
    assert int(answer.headers["Event-Position"]) == StoredEvent.objects.latest("position").position
    assert order["placed_at"].endswith("Z")
    assert order["expires_at"].endswith("Z")
    assert order["number"].startswith("BX-")
    assert order["balance"] == {"received": euros("0.00"), "returned": euros("0.00"), "due": euros("199.00")}
    assert order["payments"] == [{**order["payment"], "reference": "", "received_at": None, "refunds": []}]
    assert {name: order[name] for name in ("customer_id", "conference_id", "status", "lines", "total", "payment")} == {
        "customer_id": str(customer),
        "conference_id": str(conference),
        "status": "awaiting_payment",
        "lines": [
            {"seat_type": "standard", "quantity": 2, "unit_price": {"amount": "99.50", "currency": "EUR"}},
        ],
        "total": {"amount": "199.00", "currency": "EUR"},
        "payment": {
            "id": payment_id,
            "status": "requested",
            "amount": {"amount": "199.00", "currency": "EUR"},
            "pay_url": pay_url,
            "how_to_pay": {"provider": "sandbox", "pay_url": pay_url, "reference": "", "text": ""},
        },
    }
    read = caller.get(f"/orders/{order['id']}")
    assert read.json() == order
    assert read.headers["ETag"] == answer.headers["ETag"]


def test_a_refund_that_has_failed_is_of_what_is_left_for_it_and_closed_when_nothing_is(conference, ada):
    customer, caller = ada
    order = UUID(caller.post("/orders", placing(customer, conference, 2)).json()["id"])
    shop.pay(order, 2, reference="NOREFUND-1")
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()

    def ask_back(amount):
        dispatch(
            RequestRefund(
                account_id=account_id_of(order),
                provider="sandbox",
                reference="NOREFUND-1",
                amount=Money(Decimal(amount), "EUR"),
                reason="By hand.",
            )
        )
        bring_to_rest()

    def refunds():
        (payment,) = caller.get(f"/orders/{order}").json()["payments"]
        return [(each["amount"]["amount"], each["status"]) for each in payment["refunds"]]

    assert refunds() == [("199.00", "failed")]
    ask_back("50.00")
    assert refunds() == [("149.00", "failed"), ("50.00", "failed")]
    ask_back("199.00")
    assert refunds() == [("149.00", "closed"), ("50.00", "closed"), ("199.00", "failed")]


def test_an_order_that_is_paid_in_the_sandbox_is_confirmed(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference, 2)).json()
    paid = caller.post(played_at(order), {"outcome": "accepted"})
    assert paid.status_code == 202
    assert paid.json()["position"] == StoredEvent.objects.get(type="payment.accepted").position
    assert int(paid.headers["Event-Position"]) == StoredEvent.objects.latest("position").position
    order = caller.get(f"/orders/{order['id']}").json()
    assert order["status"] == "confirmed"
    assert order["payment"]["status"] == "accepted"
    assert order["payment"]["pay_url"] is None
    assert caller.get(f"/conferences/{conference}").json()["seat_types"][0]["available"] == 8


def test_a_declined_payment_can_be_tried_again(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference)).json()
    pay_url = played_at(order)
    assert caller.post(pay_url, {"outcome": "declined"}).status_code == 202
    declined = caller.get(f"/orders/{order['id']}").json()
    assert (declined["status"], declined["payment"]["status"]) == ("awaiting_payment", "declined")
    assert caller.post(pay_url, {"outcome": "accepted"}).status_code == 202
    assert caller.get(f"/orders/{order['id']}").json()["status"] == "confirmed"


def played_at(order):
    """Where one plays the customer who pays."""
    return f"/sandbox/payments/{order['payment']['id']}"


def played(caller, order, **outcome):
    """What the customer does at the provider's page."""
    answer = caller.post(f"/sandbox/payments/{payment_id_of(UUID(order))}", {"outcome": "accepted", **outcome})
    assert answer.status_code == 202
    bring_to_rest()
    return caller.get(f"/orders/{order}").json()


def euros(amount):
    return {"amount": amount, "currency": "EUR"}


def test_paying_in_part_twice_and_late_can_be_played(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference, 2)).json()["id"]
    assert played(caller, order, outcome="pending")["payment"]["status"] == "pending"
    part = played(caller, order, amount=euros("100.00"))
    assert part["status"] == "awaiting_payment"
    assert part["balance"] == {"received": euros("100.00"), "returned": euros("0.00"), "due": euros("99.00")}
    paid, asked = part["payments"]
    assert (paid["status"], paid["amount"], paid["pay_url"]) == ("accepted", euros("100.00"), None)
    assert paid["reference"].startswith("SANDBOX-")
    assert paid["received_at"].endswith("Z")
    assert (asked["status"], asked["amount"], asked["received_at"]) == ("requested", euros("99.00"), None)
    assert asked["pay_url"] == part["payment"]["pay_url"]
    assert asked["id"] == part["payment"]["id"] != paid["id"]
    caller.post(played_at(part), {"outcome": "accepted"})
    assert caller.get(f"/orders/{order}").json()["status"] == "confirmed"
    twice = played(caller, order, amount=euros("199.00"))
    assert twice["status"] == "confirmed"
    assert twice["balance"] == {"received": euros("398.00"), "returned": euros("199.00"), "due": euros("0.00")}
    ((refund,),) = (payment["refunds"] for payment in twice["payments"] if payment["refunds"])
    assert (refund["amount"], refund["status"]) == (euros("199.00"), "settled")
    late = caller.post("/orders", placing(customer, conference)).json()["id"]
    dispatch(ExpireOrder(order_id=UUID(late)))
    assert played(caller, late)["status"] == "confirmed"


def test_an_order_that_awaits_no_payment_has_no_page_to_pay_at(conference, ada):
    customer, caller = ada
    paid, expired = (caller.post("/orders", placing(customer, conference)).json()["id"] for _ in range(2))
    caller.post(f"/sandbox/payments/{payment_id_of(UUID(paid))}", {"outcome": "accepted"})
    dispatch(ExpireOrder(order_id=UUID(expired)))
    for each in (paid, expired):
        order = caller.get(f"/orders/{each}").json()
        assert [payment["pay_url"] for payment in order["payments"]] == [None]


def test_an_order_of_more_seats_than_are_left_is_refused(conference, ada):
    customer, caller = ada
    caller.post("/orders", placing(customer, conference, 8))
    answer = caller.post("/orders", placing(customer, conference, 3))
    assert answer.status_code == 201
    assert answer.json()["status"] == "refused"
    assert answer.headers["ETag"].startswith('"2-')


def test_the_same_order_again_is_answered_as_the_first_time(conference, ada):
    customer, caller = ada
    body = placing(customer, conference, id=str(uuid4()))
    first = caller.post("/orders", body)
    with nothing_written():
        again = caller.post("/orders", body)
        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["Event-Position"] == first.headers["Event-Position"]
        other = placing(customer, conference, 2, id=body["id"])
        assert_problem(caller.post("/orders", other), 409, "already-exists")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"conference_id": str(uuid4())}, "conference-not-found"),
        ({"customer_id": str(uuid4())}, "customer-not-found"),
        ({"lines": [{"seat_type": "gold", "quantity": 1}]}, "unknown-seat-type"),
        ({"lines": [{"seat_type": "standard", "quantity": 11}]}, "too-many-seats"),
    ],
)
def test_what_a_rule_refuses_is_refused_with_its_code(conference, ada, change, code):
    customer, _ = ada
    with nothing_written():
        answer = callers.storefront().post("/orders", {**placing(customer, conference), **change})
        assert_problem(answer, 409, code)


def test_a_cancelled_order_gives_its_seats_and_its_money_back(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference)).json()
    caller.post(played_at(order), {"outcome": "accepted"})
    answer = caller.post(f"/orders/{order['id']}/cancel", {"reason": "ill"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["to_be_returned"]) == ("cancelled", euros("99.50"))
    assert answer.headers["ETag"].startswith('"4-')
    assert ConferenceSummary.objects.get().seat_types["standard"]["available"] == 10
    bring_to_rest()
    assert caller.get(f"/orders/{order['id']}").json()["status"] == "refunded"
    with nothing_written():
        assert_problem(caller.post(f"/orders/{order['id']}/cancel"), 409, "order-not-cancellable")


def test_an_order_says_what_cancelling_it_would_mean_and_a_late_one_is_refused(conference, ada):
    customer, caller = ada
    fee = Money(Decimal(10), "EUR")
    dispatch(ChangeCancellationRule(conference_id=conference, rule=CancellationRule(hours=24, per_seat=fee)))
    order = caller.post("/orders", placing(customer, conference, 2)).json()
    at_no_cost = {"until": None, "fee": euros("0.00"), "to_be_returned": euros("0.00")}
    assert order["cancellation"] == at_no_cost
    paid = played(caller, order["id"])
    starts_at = ConferenceSummary.objects.get().starts_at
    assert datetime.fromisoformat(paid["cancellation"].pop("until")) == starts_at - timedelta(hours=24)
    assert paid["cancellation"] == {"fee": euros("20.00"), "to_be_returned": euros("179.00")}
    dispatch(ChangeCancellationRule(conference_id=conference, rule=CancellationRule(until=CancellableUntil.NEVER)))
    assert caller.get(f"/orders/{order['id']}").json()["cancellation"] is None
    assert_problem(caller.post(f"/orders/{order['id']}/cancel"), 409, "cancellation-closed")
    dispatch(ChangeCancellationRule(conference_id=conference, rule=CancellationRule(hours=24, per_seat=fee)))
    answer = caller.post(f"/orders/{order['id']}/cancel").json()
    assert (answer["fee"], answer["to_be_returned"]) == (euros("20.00"), euros("179.00"))
    assert answer["cancellation"] is None
    assert caller.get(f"/orders/{order['id']}").json()["fee"] == euros("20.00")


def test_a_stale_cancellation_is_refused(conference, ada):
    customer, caller = ada
    placed = caller.post("/orders", placing(customer, conference))
    order, stale = placed.json()["id"], placed["ETag"]
    mailed = caller.post(f"/orders/{order}/status-mail", If_Match=stale)
    with nothing_written():
        assert_problem(caller.post(f"/orders/{order}/cancel", If_Match=stale), 412, "version-conflict")
    assert caller.post(f"/orders/{order}/cancel", If_Match=mailed["ETag"]).json()["status"] == "cancelled"


def test_asking_for_a_status_mail_again_and_again_gets_one(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference)).json()["id"]
    answers = [caller.post(f"/orders/{order}/status-mail") for _ in range(20)]
    assert [answer.status_code for answer in answers] == [202, *[409] * 19]
    assert_problem(answers[-1], 409, "status-mail-too-soon")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 300
    assert StoredEvent.objects.filter(type="order.status-mail-requested").count() == 1


def test_asking_for_a_status_mail_is_part_of_the_history(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference)).json()["id"]
    assert caller.post(f"/orders/{order}/status-mail").status_code == 202
    placed, asked = caller.get(f"/orders/{order}/history").json()["results"]
    assert (placed["type"], asked["type"]) == ("order.placed", "order.status-mail-requested")
    assert (placed["version"], asked["version"]) == (1, 2)
    assert placed["position"] < asked["position"]
    assert asked["actor"] == f"customer:{customer}"
    assert asked["recorded_at"].endswith("Z")
    assert asked["data"] == {
        "order_id": order,
        "customer_id": str(customer),
        "requested_at": asked["data"]["requested_at"],
    }
    assert placed["data"]["total"] == {"amount": "99.50", "currency": "EUR"}


def test_events_are_stored_with_the_correlation_id_of_the_request_and_who_asked(conference, ada):
    customer, caller = ada
    wish = str(uuid4())
    answer = caller.post("/orders", placing(customer, conference), X_Correlation_Id=wish)
    assert answer.headers["X-Correlation-Id"] == wish
    chain = StoredEvent.objects.filter(correlation_id=wish)
    assert [event.type for event in chain] == ["order.placed", "seats.reserved", "payment.requested"]
    assert chain[0].actor == f"customer:{customer}"


def test_a_correlation_id_that_is_no_uuid_is_replaced(conference, ada):
    customer, caller = ada
    answer = caller.post("/orders", placing(customer, conference), X_Correlation_Id="' OR 1=1 --")
    made = UUID(answer.headers["X-Correlation-Id"])
    assert StoredEvent.objects.filter(correlation_id=made).count() == 3


def test_an_order_that_cannot_be_read_yet_is_pending(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference)).json()["id"]
    OrderSummary.objects.all().delete()
    answer = caller.get(f"/orders/{order}")
    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "pending"
    assert body["position"] == StoredEvent.objects.get(type="order.placed").position
    assert body["read_model_position"] == SubscriberRow.objects.get(pk="order-summaries").checkpoint
    assert answer.headers["Retry-After"] == "1"


def test_an_order_is_answered_even_when_nothing_feeds_the_read_models(conference, ada):
    customer, caller = ada
    SubscriberRow.objects.filter(rank=1).update(status="halted")
    answer = caller.post("/orders", placing(customer, conference))
    assert answer.status_code == 201
    assert answer.json()["status"] == "awaiting_payment"
    assert not OrderSummary.objects.exists()
    assert caller.get(f"/orders/{answer.json()['id']}").status_code == 202


def test_what_is_not_there_is_not_found_at_once():
    missing = context.new_id()
    caller = callers.staff()
    paths = [f"/orders/{missing}", f"/orders/{missing}/history", f"/customers/{missing}", f"/conferences/{missing}"]
    for path in paths:
        assert_problem(caller.get(path), 404, "not-found")


def test_pages_of_orders_hold_each_order_once_the_newest_first(conference, ada):
    customer, caller = ada
    placed = [caller.post("/orders", placing(customer, conference)).json()["id"] for _ in range(5)]
    OrderSummary.objects.filter(pk__in=placed[1:4]).update(placed_at=OrderSummary.objects.get(pk=placed[2]).placed_at)
    seen, page = [], caller.get("/orders?limit=2")
    while True:
        seen += [order["id"] for order in page.json()["results"]]
        following = page.json()["next"]
        if following is None:
            break
        assert page.headers["Link"].startswith(f'<{following}>; rel="next", ')
        page = caller.get(following.removeprefix("http://testserver"))
    assert 'rel="next"' not in page.headers["Link"]
    assert sorted(seen) == sorted(placed)
    assert (seen[0], seen[-1]) == (placed[4], placed[0])


def test_orders_are_filtered(conference, ada):
    customer, caller = ada
    first, second = (caller.post("/orders", placing(customer, conference)).json()["id"] for _ in range(2))
    caller.post(f"/orders/{first}/cancel")
    found = caller.get(f"/orders?status=awaiting_payment&conference_id={conference}&customer_id={customer}").json()
    assert [order["id"] for order in found["results"]] == [second]
    assert caller.get(f"/orders?conference_id={uuid4()}").json() == {"results": [], "next": None}


def test_a_history_is_read_page_by_page_and_a_page_costs_a_page(conference, ada):
    customer, caller = ada
    order = shop.order(customer, conference)
    for _ in range(6):
        dispatch(RequestStatusMail(order_id=order))
    whole = caller.get(f"/orders/{order}/history").json()
    assert whole["next"] is None
    path, pages = f"/orders/{order}/history?limit=3", []
    while path:
        trips: list[Trip] = []
        with traced(database.session(), trips):
            answer = caller.get(path)
        assert len(trips) <= 3, "the caller, how it began, and the page"
        pages.append(answer.json())
        path = (pages[-1]["next"] or "").partition("testserver")[2]
        assert answer.headers.get("Link") == (f'<{pages[-1]["next"]}>; rel="next"' if path else None)
    assert [len(page["results"]) for page in pages] == [3, 3, 1]
    assert [each for page in pages for each in page["results"]] == whole["results"]
    assert [each["version"] for each in whole["results"]] == [*range(1, 8)]


def test_a_page_of_a_history_has_a_tag_of_its_own_that_lasts_as_long_as_it_is_whole(conference, ada):
    customer, caller = ada
    order = shop.order(customer, conference)
    dispatch(RequestStatusMail(order_id=order))
    first, both = f"/orders/{order}/history?limit=1", f"/orders/{order}/history?limit=2"
    tags = {path: caller.get(path)["ETag"] for path in (first, both)}
    assert len({*tags.values()}) == 2
    dispatch(RequestStatusMail(order_id=order))
    assert caller.get(first, If_None_Match=tags[first]).status_code == 304
    assert caller.get(both, If_None_Match=tags[both]).json()["next"] is not None


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "cursor=WzEsMl0", "cursor=WyJ4Il0", "page=2"])
def test_a_history_that_is_asked_for_in_another_way_is_a_mistake(conference, ada, query):
    customer, caller = ada
    order = shop.order(customer, conference)
    problem = assert_problem(caller.get(f"/orders/{order}/history?{query}"), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [f"/{query.partition('=')[0]}"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "status=lost", "customer_id=1", "cursor=x", "cursor=WzEsMl0", "page=2"]
)
def test_a_list_that_is_asked_for_in_another_way_is_a_mistake(ada, query):
    problem = assert_problem(ada[1].get(f"/orders?{query}"), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [f"/{query.partition('=')[0]}"]


@pytest.mark.parametrize(
    "values",
    [
        [None, str(UUID(int=1))],
        ["2026-01-01T00:00:00Z", None],
        ["0001-01-01T00:00:00+23:59", str(UUID(int=1))],
        ["9999-12-31T23:59:59-23:59", str(UUID(int=1))],
        ["2026-01-01", str(UUID(int=1))],
        ["2026-01-01T00:00:00Z", "\x00"],
        ["2026-01-01T00:00:00Z", {}],
        {"placed_at": 1},
        None,
    ],
)
def test_a_cursor_that_somebody_made_is_a_mistake(ada, values):
    cursor = urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
    for path in ("/orders", "/conferences", "/waitlist"):
        problem = assert_problem(ada[1].get(f"{path}?cursor={cursor}"), 400, "invalid")
        assert [error["pointer"] for error in problem["errors"]] == ["/cursor"]


def test_nobody_takes_the_id_that_the_payment_of_an_order_will_have(conference, ada):
    customer, caller = ada
    order = uuid4()
    body = placing(customer, conference)
    with nothing_written():
        problem = assert_problem(caller.post("/orders", {**body, "id": str(payment_id_of(order))}), 400, "invalid")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/id", "derived")]
    assert caller.post("/orders", {**body, "id": str(order)}).status_code == 201


def test_an_id_is_the_same_in_capital_letters(conference, ada):
    customer, caller = ada
    order = caller.post("/orders", placing(customer, conference)).json()["id"]
    assert caller.get(f"/orders/{order.upper()}").json()["id"] == order
    assert caller.get(f"/customers/{str(customer).upper()}").status_code == 200
    assert caller.get(f"/conferences/{str(conference).upper()}").status_code == 200


def test_conferences_are_for_anyone_to_read(conference):
    listed = Caller().get("/conferences").json()
    assert [each["id"] for each in listed["results"]] == [str(conference)]
    answer = Caller().get(f"/conferences/{conference}")
    assert answer.json() == listed["results"][0]
    terms = {"sales", "payment_terms", "cancellation", "max_per_customer", "providers"}
    assert set(answer.json()) == {"id", "name", "status", "starts_at", "time_zone", "place", "seat_types"} | terms
    assert set(answer.json()["sales"]) == {"opens_at", "closes_at"}
    assert answer.json()["payment_terms"] == {"within": 15, "unit": "minutes", "last_day": None}
    assert answer.json()["cancellation"] == {
        "until": "start",
        "hours": 0,
        "moment": None,
        "fixed": None,
        "percent": 0,
        "per_seat": None,
    }
    assert answer.json()["seat_types"] == [
        {
            "code": "standard",
            "name": "Standard",
            "price": {"amount": "99.50", "currency": "EUR"},
            "capacity": 10,
            "available": 10,
            "max_per_order": 10,
            "min_per_order": 1,
        }
    ]
    etag = answer.headers["ETag"]
    assert Caller().get(f"/conferences/{conference}", If_None_Match=etag).status_code == 304
    ConferenceSummary.objects.all().delete()
    assert Caller().get(f"/conferences/{conference}").status_code == 202


@pytest.mark.parametrize("by_storefront", [False, True])
def test_a_customer_holds_only_so_much_without_paying(conference, ada, by_storefront, settings):
    settings.UNPAID_ORDERS = 3
    customer, caller = ada
    if by_storefront:
        caller = callers.storefront()
    bodies = [placing(customer, conference, 2, id=str(uuid4())) for _ in range(3)]
    orders = [caller.post("/orders", body) for body in bodies]
    assert [order.json()["status"] for order in orders] == ["awaiting_payment"] * 3
    with nothing_written():
        problem = assert_problem(caller.post("/orders", placing(customer, conference)), 409, "unpaid-limit")
        assert "pay or cancel one" in problem["detail"]
        assert caller.post("/orders", bodies[2]).status_code == 201  # the same once more
    other, grace = callers.customer()
    assert grace.post("/orders", placing(other, conference)).status_code == 201
    shop.pay(UUID(bodies[0]["id"]), 2)
    assert caller.post("/orders", placing(customer, conference)).json()["status"] == "awaiting_payment"


def test_a_customer_holds_only_so_many_seats_without_paying(conference, ada, settings):
    settings.UNPAID_SEATS = 4
    customer, caller = ada
    first = caller.post("/orders", placing(customer, conference, 3)).json()["id"]
    assert_problem(caller.post("/orders", placing(customer, conference, 2)), 409, "unpaid-limit")
    assert caller.post("/orders", placing(customer, conference, 1)).status_code == 201
    lines = [{"seat_type": "standard", "quantity": 4}]
    assert_problem(caller.post(f"/orders/{first}/quantities", {"lines": lines}), 409, "unpaid-limit")
    settings.UNPAID_SEATS = 0
    assert caller.post("/orders", placing(customer, conference, 6)).status_code == 201
