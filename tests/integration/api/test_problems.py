"""What is wrong with a call is said in one form, and leaves no trace."""

import json
from contextlib import closing

import psycopg
import pytest
from django.db import OperationalError

from eventstore.errors import ConcurrencyConflict, NewerSchema
from eventstore.models import StoredEvent
from eventstore.monitoring.status import log_status
from ordering.api import orders
from tests.integration import shop
from tests.integration.api import caller as callers
from tests.integration.api.caller import Caller, assert_problem, nothing_written, placing
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")

HUGE = 10**18

LOST = OperationalError("secret")
LOST.__cause__ = psycopg.OperationalError("secret")


@pytest.fixture
def ada():
    return callers.customer()


@pytest.fixture
def body(ada):
    return placing(ada[0], shop.conference_on_sale())


def lines(*quantities):
    return [{"seat_type": "standard", "quantity": quantity} for quantity in quantities]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"lines": lines(0)}, {"/lines/0/quantity": "min-value"}),
        ({"lines": lines(-1)}, {"/lines/0/quantity": "min-value"}),
        ({"lines": lines(HUGE)}, {"/lines/0/quantity": "max-value"}),
        ({"lines": lines(1, "2")}, {"/lines/1/quantity": "invalid"}),
        (
            {"lines": lines(True, 1.0, None)},
            {f"/lines/{n}/quantity": c for n, c in enumerate(["invalid", "invalid", "null"])},
        ),
        ({"lines": []}, {"/lines": "empty"}),
        ({"lines": lines(*[1] * 51)}, {"/lines": "max-length"}),
        ({"lines": {}}, {"/lines": "not-a-list"}),
        ({"lines": [1]}, {"/lines/0": "invalid"}),
        ({"lines": [{"seat_type": 1, "quantity": 1}]}, {"/lines/0/seat_type": "invalid"}),
        ({"lines": [{"seat_type": "a\x00", "quantity": 1}]}, {"/lines/0/seat_type": "null-characters-not-allowed"}),
        (
            {"lines": [{"seat_type": "\ud800", "quantity": 1}]},
            {"/lines/0/seat_type": "surrogate-characters-not-allowed"},
        ),
        ({"lines": [{"quantity": 1, "price": 0}]}, {"/lines/0/seat_type": "required", "/lines/0/price": "unknown"}),
        (
            {"id": 7, "customer_id": HUGE, "conference_id": "x"},
            dict.fromkeys(["/id", "/customer_id", "/conference_id"], "invalid"),
        ),
        ({"total": 1, "a/b~c": 1, "\ud800": 1}, {"/total": "unknown", "/a~1b~0c": "unknown", "/?": "unknown"}),
        ({"lines": lines(0), "customer_id": None}, {"/lines/0/quantity": "min-value", "/customer_id": "null"}),
    ],
)
def test_a_wrong_shape_is_answered_with_all_that_is_wrong(ada, body, change, expected):
    with nothing_written():
        problem = assert_problem(ada[1].post("/orders", {**body, **change}), 400, "invalid")
    assert {error["pointer"]: error["code"] for error in problem["errors"]} == expected
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize("content", [b"null", b"[]", b'"text"', b"17"])
def test_a_body_that_is_no_object_is_of_the_wrong_shape(ada, content):
    with nothing_written():
        problem = assert_problem(ada[1].post("/orders", content), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [""]


def test_an_empty_body_lacks_everything(ada):
    problem = assert_problem(ada[1].post("/orders"), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/customer_id", "/conference_id", "/lines"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff", b"[" * 60_000, b"9" * 5_000, b'{"a": 1} trailing', b'{"a": 1, "a": 1}'],
)
def test_a_body_that_is_no_json_is_malformed(ada, content):
    with nothing_written():
        assert_problem(ada[1].post("/orders", content), 400, "malformed")


def test_a_body_over_64_kib_is_too_large(ada):
    with nothing_written():
        assert_problem(ada[1].post("/orders", b'"' + b"x" * 65_535 + b'"'), 413, "too-large")
        assert_problem(ada[1].post("/orders", b'"' + b"x" * 65_534 + b'"'), 400, "invalid")


def test_another_media_type_is_not_read(ada, body):
    with nothing_written():
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json"):
            response = ada[1].post("/orders", body, Content_Type=media_type)
            assert_problem(response, 415, "unsupported-media-type")


def test_another_media_type_is_not_answered(ada):
    assert_problem(ada[1].get("/orders", Accept="text/html"), 406, "not-acceptable")


@pytest.mark.parametrize("path", ["/docs", "/schema"])
def test_what_is_shown_as_a_page_or_as_a_file_has_the_same_problems(path):
    assert_problem(Caller().post(path, {}), 405, "method-not-allowed")


def test_another_method_is_not_allowed(ada):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
        response = ada[1].call(method, "/orders")
        assert_problem(response, 405, "method-not-allowed")
        assert response.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "path", ["/nothing", "/orders/17", "/orders/", "", "/", "/orders/../admin", "/api/v2/orders", "/api/"]
)
def test_an_unknown_url_is_not_found(ada, path, settings):
    settings.DEBUG = True
    for method in ("GET", "POST"):
        assert_problem(ada[1].call(method, path or "/"), 404, "not-found")
        assert_problem(Caller().call(method, path or "/"), 404, "not-found")


def test_a_query_that_nobody_understands_is_not_ignored(ada, body):
    with nothing_written():
        problem = assert_problem(ada[1].post("/orders?dryrun=true", body), 400, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/dryrun"]


def test_what_is_asked_for_twice_has_no_answer(ada):
    problem = assert_problem(ada[1].get("/orders?limit=1&status=expired&limit=2"), 400, "invalid")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/limit", "repeated")]


def test_more_parameters_than_anybody_needs_are_not_read(ada):
    query = "&".join(f"a{number}=1" for number in range(1_001))
    assert_problem(ada[1].get(f"/orders?{query}"), 400, "malformed")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("secret"), 500, "internal-error"),
        (LOST, 503, "unavailable"),
        (psycopg.OperationalError("secret"), 503, "unavailable"),
        (ConcurrencyConflict(), 503, "version-conflict"),
        (NewerSchema("secret"), 503, "unavailable"),
    ],
)
def test_what_goes_wrong_on_our_side_is_a_problem_too(ada, body, monkeypatch, error, status, code):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(orders.Orders, "create", fail)
    response = ada[1].post("/orders", body)
    problem = assert_problem(response, status, code)
    assert "secret" not in json.dumps(problem)
    assert ("Retry-After" in response.headers) == (status == 503)


def test_a_log_that_cannot_be_written_is_unavailable_and_said_to_be(body, client):
    """Its sequence was set back, below positions that are used."""
    events = StoredEvent.objects.count()
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("SELECT setval('eventstore_event_position_seq', 1, false)")
    ready = client.get("/readyz").json()
    assert ready["status"] == "degraded"
    assert "setval" in ready["reasons"][0]
    assert [issue.kind for issue in log_status().health_issues()] == ["sequence"]
    customer = {"name": "Grace", "email": "grace@example.org", "password": "correct horse battery staple"}
    assert_problem(Caller().post("/customers", customer), 503, "unavailable")
    assert StoredEvent.objects.count() == events


def test_what_goes_wrong_outside_a_view_is_a_problem_too(ada, settings):
    settings.ALLOWED_HOSTS = ["elsewhere.example"]
    assert_problem(ada[1].get("/orders"), 400, "malformed")
