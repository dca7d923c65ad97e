"""What is measured of those who follow the log, beside where they are."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from eventstore import store
from eventstore.commands import dispatch
from eventstore.models import ParkedEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Skip
from ordering.api import metrics
from ordering.domain.customer import ChangeCustomer
from sagas.models import WebhookDelivery, WebhookEndpoint
from sagas.webhooks import endpoints, monitoring, queries
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")

NAME = "customer-profiles"
LAZY = "sales-by-day"
NAMES = r"boxoffice_\w+"


def test_what_was_skipped_is_measured_as_a_gap():
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
    perform(Pause(target=LAZY), by="ada")
    perform(Skip(target=LAZY, upto=store.head()), by="ada", reason="a test")
    measured = metrics.text().decode()
    assert f'boxoffice_subscriber_gap{{subscriber="{LAZY}",why="skipped"}} 2.0' in measured
    assert f'boxoffice_subscriber_gap{{subscriber="{LAZY}",why="pending"}} 0.0' in measured


def test_parked_events_are_measured_by_what_they_wait_for(poison):
    customer = shop.customer("Ada")
    for name in ("poison", "Grace"):
        dispatch(ChangeCustomer(customer_id=customer, name=name))
    ParkedEvent.objects.create(subscriber=f"{NAME}#7", key="k", position=1, error="KeyError")
    measured = metrics.text().decode()
    assert f'boxoffice_subscriber_parked{{subscriber="{NAME}",waits="attention"}} 1.0' in measured
    assert f'boxoffice_subscriber_parked{{subscriber="{NAME}",waits="behind"}} 1.0' in measured
    assert "#7" not in measured


def endpoint(**more):
    row = WebhookEndpoint(url="https://hooks.example/a", owner="ops@example.org", **more)
    endpoints.create(row)
    return row


def kept(row, age, status="pending"):
    """A delivery that was made so long ago; those that were tried are due later."""
    now = timezone.now()
    told = {"position": WebhookDelivery.objects.count() + 1, "stream_id": row.pk, "type": "order.placed"}
    WebhookDelivery.objects.create(
        endpoint=row, status=status, created_at=now - age, due_at=now + age, finished_at=_ended(status, now), **told
    )


def _ended(status, now):
    return now if status in ("done", "failed") else None


def values():
    lines = (line for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_an_endpoint_has_yet_to_be_sent_is_measured_and_how_old_it_is():
    waiting, done = endpoint(), endpoint()
    for minutes, status in ((1, "pending"), (60, "pending"), (2, "running"), (600, "done"), (900, "failed")):
        kept(waiting, timedelta(minutes=minutes), status)
    kept(done, timedelta(days=1), "done")
    found = values()
    label = f'{{endpoint="{waiting.pk}"}}'
    assert found[f"boxoffice_webhook_deliveries_pending{label}"] == 3
    assert 3600 <= found[f"boxoffice_webhook_oldest_pending_age_seconds{label}"] < 7200
    label = f'{{endpoint="{done.pk}"}}'
    assert found[f"boxoffice_webhook_deliveries_pending{label}"] == 0
    assert found[f"boxoffice_webhook_oldest_pending_age_seconds{label}"] == 0


def test_what_waits_is_counted_no_further_than_panels_count(monkeypatch):
    monkeypatch.setattr(monitoring, "MOST_COUNTED", 2)
    row = endpoint()
    for _ in range(3):
        kept(row, timedelta(minutes=1))
    assert values()[f'boxoffice_webhook_deliveries_pending{{endpoint="{row.pk}"}}'] == 2


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, "running"),
        ({"failures": 1, "failing_since": timezone.now()}, "failing"),
        ({"enabled": False}, "off"),
        ({"enabled": False, "switched_off_at": timezone.now(), "failing_since": timezone.now()}, "switched off"),
    ],
)
def test_how_an_endpoint_is_is_measured(more, state):
    row = endpoint(**more)
    found = {name: value for name, value in values().items() if name.startswith("boxoffice_webhook_endpoint_state{")}
    assert found == {
        f'boxoffice_webhook_endpoint_state{{endpoint="{row.pk}",state="{name}"}}': float(name == state)
        for name in ("running", "failing", "off", "switched off")
    }


def test_no_delivery_is_looked_at_that_has_ended():
    row = endpoint()
    for number in range(200):
        kept(row, timedelta(minutes=number), "done")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {queries.STANDING}", [10])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert re.search("sagas_webhook_delivery_(due|order)", plan), plan


def test_each_metric_is_documented_and_each_that_is_documented_is_there():
    page = Path("docs/operating.md").read_text()
    told = {
        name for row in re.findall(r"^\| (`boxoffice_.*?) \|", page, re.MULTILINE) for name in re.findall(NAMES, row)
    }
    shown = set(re.findall(r"^# TYPE (boxoffice_\w+)", metrics.text().decode(), re.MULTILINE))
    assert told == shown
