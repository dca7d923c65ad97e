"""Who is at work, and what was wrong, as the admin, Prometheus and the checks show it."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.utils import timezone

from eventstore.models import Incident, Notification, WorkerHeartbeat
from eventstore.monitoring import notifications

pytestmark = pytest.mark.usefixtures("clean")

QUEUES = ["live", "effects", "rebuild", "clock"]
WORKERS = "/admin/eventstore/workerheartbeat/"


@pytest.fixture
def page(client):
    client.force_login(User.objects.create_superuser("ada"))

    def read(url: str = "/admin/") -> str:
        return re.sub(r"\s+", " ", client.get(url).content.decode())

    return read


def pulse(name, *queues, ago=0.0, **fields):
    return WorkerHeartbeat.objects.create(
        name=name,
        kind="worker" if queues else "beat",
        queues=queues,
        process="host:1",
        beat_at=timezone.now() - timedelta(seconds=ago),
        **fields,
    )


def findings(text):
    return re.findall(r'<p class="what"><a id="problem-\d" href="[^"]*">([^<]*)</a> ([^<]*)</p>', text)


def seconds_in(text, said):
    """How many seconds ago something was, by a text that begins with this."""
    (seconds,) = re.findall(rf"^{re.escape(said)} (\d+) s ago", text)
    return int(seconds)


def test_where_no_worker_was_ever_started_none_is_missed(page):
    assert findings(page()) == []
    assert "No worker has started yet" in page()


def test_while_all_are_heard_all_is_well(page):
    pulse("all@host", *QUEUES)
    pulse("beat@host")
    assert findings(page()) == []
    assert page().count('class="tag tag-alive"') == 2


def test_the_front_page_misses_a_silent_beat_and_a_queue_without_a_worker(page):
    pulse("most@host", "live", "rebuild", "clock")
    pulse("effects@host", "effects", ago=40)
    pulse("beat@host", ago=60)
    (beat, silent_beat), (queue, silent_worker) = findings(page())
    assert (queue, beat) == ("queue effects", "beat")
    assert 40 <= seconds_in(silent_worker, "has no worker: effects@host fell silent") < 60
    assert 60 <= seconds_in(silent_beat, "fell silent") < 120
    assert page().count('class="tag tag-silent"') == 2
    assert re.search(rf'<a id="problem-\d" href="{WORKERS}">queue effects</a>', page())


def test_a_clock_that_was_never_started_is_missed_once_there_are_workers(page):
    pulse("all@host", *QUEUES)
    assert [about for about, _ in findings(page())] == ["beat"]


def test_a_queue_that_tasks_are_routed_to_is_missed_though_nobody_ever_listened(page):
    pulse("live@host", "live", "effects", "rebuild")
    pulse("beat@host")
    assert findings(page()) == [("queue clock", "was never listened to by a worker")]


def test_one_that_said_goodbye_a_moment_ago_is_not_missed_yet(page):
    pulse("all@host", *QUEUES, ago=5, stopped_at=timezone.now())
    pulse("beat@host")
    assert findings(page()) == []
    assert 'class="tag tag-stopped"' in page()


def test_a_worker_that_is_gone_for_good_can_be_forgotten(client, page):
    pulse("all@host", *QUEUES)
    pulse("beat@host")
    pulse("old@host", "old", ago=60)
    assert [about for about, _ in findings(page())] == ["queue old"]
    assert "silent" in page(WORKERS)
    client.post(WORKERS, {"action": "delete_selected", "_selected_action": ["old@host"], "post": "yes"})
    assert findings(page()) == []


def test_a_queue_that_an_effect_has_of_its_own_is_missed_too(page, settings):
    settings.EFFECTS_QUEUES = {"mail.welcome": "slow"}
    pulse("all@host", *QUEUES)
    pulse("beat@host")
    assert findings(page()) == [("queue slow", "was never listened to by a worker")]


def test_without_admins_no_mail_counts_as_told(settings):
    incident = Incident.objects.create(
        kind="parked", about="sale", text="could not", began_at=timezone.now(), seen_at=timezone.now()
    )
    for settings.ADMINS, channels in (([], []), ([("staff", "staff@example.org")], [notifications.MAIL])):
        notifications.enqueue([incident], ended=False)
        assert list(Notification.objects.values_list("notifier", flat=True)) == channels


def test_an_incident_shows_who_was_told(page):
    now = timezone.now()
    incident = Incident.objects.create(
        kind="parked", about="order-summaries", text="failed on 3 events", began_at=now, seen_at=now
    )
    Notification.objects.create(
        incident=incident, notifier="eventstore.monitoring.notifications.mail_admins", ended=False, attempts=2
    )
    assert "failed on 3 events" in page("/admin/eventstore/incident/")
    shown = page(f"/admin/eventstore/incident/{incident.pk}/change/")
    assert "eventstore.monitoring.notifications.mail_admins, that it began: not yet, 2 attempts" in shown


def test_prometheus_reads_the_age_of_every_pulse_and_the_incidents_that_were_raised(client):
    pulse("live@host", "live", "clock", ago=40)
    pulse("beat@host", ago=20)
    now = timezone.now()
    for about, raised in (("sale", now), ("order-summaries", now), ("sales-by-day", None)):
        Incident.objects.create(
            kind="parked", about=about, text="could not", began_at=now, seen_at=now, raised_at=raised
        )
    text = client.get("/metrics").content.decode()
    assert re.search(r'boxoffice_worker_heartbeat_age_seconds\{queues="live,clock",worker="live@host"\} 4\d\.', text)
    assert re.search(r'boxoffice_beat_heartbeat_age_seconds\{beat="beat@host"\} 2\d\.', text)
    assert 'boxoffice_incidents{kind="parked"} 2.0' in text


def test_a_channel_that_cannot_be_imported_is_found_before_the_first_incident(settings):
    settings.EVENTSTORE_NOTIFIERS = [
        "eventstore.monitoring.notifications.mail_admins",
        "eventstore.monitoring.notifications.nobody",
    ]
    assert [each.id for each in checks.run_checks() if "nobody" in each.msg] == ["eventstore.E019"]
