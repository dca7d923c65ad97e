"""Clocks differ, and are set back. What is due is decided by the database's clock alone, whatever others say, and a
mark in the future counts as stale.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

import config.celery
from eventstore import tasks
from eventstore.models import Incident, ParkedEvent, WorkerHeartbeat
from eventstore.monitoring import incidents
from eventstore.monitoring.heartbeat import Heartbeat, Scheduler
from eventstore.monitoring.status import subscriber_statuses
from eventstore.monitoring.workers import worker_statuses
from tests.integration import shop
from tests.integration.eventstore.probes import Probe, go_wrong, note, query, registered, tables
from tests.integration.eventstore.test_doorbell import is_marked, letters, messages
from tests.integration.processes import eventually, server

HOUR = timedelta(hours=1)
OFTEN = {"task": "tests.nobody", "schedule": timedelta(seconds=0.1)}


class Settable(config.celery.Doorbell):
    """An application whose clock a test sets."""

    ahead = timedelta()

    def now(self):
        return super().now() + self.ahead


@pytest.fixture(autouse=True)
def threads(clean: None) -> Iterator[None]:
    """Nobody that a test started still looks at the tables when they are emptied."""
    yield
    eventually(lambda: not any(each.name in {"heartbeat", "health-check"} for each in threading.enumerate()))


@pytest.fixture
def app() -> Iterator[Settable]:
    """The application of this thread meanwhile."""
    app = Settable("settable", set_as_current=False)
    app.config_from_object(settings, namespace="CELERY")
    app.conf.beat_schedule = {"often": OFTEN}
    app.set_current()
    try:
        yield app
    finally:
        config.celery.app.set_current()


@pytest.fixture
def probe():
    with tables(), registered(Probe()) as probe:
        yield probe


def beat(app, tmp_path):
    return closing(Scheduler(app=app, schedule_filename=str(tmp_path / "schedule")))


def sends(scheduler):
    """Beat sends something, by and by."""
    before = letters()
    eventually(lambda: scheduler.tick() is not None and letters() > before)


def state_of_beat():
    return [each.state for each in worker_statuses() if each.kind == "beat"]


@pytest.mark.parametrize("wrong", [-2 * HOUR, 2 * HOUR])
def test_an_order_has_its_time_whatever_the_clock_of_the_site_says(wrong, monkeypatch):
    """Guards against a deadline by one clock and a timer by another: orders expired at once, or an hour late."""
    conference, ada = shop.conference_on_sale(), shop.customer()
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + wrong)
    order = shop.order(ada, conference)
    ((left,),) = query(
        "SELECT extract(epoch FROM due_at - clock_timestamp())::float FROM sagas_timer WHERE key = %s", str(order)
    )
    assert 14 * 60 < left <= 15 * 60


def test_beat_goes_on_when_its_clock_is_set_back(app, tmp_path):
    with beat(app, tmp_path) as scheduler:
        sends(scheduler)
        app.ahead -= HOUR
        sends(scheduler)
        sends(scheduler)


def test_beat_goes_on_when_its_clock_was_set_back_while_it_was_down(app, tmp_path):
    app.ahead += HOUR
    with beat(app, tmp_path) as scheduler:
        sends(scheduler)
    app.ahead -= HOUR
    with beat(app, tmp_path) as scheduler:
        sends(scheduler)


def test_beat_begins_anew_where_it_was_killed_while_it_wrote_its_file(app, tmp_path):
    with beat(app, tmp_path) as scheduler:
        sends(scheduler)
    whole = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for cut in whole:
        for file, content in whole.items():
            file.write_bytes(content[: len(content) // 2] if file == cut else content)
        with beat(app, tmp_path) as scheduler:
            sends(scheduler)


def test_beat_falls_silent_when_it_sends_nothing_though_its_loop_turns(app, tmp_path, settings):
    settings.EVENTSTORE_HEARTBEAT_TIMEOUT_SECONDS = 0.6
    app.conf.beat_schedule = {"often": {**OFTEN, "args": (object(),)}}  # no message can hold it
    with beat(app, tmp_path) as scheduler:
        eventually(state_of_beat)
        eventually(lambda: scheduler.tick() is not None and state_of_beat() == ["silent"])
        scheduler.schedule["often"].args = ()
        eventually(lambda: scheduler.tick() is not None and state_of_beat() == ["alive"])


def test_beat_sends_nothing_that_expires(app, tmp_path):
    app.conf.beat_schedule = settings.CELERY_BEAT_SCHEDULE
    with beat(app, tmp_path) as scheduler:
        assert [entry for entry in scheduler.schedule.values() if "expires" in entry.options] == []
        eventually(lambda: scheduler.tick() is not None and len(messages("clock")) >= 3)
    assert {message["expires"] for message in messages("clock")} == {None}


def test_a_heartbeat_in_the_future_is_not_that_of_a_process_that_lives():
    WorkerHeartbeat.objects.create(
        name="worker@host", kind="worker", queues=["live"], process="host:1", beat_at=timezone.now() + HOUR
    )
    (worker,) = worker_statuses()
    assert (worker.state, worker.fresh) == ("silent", False)


def test_a_health_check_in_the_future_keeps_nobody_from_looking():
    incidents.check_health()
    query("UPDATE eventstore_heartbeat SET beat_at = clock_timestamp() + interval '1 hour'")
    incidents.check_health()
    assert query("SELECT beat_at <= clock_timestamp() FROM eventstore_heartbeat") == [(True,)]


def test_an_incident_that_was_seen_in_the_future_is_over_once_it_is_gone(settings):
    settings.EVENTSTORE_HEALTH_CHECK_SECONDS = settings.EVENTSTORE_RESOLVE_AFTER_SECONDS = 0.001
    seen = dict.fromkeys(["began_at", "raised_at", "seen_at"], timezone.now() + HOUR)
    Incident.objects.create(kind="parked", about="sale", text="could not", **seen)
    for _ in range(2):
        incidents.check_health()
        time.sleep(0.001)
    ended = Incident.objects.get().ended_at
    assert ended is not None
    assert ended <= timezone.now()


def test_an_incident_that_began_in_the_future_is_raised_when_it_has_lasted(settings):
    settings.EVENTSTORE_HEALTH_CHECK_SECONDS = settings.EVENTSTORE_RAISE_AFTER_SECONDS = 0.001
    shop.customer()
    query("UPDATE eventstore_subscriber SET status = 'halted' WHERE name = 'customer-profiles'")
    seen = dict.fromkeys(["began_at", "seen_at"], timezone.now() + HOUR)
    Incident.objects.create(kind="halted", about="customer-profiles", text="has halted", **seen)
    for _ in range(2):
        incidents.check_health()
        time.sleep(0.001)
    assert Incident.objects.get(kind="halted").raised_at


def test_who_failed_in_the_future_is_fed_now(probe):
    last = note("a")
    query("UPDATE eventstore_subscriber SET retry_at = clock_timestamp() + interval '1 hour' WHERE name = 'probe'")
    probe.feed()
    assert probe.noted("a") == [last]


def test_who_moved_in_the_future_is_rung_for_and_has_stalled(probe, settings):
    settings.EVENTSTORE_STALLED_AFTER_SECONDS = 0.001
    note("a")
    query("UPDATE eventstore_subscriber SET moved_at = clock_timestamp() + interval '1 hour'")
    tasks.ring_all()
    assert is_marked(tasks.SYNC_BELL)
    assert [each.stalled for each in subscriber_statuses() if each.name == "probe"] == [True]


def test_a_subscriber_that_was_resumed_in_the_future_halts_when_too_many_keys_fail(probe, settings):
    settings.EVENTSTORE_HALT_AT = 2
    query("UPDATE eventstore_subscriber SET resumed_at = clock_timestamp() + interval '1 hour' WHERE name = 'probe'")
    go_wrong("a", "b")
    for key in ("a", "b"):
        note(key)
        probe.feed()
    assert probe.row.status == "halted"


def test_what_was_parked_in_the_future_did_not_fail_within_the_last_minute(probe, settings):
    settings.EVENTSTORE_HALT_AT = 2
    go_wrong("a", "b")
    note("a")
    probe.feed()
    ParkedEvent.objects.update(parked_at=timezone.now() + HOUR)
    note("b")
    probe.feed()
    assert probe.row.status == "running"


@pytest.mark.parametrize(("off", "words"), [(30, "30 s ahead"), (-10_800, "3 h behind"), (0, "right")])
def test_a_heartbeat_tells_how_the_clock_of_its_process_stands_to_that_of_the_database(off, words, monkeypatch):
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + off)
    heartbeat = Heartbeat("worker@host", "worker", ["live"])
    heartbeat.start()
    (worker,) = eventually(worker_statuses)
    heartbeat.stop()
    assert worker.skew == pytest.approx(off, abs=1)
    assert worker.skew_error < 1
    assert worker.clock == words


@pytest.mark.parametrize(
    ("skew", "error", "found"),
    [
        (-30, 0.01, ["has a clock that is 30 s behind, by the database's"]),
        (4, 1.5, ["has a clock that is 4.0 s ahead, by the database's"]),
        (4, 2.5, []),
        (1, 0, []),
    ],
)
def test_a_clock_that_is_certainly_off_is_an_incident_and_the_site_is_ready_all_the_same(
    skew, error, found, client, settings
):
    settings.EVENTSTORE_RAISE_AFTER_SECONDS = 0.0
    now = timezone.now()
    WorkerHeartbeat.objects.create(
        name="worker@host", kind="worker", queues=[], process="host:1", beat_at=now, skew=skew, skew_error=error
    )
    incidents.check_health()
    assert list(Incident.objects.filter(kind="clock", about="worker@host").values_list("text", flat=True)) == found
    assert client.get("/readyz").json() == {"status": "ok", "reasons": []}


def test_the_clock_of_a_site_that_is_off_is_an_incident(tmp_path, settings):
    settings.EVENTSTORE_RAISE_AFTER_SECONDS = 0.0
    (tmp_path / "sitecustomize.py").write_text("import time; right = time.time; time.time = lambda: right() + 90")
    with server(PYTHONPATH=str(tmp_path)):
        eventually(WorkerHeartbeat.objects.filter(kind="site").exists)
        incidents.check_health()
    incident = Incident.objects.get(kind="clock")
    assert incident.about == f"site@{socket.gethostname()}"
    assert incident.raised_at
    assert incident.text == "has a clock that is 90 s ahead, by the database's"


def test_a_site_that_is_gone_is_no_incident_for_that_is_told_from_outside(settings):
    settings.EVENTSTORE_RAISE_AFTER_SECONDS = 0.0
    gone = timezone.now() - HOUR
    WorkerHeartbeat.objects.create(name="site@host", kind="site", process="host:1", beat_at=gone, skew=90, skew_error=0)
    incidents.check_health()
    assert not Incident.objects.exists()


def test_the_page_of_problems_and_prometheus_tell_of_clocks_that_are_off(client):
    client.force_login(User.objects.create_superuser("ada"))
    WorkerHeartbeat.objects.create(
        name="worker@host", kind="worker", queues=[], process="host:1", beat_at=timezone.now(), skew=-30, skew_error=0
    )
    WorkerHeartbeat.objects.create(
        name="site@host", kind="site", process="host:2", beat_at=timezone.now(), skew=90, skew_error=0
    )
    page, measured = client.get("/admin/problems/").content.decode(), client.get("/metrics").content.decode()
    assert "has a clock that is 30 s behind, by the database&#x27;s" in page
    assert "has a clock that is 90 s ahead, by the database&#x27;s" in page
    assert 'boxoffice_clock_skew_seconds{process="worker@host"} -30.0' in measured
    assert 'boxoffice_clock_skew_seconds{process="site@host"} 90.0' in measured
    assert "boxoffice_beat_heartbeat_age_seconds{" not in measured
