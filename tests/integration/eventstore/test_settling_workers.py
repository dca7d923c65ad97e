"""Parked events and shards, where real workers feed."""

import os
import random
from collections import defaultdict
from contextlib import ExitStack, closing, contextmanager

import pytest
from celery import current_app

from eventstore import store
from eventstore.context import new_id
from eventstore.models import ParkedEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Reshard, Retry
from eventstore.subscriptions.subscriber import Mode
from eventstore.tasks import follow
from tests.integration import processes
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import (
    WHO,
    Probe,
    go_wrong,
    mend,
    note,
    own_shard,
    query,
    registered,
    waiting_for,
)
from tests.integration.processes import eventually

APP = "tests.integration.eventstore.probing"
HELD = "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(77)"


@pytest.fixture
def probe(probe_tables):
    """What the workers feed."""
    with registered(Probe(mode=Mode.ASYNC)) as probe:
        yield probe


def worker(**how):
    return processes.worker(app=APP, queues="live", **how)


def clock():
    return processes.clock(app=APP)


@contextmanager
def holding():
    """While it lasts, whoever is at a key that is wrong in the way of `HELD` waits."""
    with closing(raw.connect()) as holder:
        holder.execute("SELECT pg_advisory_lock(77)")
        yield
        holder.rollback()


def caught_up(probe):
    return all(row.checkpoint == store.head() for row in probe.rows)


def test_a_healed_key_is_live_at_once_in_a_worker_that_was_there_before(probe):
    go_wrong("a@1")
    with worker(), clock():
        note("a", "b", "a")
        eventually(lambda: caught_up(probe))
        query("UPDATE eventstore_parked SET retry_at = NULL")
        assert probe.parked() == {"a": [-1, 3]}
        mend("a@1")
        perform(Retry(target="probe"), by=WHO)
        note("a")
        eventually(lambda: caught_up(probe))
        assert probe.noted("a") == [1, 3, 4]
    backends = dict(query("SELECT position, pid FROM probe_noted"))
    assert backends[1] == backends[3] == query("SELECT pg_backend_pid()")[0][0]
    assert backends[4] != backends[3]
    assert int(probe.row.fed_by.rpartition(":")[2]) != os.getpid()


def test_a_worker_tries_again_by_itself(probe):
    go_wrong("a@1")
    with worker(), clock():
        note("a", "b", "a")
        eventually(lambda: ParkedEvent.objects.filter(attempts__gte=2).exists())
        assert probe.noted() == {"b": [2]}
        mend("a@1")
        eventually(lambda: not probe.parked())
    assert probe.noted("a") == [1, 3]


def test_a_worker_killed_between_parking_and_its_checkpoint_has_done_neither(probe):
    go_wrong("a")
    go_wrong("b", statement=HELD)
    note("b", "a")
    with holding(), worker() as victim, clock():
        eventually(lambda: waiting_for("pg_advisory_xact_lock"))
        victim.kill()
    assert (probe.noted(), probe.parked(), probe.row.checkpoint) == ({}, {}, 0)
    with worker(), clock():
        eventually(lambda: caught_up(probe))
    assert probe.noted() == {"b": [1]}
    assert list(probe.parked()) == ["a"]


def test_two_shards_are_fed_by_two_processes_at_the_same_time(probe):
    perform(Reshard(target="probe", shards=2), by=WHO)
    slow = own_shard(probe, "a").name
    quick = next(key for key in map(str, range(20)) if own_shard(probe, key).name != slow)
    go_wrong("a", statement=HELD)
    note("a")
    with ExitStack() as held:
        held.enter_context(holding())
        with worker(), clock():
            eventually(lambda: waiting_for("pg_advisory_xact_lock"))
            note(quick)
            eventually(lambda: probe.noted() == {quick: [2]})
            assert own_shard(probe, "a").checkpoint == 0
            held.close()
            eventually(lambda: caught_up(probe))
    assert probe.noted() == {quick: [2], "a": [1]}
    backends = dict(query("SELECT position, pid FROM probe_noted"))
    assert backends[1] != backends[2]


def test_a_bell_for_the_whole_reaches_its_shards(probe):
    perform(Reshard(target="probe", shards=2), by=WHO)
    current_app.control.purge()
    query("DELETE FROM eventstore_doorbell")
    note("a", "b", "c", "d")
    with worker():
        follow.delay()
        eventually(lambda: caught_up(probe))


def test_split_and_put_together_under_load_every_event_is_applied_once_in_order_for_its_key(probe):
    chance = random.Random()
    keys = [f"key{number}" for number in range(12)]
    positions, streams = defaultdict(list), {key: new_id() for key in keys}
    go_wrong("key3")
    with worker(), worker(), clock():
        for shards in (3, 1, 4, 2, 1):
            for key in chance.choices(keys, k=80):
                positions[key].append(note(key, stream=streams[key]))
            perform(Reshard(target="probe", shards=shards), by=WHO)
        eventually(lambda: caught_up(probe))
        assert set(probe.parked()) == {"key3"}
        mend("key3")
        perform(Retry(target="probe"), by=WHO)
    assert probe.noted() == positions
    assert len(probe.rows) == 1
