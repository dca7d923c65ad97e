"""Nobody has to look for trouble: real processes watch each other and the log, and tell staff once."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import partial

import psutil
import pytest
from django.db import connection

from config import bundled
from config.bundled.valkey import free_port
from eventstore.models import Incident, Notification, ParkedEvent, SubscriberRow, WorkerHeartbeat
from eventstore.monitoring import notifications
from eventstore.monitoring.workers import worker_statuses
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.processes import ALONE, MailServer, Program, eventually, mail_server, program
from tests.servers import temporary_home

pytestmark = pytest.mark.usefixtures("clean")

QUEUES = ("live", "effects", "rebuild", "clock")
HASTY = {
    "ADMINS": "staff@example.org",
    "HEALTH_CHECK_SECONDS": "0.2",
    "HEARTBEAT_TIMEOUT_SECONDS": "10",
    "STALLED_AFTER_SECONDS": "20",
    "RAISE_AFTER_SECONDS": "1",
    "RESOLVE_AFTER_SECONDS": "2",
}
LASTING = timedelta(seconds=1.5)


@contextmanager
def worker(*queues: str, processes: str = "1", **environment: str) -> Iterator[Program]:
    """A worker with a pool of processes, as `make run` starts it; the ticker, who feeds nobody, is a single process."""
    pool = ("-P", "solo") if queues == ("clock",) else ("-c", processes)
    name = f"{queues[0]}-{os.urandom(2).hex()}@%h"
    arguments = ("-m", "celery", "-A", "config", "worker", *ALONE, "-Q", ",".join(queues), "-n", name, *pool)
    with program(*arguments, **{**HASTY, **environment}) as started:
        yield started


@contextmanager
def beat(**environment: str) -> Iterator[Program]:
    schedule = f"{os.environ['BOXOFFICE_HOME']}/beat-{os.urandom(4).hex()}"
    with program("-m", "celery", "-A", "config", "beat", "-s", schedule, **{**HASTY, **environment}) as started:
        yield started


@contextmanager
def kept(start: Callable[[], AbstractContextManager[Program]]) -> Iterator[None]:
    """A program that is started again whenever it ends by itself, as a supervisor does."""
    ending = threading.Event()

    def keep() -> None:
        while not ending.is_set():
            with start() as started:
                while started.process.poll() is None and not ending.wait(0.1):
                    pass

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ending.set()
        keeper.join(30)


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as (server, url), pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMAIL_URL", url)
        yield server


def subjects(server: MailServer) -> list[str]:
    return [str(mail["Subject"]).removeprefix("[Boxoffice] ") for mail in to_staff(server)]


def to_staff(server: MailServer) -> list[EmailMessage]:
    return [mail for mail in server.received if mail["To"] == HASTY["ADMINS"]]


def says(text: str) -> None:
    """The one incident that there is does."""
    eventually(lambda: text in Incident.objects.get().text)


def told(server: MailServer, *beginnings: str) -> None:
    """These mails came, in this order, and after a while in which everybody looked again, no other."""
    eventually(lambda: len(subjects(server)) >= len(beginnings), 60, f"{beginnings}")
    looked = last_look()
    eventually(lambda: last_look() - looked > timedelta(seconds=3))
    got = subjects(server)
    assert len(got) == len(beginnings), got
    for subject, beginning in zip(got, beginnings, strict=True):
        assert subject.startswith(beginning), got


def last_look() -> datetime:
    return WorkerHeartbeat.objects.get(name="health-check").beat_at


def seen_until(moment: datetime) -> None:
    """There is an incident that was raised, and is still seen then."""
    eventually(Incident.objects.filter(raised_at__isnull=False, seen_at__gt=moment).exists)


def park(*positions: int) -> None:
    for position in positions:
        ParkedEvent.objects.create(
            subscriber="order-summaries", key=str(position), position=position, error="ValueError"
        )


def all_is_well(server: MailServer) -> None:
    """Everybody has started, somebody has looked since, and what was missed until then is over and told."""
    eventually(lambda: heard_of() >= {*QUEUES, "beat"})
    started = WorkerHeartbeat.objects.exclude(kind="health-check").latest("started_at").started_at
    eventually(WorkerHeartbeat.objects.filter(kind="health-check", beat_at__gt=started).exists)
    eventually(lambda: not Incident.objects.filter(ended_at=None).exists())
    eventually(lambda: not Notification.objects.filter(sent_at=None).exists())
    Incident.objects.all().delete()
    server.received.clear()


def heard_of() -> set[str]:
    alive = [each for each in worker_statuses() if each.state == "alive"]
    return {name for each in alive for name in (*each.queues, each.kind)}


def test_workers_tell_once_that_beat_was_killed_and_once_that_it_is_back(mails):
    with worker("live", "effects", "rebuild"), worker("clock"):
        with beat() as first:
            all_is_well(mails)
            first.kill()
            told(mails, "Beat: beat fell silent")
        with beat():
            told(mails, "Beat: beat fell silent", "Recovered: beat")
    assert "Start it, or look at its log" in to_staff(mails)[0].get_content()
    incident = Incident.objects.get()
    assert f"/admin/eventstore/incident/{incident.pk}/change/" in to_staff(mails)[0].get_content()
    assert incident.ended_at


@pytest.mark.long
def test_beat_tells_once_that_a_queue_lost_all_its_workers_and_once_that_it_has_one_again(mails):
    with beat(), worker("live", "clock", "rebuild"):
        with worker("effects") as first, worker("effects") as second:
            all_is_well(mails)
            first.kill()
            second.kill()
            told(mails, "Worker: queue effects has no worker: effects-")
        with worker("effects"):
            told(mails, "Worker: queue effects", "Recovered: queue effects")


@pytest.mark.long
def test_a_worker_that_falls_silent_beside_others_is_missed_until_it_is_replaced(mails):
    with beat(), worker("live", "clock", "rebuild", "effects"), worker("effects") as second:
        eventually(lambda: heard_of() >= {*QUEUES, "beat"})
        others = WorkerHeartbeat.objects.get(name__startswith="live-")
        # Who falls silent before another has started counts as replaced by it.
        eventually(WorkerHeartbeat.objects.filter(name__startswith="effects-", beat_at__gt=others.started_at).exists)
        all_is_well(mails)
        second.kill()
        told(mails, "Worker: effects-")
        with worker("effects"):
            told(mails, "Worker: effects-", "Recovered: effects-")


@pytest.mark.long
def test_a_loop_that_hangs_falls_silent_though_its_process_lives(mails):
    with beat(), worker("live", "effects", "rebuild"), worker("clock") as ticker:
        all_is_well(mails)
        with closing(raw.connect()) as holder:
            # The ticker is a single process: while it waits to wake deliveries, its loop does not turn.
            holder.execute("LOCK TABLE sagas_delivery IN EXCLUSIVE MODE")
            told(mails, "Worker: queue clock has no worker: clock-")
            assert ticker.process.poll() is None
            holder.rollback()
        told(mails, "Worker: queue clock", "Recovered: queue clock")


@pytest.mark.long
def test_a_worker_whose_process_is_stopped_falls_silent_though_its_loop_turns(mails):
    with beat(), worker("live", "rebuild", "clock"), worker("effects") as effects:
        all_is_well(mails)
        (process,) = psutil.Process(effects.process.pid).children()
        process.suspend()
        told(mails, "Worker: queue effects has no worker: effects-")
        says(f"process {process.pid} of 1 has not answered for")
        process.resume()
        told(mails, "Worker: queue effects", "Recovered: queue effects")


@pytest.mark.long
def test_a_worker_works_only_in_part_while_one_of_its_processes_is_stopped(mails):
    with beat(), worker("live", "rebuild", "clock"), worker("effects", processes="2") as effects:
        all_is_well(mails)
        process, _ = psutil.Process(effects.process.pid).children()
        process.suspend()
        told(mails, "Worker: effects-")
        says(f"works only in part: process {process.pid} of 2 has not answered for")
        customer = shop.customer()
        eventually(lambda: [mail for mail in mails.received if mail["To"] == f"{customer.hex}@example.org"])
        process.kill()
        told(mails, "Worker: effects-", "Recovered: effects-")


@pytest.mark.long
def test_a_worker_whose_process_hangs_in_a_task_falls_silent_though_its_loop_turns(mails):
    patient = {"EMAIL_TIMEOUT": "120", "STUCK_AFTER_SECONDS": "1"}
    with beat(), worker("live", "rebuild", "clock"), worker("effects", **patient):
        all_is_well(mails)
        mails.slow.add("slow.example")
        shop.customer(domain="slow.example")
        told(mails, "Worker: queue effects has no worker: effects-")
        says("of 1 has been at sagas.tasks.deliver for")
        mails.slow.clear()
        told(mails, "Worker: queue effects", "Recovered: queue effects")


@pytest.mark.long
def test_who_says_goodbye_and_comes_back_in_time_is_not_missed(mails):
    with worker("live", "clock", "rebuild", HEARTBEAT_TIMEOUT_SECONDS="15"):
        with beat() as clock, worker("effects") as effects:
            all_is_well(mails)
            for each in (clock, effects):
                each.process.terminate()
                each.process.wait(30)
            assert WorkerHeartbeat.objects.filter(stopped_at__isnull=False).count() == 2
            told(mails)
        with beat(HEARTBEAT_TIMEOUT_SECONDS="15"), worker("effects", HEARTBEAT_TIMEOUT_SECONDS="15"):
            eventually(lambda: WorkerHeartbeat.objects.filter(kind="beat", stopped_at=None).exists())
            eventually(lambda: not WorkerHeartbeat.objects.filter(stopped_at__isnull=False).exists())
            told(mails)


@pytest.fixture
def three(mails: MailServer) -> Iterator[MailServer]:
    """An installation of three processes that is up and well."""
    with beat(), worker("live", "effects", "rebuild"), worker("clock"):
        shop.customer()
        all_is_well(mails)
        yield mails


def test_events_that_one_subscriber_could_not_apply_are_one_mail_and_one_when_none_is_left(three):
    park(1, 2, 3)
    told(three, "Parked: order-summaries failed on 3 events")
    park(4)
    ParkedEvent.objects.filter(position=1).delete()
    told(three, "Parked: order-summaries")
    ParkedEvent.objects.all().delete()
    told(three, "Parked: order-summaries", "Recovered: order-summaries")


def test_one_that_halts_is_told_and_that_it_runs_again(three):
    SubscriberRow.objects.filter(pk="order-summaries").update(status="halted", last_error="DiskFull")
    told(three, "Halted: order-summaries has halted: DiskFull")
    SubscriberRow.objects.filter(pk="order-summaries").update(status="running")
    told(three, "Halted: order-summaries", "Recovered: order-summaries")


@pytest.mark.long
def test_one_whose_row_somebody_holds_has_stalled_until_it_is_let_go(three):
    with closing(raw.connect()) as holder:
        holder.execute("SELECT FROM eventstore_subscriber WHERE name = 'sales-by-day' FOR UPDATE")
        shop.customer()
        told(three, "Stalled: sales-by-day is ")
        holder.rollback()
    told(three, "Stalled: sales-by-day", "Recovered: sales-by-day")


@pytest.mark.long
def test_a_log_that_is_held_back_names_who_does_it_and_never_what_was_written(three, settings):
    settings.EVENTSTORE_SETTLE_SECONDS = 0.5
    with closing(raw.connect(application_name="a slow import")) as writer:
        holder = f"by a slow import (pid {writer.info.backend_pid})"
        raw.append(writer)
        writer.execute("SET idle_in_transaction_session_timeout = 0")
        shop.customer()
        told(three, "Horizon: log is held back")
        writer.rollback()
    told(three, "Horizon: log", "Recovered: log")
    text = to_staff(three)[0].get_content()
    assert holder in text.replace("\n", " ")
    assert "SET" not in text


@pytest.mark.long
def test_what_comes_back_in_a_moment_is_the_same_incident(three):
    for _ in range(2):
        park(1)
        seen_until(last_look() + LASTING)
        ParkedEvent.objects.all().delete()
        eventually(lambda: last_look() > Incident.objects.latest("id").seen_at)
    told(three, "Parked: order-summaries", "Recovered: order-summaries")
    assert Incident.objects.count() == 1


@pytest.mark.long
def test_what_does_not_last_is_no_incident(three):
    seen = Incident.objects.filter(about="order-summaries")
    park(1)
    eventually(seen.exists)
    ParkedEvent.objects.all().delete()
    eventually(lambda: not seen.exists())
    told(three)


@pytest.mark.long
def test_a_mail_server_that_was_down_is_tried_again_and_one_channel_that_fails_stops_no_other(tmp_path):
    heard = tmp_path / "heard"
    port = free_port()
    telling = {
        "NOTIFIERS": f"{notifications.MAIL},tests.integration.notifiers.broken,tests.integration.notifiers.file",
        "CHANNEL_FILE": str(heard),
        "EMAIL_URL": f"smtp://127.0.0.1:{port}",
    }
    with worker(*QUEUES, **telling), beat(**telling):
        shop.customer()
        eventually(lambda: heard_of() >= {*QUEUES, "beat"})
        park(1)
        eventually(lambda: heard.exists() and "parked: order-summaries began" in heard.read_text())
        untold = Notification.objects.filter(incident__kind="parked", sent_at=None)
        eventually(lambda: untold.filter(notifier__endswith="mail_admins", attempts__gte=2).exists())
        with mail_server(port) as (server, _):
            eventually(lambda: [each for each in subjects(server) if each.startswith("Parked: order-summaries")], 60)
            eventually(lambda: set(untold.values_list("notifier", flat=True)) == {"tests.integration.notifiers.broken"})
            ParkedEvent.objects.all().delete()
            eventually(lambda: [each for each in subjects(server) if each.startswith("Recovered: order-summaries")])
            # Channels are told in turn, so the last hears of it after the mail has come.
            eventually(lambda: "parked: order-summaries is over" in heard.read_text())
    assert heard.read_text().count("parked: order-summaries") == 2


@pytest.mark.long
def test_a_broker_that_is_gone_is_one_incident_and_not_one_for_each_worker(mails):
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        # For so long after it is back, workers that try to reach it ever more rarely are not missed.
        own = {"REDIS_URL": servers.redis_url, "RESOLVE_AFTER_SECONDS": "20"}
        workers = partial(worker, "live", "effects", "rebuild", **own)
        # A worker may end by itself when its broker dies while it holds a message.
        with kept(partial(beat, **own)), kept(workers), kept(partial(worker, "clock", **own)):
            all_is_well(mails)
            servers.valkey.kill()
            told(mails, "Broker: broker can't be reached")
            servers.valkey.start()
            told(mails, "Broker: broker", "Recovered: broker")


@pytest.mark.long
def test_a_worker_that_loses_its_broker_while_its_process_is_busy_is_not_missed_afterwards():
    """Guards against one that is asked for an answer once, and never again when Celery has dropped the question."""
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        broker = {"REDIS_URL": servers.redis_url, "HEARTBEAT_TIMEOUT_SECONDS": "3"}
        with worker("effects", **broker) as effects:
            (before,) = eventually(worker_statuses)
            (process,) = eventually(psutil.Process(effects.process.pid).children)
            process.suspend()
            time.sleep(1.0)  # it is asked twice a second
            servers.valkey.kill()
            time.sleep(0.5)
            servers.valkey.start()
            eventually(lambda: "Connected" in effects.output.partition("Connection to broker lost")[2])
            process.resume()
            eventually(lambda: worker_statuses()[0].beat_at > before.beat_at + 4 * LASTING)
            eventually(lambda: [(each.state, each.stuck) for each in worker_statuses()] == [("alive", "")])


@pytest.mark.long
def test_processes_live_through_a_database_that_is_gone_for_a_while(three):
    ours = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND datname = current_database() AND usename = current_user"""
    with connection.cursor() as cursor:
        cursor.execute(ours)
    park(1)
    told(three, "Parked: order-summaries")
