"""Whether the site is alive and ready, how it is, and what it says of itself."""

import json
import re
import socket

import psycopg
import pytest
from celery import current_app
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import OperationalError

from eventstore import store
from eventstore.models import SubscriberRow
from ordering.api import health
from tests.integration import shop
from tests.integration.api import caller as callers

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def get(client):
    return client.get


def test_a_process_that_answers_is_alive(get):
    assert get("/healthz").json() == {"status": "ok"}


def test_with_database_and_broker_it_is_ready(get):
    answer = get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "reasons": []}


def test_a_subscriber_that_halted_is_named_and_everything_else_goes_on(get):
    shop.customer()
    SubscriberRow.objects.filter(pk="sales-by-day").update(status="halted")
    answer = get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "reasons": ["The subscriber sales-by-day has halted."]}


def test_a_broker_that_is_gone_is_missed_and_everything_else_goes_on(get, monkeypatch):
    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    answer = get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert "broker" in answer.json()["reasons"][0]


def test_without_a_database_it_is_not_ready(get, monkeypatch):
    def gone():
        raise OperationalError("secret") from psycopg.OperationalError("secret")

    monkeypatch.setattr(health, "_missing_migrations", gone)
    answer = get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "reasons": ["The database can't be reached."]}


def test_with_a_database_that_is_not_migrated_it_is_not_ready(get, monkeypatch):
    monkeypatch.setattr(health, "_newest_migrations", lambda: [("ordering", "9999_later")])
    answer = get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["The migration ordering.9999_later has not been applied."]


def test_metrics_say_how_far_everybody_has_got(get):
    shop.order(shop.customer(), shop.conference_on_sale())
    answer = get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = dict(line.rsplit(" ", 1) for line in answer.content.decode().splitlines() if not line.startswith("#"))
    head = float(store.head())
    expected = {
        "boxoffice_log_head": head,
        "boxoffice_log_horizon": head,
        'boxoffice_subscriber_checkpoint{subscriber="order-summaries"}': head,
        'boxoffice_subscriber_lag{subscriber="order-summaries"}': 0,
        'boxoffice_subscriber_lag{subscriber="sales-by-day"}': head,
        'boxoffice_subscriber_status{status="running",subscriber="sale"}': 1,
        'boxoffice_subscriber_status{status="halted",subscriber="sale"}': 0,
        'boxoffice_subscriber_processed_total{subscriber="customer-profiles"}': 1,
        'boxoffice_subscriber_parked{subscriber="sale",waits="attention"}': 0,
        'boxoffice_subscriber_warnings{subscriber="sale"}': 0,
        'boxoffice_subscriber_gap{subscriber="sale",why="pending"}': 0,
        'boxoffice_outbox_commands{status="pending"}': 0,
        'boxoffice_outbox_commands{status="parked"}': 0,
        'boxoffice_outbox_commands{status="unanswered"}': 0,
        'boxoffice_deliveries{status="pending"}': 2,
        "boxoffice_timers_waiting": 1,
    }
    assert {name: float(found[name]) for name in expected} == expected


def test_the_contract_is_valid_openapi_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))


def test_the_contract_names_every_call_and_how_it_fails(get):
    schema = get("/api/v1/schema").json()
    assert schema["openapi"] == "3.1.0"
    assert "/api/v1/orders/{order_id}/cancel" in schema["paths"]
    for path in schema["paths"].values():
        for operation in path.values():
            assert {"400", "406", "408", "413", "500", "503"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                assert int(status) < 400 or "application/problem+json" in answer["content"]


def test_the_page_of_the_contract_needs_nothing_from_elsewhere(get):
    page = get("/api/v1/docs").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    for source in sources:
        if source.startswith("/api/v1/docs?"):
            assert "SwaggerUIBundle" in get(source).content.decode()
        else:
            assert source.startswith("/static/")
            assert finders.find(source.removeprefix("/static/"))


def test_an_answer_carries_what_the_contract_says_it_does(get):
    import jsonschema  # type: ignore[import-untyped]

    schema = get("/api/v1/schema").json()
    customer, caller = callers.customer()
    order = caller.post("/orders", callers.placing(customer, shop.conference_on_sale()))
    validator = jsonschema.Draft202012Validator({**schema, "$ref": "#/components/schemas/Order"})
    validator.validate(json.loads(order.content))


def test_the_contract_says_that_whoever_leaves_the_waitlist_is_shown_the_entry(get):
    leaving = get("/api/v1/schema").json()["paths"]["/api/v1/waitlist/{entry_id}"]["delete"]
    shown = leaving["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown["oneOf"][0] == {"$ref": "#/components/schemas/Entry"}
    assert "204" not in leaving["responses"]


def test_a_broker_that_is_frozen_costs_a_moment(get, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
        monkeypatch.setattr(current_app.conf, "broker_write_url", url)
        answer = get("/readyz")
    assert answer.json()["status"] == "degraded"
