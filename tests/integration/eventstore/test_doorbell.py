"""A bell says that there is something, costs next to nothing, and is never rung for what was rolled back."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.db import transaction

from config import bundled
from config import tasks as site
from config.bundled.valkey import Valkey
from config.celery import Doorbell, app
from eventstore import database, doorbell, queries, tasks
from eventstore.models import SubscriberRow
from eventstore.tasks import SYNC_BELL
from eventstore.testing import only_handlers
from ordering.effects.customer import send_welcome
from projections import tasks as projections
from sagas import outbox
from sagas import tasks as sagas
from sagas.models import Delivery, OutboxCommand
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.probes import query, waiting_for
from tests.integration.processes import eventually, worker
from tests.integration.sagas.outgoing import decided, lines
from tests.servers import temporary_home

pytestmark = pytest.mark.usefixtures("clean")

BELL, TASK = "a bell", "tests.nobody"
TICKS = (tasks.tick, projections.tick, projections.verify_samples, sagas.tick, site.tick)
AT_MOST = 8.0
"""Seconds that ringing may cost a request here, however busy the machine is: by Celery's own rules it would be 20."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time at which bells are rung: it stands still, however busy the machine is."""
    now = database.clock()
    monkeypatch.setattr(queries, "MARK_BELL", queries.MARK_BELL.replace("clock_timestamp()", f"'{now}'::timestamptz"))
    return now


@pytest.fixture
def valkey(clean: None) -> Iterator[Valkey]:
    """The broker of this thread, while a test takes it away."""
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        elsewhere = Doorbell("elsewhere", set_as_current=False)
        elsewhere.config_from_object(settings, namespace="CELERY")
        elsewhere.conf.update(broker_url=servers.redis_url)
        elsewhere.set_current()
        try:
            yield servers.valkey
        finally:
            app.set_current()


def is_marked(bell: str = BELL) -> bool:
    return bool(query("SELECT 1 FROM eventstore_doorbell WHERE name = %s AND rung_at IS NOT NULL", bell))


def letters() -> int:
    """How many messages wait in the queue that nobody listens to."""
    return len(messages())


def messages(queue: str = settings.CELERY_TASK_DEFAULT_QUEUE) -> list[dict[str, Any]]:
    """What stands at the head of each message that waits in a queue that nobody listens to, the oldest first."""
    with current_app.connection_for_write() as connection:
        channel: Any = connection.default_channel  # of the Redis transport
        return [json.loads(message)["headers"] for message in channel.client.lrange(queue, 0, -1)[::-1]]


def carry_out(task: Any, message: dict[str, Any]) -> None:
    """As a worker does that has taken this message."""
    task.apply(headers={name: message[name] for name in message.keys() & {doorbell.RING}}).get()


@contextmanager
def took() -> Iterator[Callable[[], float]]:
    """How many seconds what is done within has taken."""
    begun = time.monotonic()
    yield lambda: time.monotonic() - begun


def standing() -> list[list[tuple[object, ...]]]:
    """What would be otherwise if anybody had looked what there is to do."""
    return [
        list(SubscriberRow.objects.order_by("name").values_list("name", "checkpoint")),
        list(OutboxCommand.objects.order_by("id").values_list("status", "attempts")),
        list(Delivery.objects.order_by("id").values_list("status", "attempts")),
    ]


@pytest.mark.parametrize(
    ("answer", "bell"),
    [
        (tasks.follow, tasks.ASYNC_BELL),
        (tasks.follow_sync, SYNC_BELL),
        (lambda: tasks.catch_up("sales-by-day"), "sales-by-day"),
        (sagas.run, outbox.BELL),
        (lambda: sagas.deliver(send_welcome.name), send_welcome.bell),
    ],
    ids=["follow", "follow_sync", "catch_up", "run", "deliver"],
)
def test_who_answers_clears_the_mark_before_it_looks_what_there_is(answer, bell):
    """Guards against clearing it afterwards: what came in between has found the bell ringing, and nobody looks."""
    decided("a")
    with only_handlers():
        shop.customer()
    doorbell.ring(bell, TASK)
    before = standing()
    with closing(raw.connect()) as holder:
        holder.execute("SELECT FROM eventstore_doorbell WHERE name = %s FOR UPDATE", [bell])
        answering = Beside(answer)
        eventually(lambda: waiting_for("UPDATE eventstore_doorbell"))
        assert standing() == before
        holder.rollback()
    assert answering.outcome() is None
    assert standing() != before


@pytest.mark.parametrize(("answer", "bell"), [(tasks.catch_up, "newer"), (sagas.deliver, "effect newer")])
def test_the_bell_of_somebody_whom_only_newer_code_knows_goes_on_ringing(answer, bell, clock):
    doorbell.ring(bell, TASK)
    answer("newer")
    doorbell.ring(bell, TASK)
    assert letters() == 1


def test_a_bell_that_rings_is_not_rung_again_until_it_was_answered(clock):
    for _ in range(5):
        doorbell.ring(BELL, TASK)
    assert letters() == 1
    doorbell.answer(BELL)
    doorbell.ring(BELL, TASK)
    assert letters() == 2


def test_a_mark_is_stale_after_two_seconds():
    """Guards against a message that was lost with its mark left: the bell would never ring again."""
    doorbell.ring(BELL, TASK)
    query("UPDATE eventstore_doorbell SET rung_at = rung_at - interval '2 seconds'")
    doorbell.ring(BELL, TASK)
    assert letters() == 2


def test_a_mark_in_the_future_is_stale():
    """Guards against a clock that is set back: until it had caught up the bell would never ring again."""
    doorbell.ring(BELL, TASK)
    query("UPDATE eventstore_doorbell SET rung_at = clock_timestamp() + interval '1 hour'")
    doorbell.ring(BELL, TASK)
    assert letters() == 2


@pytest.mark.parametrize(("unheard", "pause"), [(1, 2), (2, 2), (3, 3), (40, 40), (400, 60)])
def test_a_bell_that_nobody_hears_is_rung_ever_more_seldom(unheard, pause, clock):
    """Guards against messages that pile up in the queue while no worker runs."""
    doorbell.ring(BELL, TASK)
    query("UPDATE eventstore_doorbell SET rings = answered + %s", unheard)
    query("UPDATE eventstore_doorbell SET rung_at = %s", clock - timedelta(seconds=pause))
    doorbell.ring(BELL, TASK)
    assert letters() == 1
    query("UPDATE eventstore_doorbell SET rung_at = %s", clock - timedelta(seconds=pause, microseconds=1))
    doorbell.ring(BELL, TASK)
    assert letters() == 2


def test_no_message_tells_a_time():
    """Guards against `expires`: a worker whose clock is ahead throws every such message away, for ever."""
    doorbell.ring(BELL, TASK)
    (message,) = messages()
    assert (message["expires"], message["eta"]) == (None, None)


def test_who_answers_answers_all_rings_so_far_and_their_messages_are_passed_over():
    """Guards against looking once for each message that came while no worker ran."""
    for _ in range(3):
        doorbell.ring(SYNC_BELL, tasks.follow_sync.name)
        query("UPDATE eventstore_doorbell SET rung_at = rung_at - interval '1 minute'")
    waiting = messages()
    with only_handlers():
        shop.customer()
    before = standing()
    carry_out(tasks.follow_sync, waiting[0])
    first = standing()
    assert first != before
    with only_handlers():
        shop.customer()
    for message in waiting[1:]:
        carry_out(tasks.follow_sync, message)
    assert standing() == first
    doorbell.ring(SYNC_BELL, tasks.follow_sync.name)
    carry_out(tasks.follow_sync, messages()[-1])
    assert standing() != first


def test_while_nobody_answers_the_clock_the_queue_does_not_fill(clock):
    """Guards against a ticker that was down for a night and has to work off every second of it."""
    for _ in range(5):
        for tick in TICKS:
            tick.apply_async()
    assert sorted(message["task"] for message in messages("clock")) == sorted(tick.name for tick in TICKS)
    for message in messages("clock"):
        carry_out(current_app.tasks[message["task"]], message)
    for tick in TICKS:
        tick.apply_async()
    assert len(messages("clock")) == 2 * len(TICKS)


def test_what_waited_while_no_worker_ran_is_carried_out_by_the_first_that_does():
    for _ in range(3):
        sagas.tick.apply_async()
        query("UPDATE eventstore_doorbell SET rung_at = rung_at - interval '1 minute'")
    assert len(messages("clock")) == 3
    tick = "SELECT rung_at, rings, answered FROM eventstore_doorbell WHERE name = %s"
    with worker(queues="clock", concurrency=1):
        eventually(lambda: query(tick, sagas.tick.name) == [(None, 3, 3)])
        eventually(lambda: not messages("clock"))


def test_nothing_rings_before_the_commit_and_nothing_for_what_is_rolled_back():
    """Guards against a worker that is called so early that there is nothing to see yet, and goes."""
    with transaction.atomic():
        doorbell.remind_on_commit(BELL, TASK)
        assert (is_marked(), letters()) == (False, 0)
    assert (is_marked(), letters()) == (True, 1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        doorbell.remind_on_commit("another", TASK)
        raise ZeroDivisionError
    assert (is_marked("another"), letters()) == (False, 1)


@pytest.mark.parametrize("lose", [Valkey.freeze, Valkey.kill])
def test_what_is_committed_stays_so_whatever_becomes_of_the_bell(valkey, lose):
    lose(valkey)
    with transaction.atomic(), took() as seconds:
        query("INSERT INTO eventstore_doorbell (name) VALUES ('a row')")
        doorbell.remind_on_commit(BELL, TASK)
        doorbell.remind_on_commit("another", TASK, object())  # type: ignore[arg-type]  # no message can hold it
    assert seconds() < 2 * AT_MOST
    assert query("SELECT name FROM eventstore_doorbell WHERE name = 'a row'")


@pytest.mark.parametrize("lose", [Valkey.freeze, Valkey.kill])
def test_with_the_broker_gone_one_attempt_is_made_for_a_bell_until_its_mark_is_stale(valkey, lose):
    """Guards against every request paying for a broker that is away."""
    lose(valkey)
    with lines() as said:
        for _ in range(20):
            with took() as seconds:
                doorbell.ring(BELL, TASK)
            assert seconds() < AT_MOST
            query("UPDATE eventstore_doorbell SET rung_at = clock_timestamp()")
        assert [line["bell"] for line in said if line["event"] == "doorbell_unheard"] == [BELL]
        query("UPDATE eventstore_doorbell SET rung_at = rung_at - interval '2 seconds'")
        doorbell.ring(BELL, TASK)
        assert [line["bell"] for line in said if line["event"] == "doorbell_unheard"] == [BELL, BELL]
