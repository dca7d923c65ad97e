"""What the panels say, whoever shows it."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from eventstore import store
from eventstore.models import LogIdentity, ParkedEvent, SubscriberRow
from eventstore.monitoring import consumers
from eventstore.monitoring.health import duration
from eventstore.monitoring.status import subscriber_statuses, unstarted
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Reshard
from eventstore.subscriptions import gaps
from eventstore.subscriptions.registry import registry
from ordering.admin import dashboard
from projections.models import Generation, Part
from projections.status import projection_statuses, rebuild_issues
from sagas.models import Delivery
from sagas.status import process_status
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")


def status_of(name):
    return next(status for status in subscriber_statuses() if status.name == name)


def asked():
    """Somebody who may see everything asks for the front page."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_active=True)
    return request


def said_of(name):
    return [trouble.text for trouble in status_of(name).health_issues()]


def test_before_anything_happened_every_subscriber_is_unstarted():
    assert subscriber_statuses() == []
    assert unstarted([]) == [subscriber.name for subscriber in registry]
    assert dashboard.status(asked())["problems"] == []


def test_after_a_sale_those_that_requests_feed_are_up_with_the_log():
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
    orders = status_of("order-summaries")
    assert (orders.state, orders.lag, orders.checkpoint) == ("running", 0, store.head())
    assert orders.processed == 6
    assert list(orders.health_issues()) == []


def test_how_far_one_is_behind_is_said_in_events_and_in_time():
    shop.conference_on_sale()
    sales = status_of("sales-by-day")
    assert sales.lag == store.head() == 2
    assert 0 < sales.lag_seconds < 60
    assert status_of("seat-availability").lag_seconds == 0


def test_parked_events_and_those_that_wait_behind_them_are_told_apart():
    shop.customer()
    for position, error in ((1, "ValueError"), (2, ""), (3, "")):
        ParkedEvent.objects.create(subscriber="order-summaries", key="k", position=position, error=error)
    assert said_of("order-summaries") == ["failed on 1 event; 2 more wait behind"]


def test_what_is_tried_again_by_itself_is_worth_a_look_and_needs_no_hand():
    shop.customer()
    soon = timezone.now() + timedelta(seconds=8)
    ParkedEvent.objects.create(subscriber="order-summaries", key="k", position=1, error="ValueError", retry_at=soon)
    (trouble,) = status_of("order-summaries").health_issues()
    assert (trouble.text, trouble.grave) == ("tries 1 event again", False)
    ParkedEvent.objects.create(subscriber="order-summaries", key="l", position=2, error="ValueError")
    parked = status_of("order-summaries")
    assert (parked.failed, parked.needs_attention, parked.retrying) == (2, 1, 1)
    assert said_of("order-summaries") == ["failed on 1 event"]


def test_events_parked_by_a_generation_that_is_not_live_are_not_those_of_the_live_one():
    shop.customer()
    ParkedEvent.objects.create(subscriber="order-summaries#7", key="k", position=1, error="ValueError")
    assert said_of("order-summaries") == []
    assert status_of("order-summaries").failed == 0


def test_a_split_subscriber_is_one_and_stands_where_its_slowest_shard_does():
    shop.customer()
    shop.customer()
    perform(Reshard(target="sales-by-day", shards=2), by="ada")
    SubscriberRow.objects.filter(name="sales-by-day 1/2").update(checkpoint=2, processed=5)
    SubscriberRow.objects.filter(name="sales-by-day 2/2").update(checkpoint=1, processed=3, status="halted")
    split = status_of("sales-by-day")
    assert (split.checkpoint, split.processed, split.state) == (1, 8, "halted")
    assert [(place.shard, place.checkpoint, place.status) for place in split.shards] == [
        (0, 2, "running"),
        (1, 1, "halted"),
    ]


def test_events_that_a_subscriber_does_not_want_are_not_counted_as_waiting_for_it():
    conference = shop.conference_on_sale()
    shop.order(shop.customer(), conference)
    sales = status_of("sales-by-day")
    assert sales.lag == store.head()
    assert (sales.pending, sales.uncounted) == (0, False)


def test_counting_what_waits_ends_at_a_bound():
    shop.pay(shop.order(shop.customer(), shop.conference_on_sale()))
    assert gaps.pending("sales-by-day", most=2).count == 2
    assert not gaps.pending("sales-by-day", most=2).more
    SubscriberRow.objects.filter(name="order-summaries").update(checkpoint=0)
    pending = gaps.pending("order-summaries", most=2)
    assert (pending.count, pending.more) == (2, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "halted", "last_error": "KeyError: 'x'"}, "has halted: KeyError: 'x'"),
        ({"status": "paused"}, "is paused"),
        ({"failures": 3, "last_error": "deadlock"}, "has failed 3 times in a row: deadlock"),
        ({"version": 99}, "is at version {declared} in the code and at 99 in the database"),
        ({"types_hash": "others"}, "wants other events than it was fed"),
        ({"stale": "customer-profiles was rebuilt"}, "is stale: customer-profiles was rebuilt"),
        ({"fingerprint": "other"}, "is stale: its code has changed since its rows were made"),
    ],
)
def test_what_is_wrong_with_a_subscriber_is_said_in_words(change, said):
    shop.customer()
    SubscriberRow.objects.filter(name="order-summaries").update(**change)
    assert said_of("order-summaries") == [said.format(declared=registry["order-summaries"].version)]


def test_a_rebuild_shows_its_progress():
    shop.customer()
    generation = Generation.objects.create(
        projection="order-summaries",
        version=1,
        types_hash="",
        target=1000,
        requested_by="ada",
        started_at=timezone.now() - timedelta(seconds=1000),
    )
    Part.objects.create(generation=generation, shard=0, shards=2, checkpoint=500, processed=10_000)
    Part.objects.create(generation=generation, shard=1, shards=2, checkpoint=700, processed=20_000)
    (progress,) = [found for each in projection_statuses() for found in each.building]
    assert progress.percent == 50
    assert progress.rate == pytest.approx(30, rel=0.1)
    assert progress.seconds_left == pytest.approx(1000, rel=0.1)
    assert (progress.requested_by, progress.doing) == ("ada", "reads the log")


def test_a_failed_rebuild_is_a_trouble_until_another_goes_well():
    failed = {
        "projection": "order-summaries",
        "version": 1,
        "types_hash": "",
        "target": 1,
        "finished_at": timezone.now(),
    }
    Generation.objects.create(status="failed", error="KeyError", **failed)
    assert [trouble.text for trouble in rebuild_issues()] == ["could not be rebuilt: KeyError"]
    Generation.objects.create(status="live", **failed)
    assert rebuild_issues() == []


def test_deliveries_that_ended_badly_are_counted():
    Delivery.objects.create(effect="mail.welcome", position=1, status="failed")
    Delivery.objects.create(effect="mail.welcome", position=2, status="in doubt")
    found = process_status()
    assert (found.deliveries_failed, found.deliveries_in_doubt) == (1, 1)
    assert {trouble.about for trouble in found.health_issues()} == {"deliveries"}


def test_the_front_page_never_counts_the_log():
    shop.order(shop.customer(), shop.conference_on_sale())
    with CaptureQueriesContext(connection) as queries:
        found = dashboard.status(asked())
    assert [(count.status, count.number) for count in found["orders"]] == [("awaiting_payment", "1")]
    assert not [
        each["sql"] for each in queries if "COUNT(" in each["sql"].upper() and "eventstore_event" in each["sql"]
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.42, "0.4 s"), (90, "90 s"), (600, "10 min"), (7300, "2 h"), (400000, "5 d")]
)
def test_durations_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said


def report(errors, position=0, by="user:7"):
    return consumers.report("warehouse", position, LogIdentity.objects.get().epoch, errors, by=by)


def test_consumers_in_other_systems_stand_below_the_subscribers_and_on_the_front_page(client, staff):
    shop.customer()
    shop.customer()
    report(["no <shelf>"], position=1)
    (finding,) = dashboard.status(asked())["problems"]
    assert (finding.about, finding.text) == ("warehouse", "reports 1 error")
    staff("eventstore.view_subscriberrow", "eventstore.view_consumer")
    shown = client.get("/admin/eventstore/subscriberrow/").content.decode()
    assert 'data-consumer="warehouse"' in shown
    assert "no &lt;shelf&gt;" in shown
    assert "1 event, " in shown
    assert "no &lt;shelf&gt;" in client.get(finding.url).content.decode()
    page = reverse("admin:eventstore_consumer_delete", args=["warehouse"])
    assert client.post(page, {"post": "yes"}).status_code == 403


def test_consumers_are_listed_by_a_command(capsys):
    call_command("log", "consumers")
    assert "Nobody has reported that they follow the log." in capsys.readouterr().out
    shop.customer()
    report(["no [shelf]"])
    call_command("log", "consumers")
    said = capsys.readouterr().out
    for part in ("warehouse", "failing", "user:7", "0 of ", "no [shelf]"):
        assert part in said
    call_command("log", "consumers", "--json")
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["name"], told["state"], told["lag"]) == ("warehouse", "failing", told["horizon"])


def test_who_may_delete_a_consumer_frees_its_name(client, staff):
    report([])
    staff("eventstore.view_consumer", "eventstore.delete_consumer")
    page = reverse("admin:eventstore_consumer_delete", args=["warehouse"])
    assert client.post(page, {"post": "yes"}).status_code == 302
    assert report([], by="user:8") is not None
