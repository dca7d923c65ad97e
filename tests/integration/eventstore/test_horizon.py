"""No reader ever misses an event, though transactions become visible out of order."""

import multiprocessing
import random
import time
from contextlib import closing, suppress
from multiprocessing.queues import Queue
from uuid import UUID

import pytest
from django.db import connections, transaction

from eventstore import store
from eventstore.context import new_id
from eventstore.models import StoredEvent
from eventstore.monitoring.status import log_status
from ordering.domain.order import OrderConfirmed
from tests.integration.eventstore import raw
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")

WRITERS = 8
APPENDS = 120


def read_by_position_alone(after):
    return list(StoredEvent.objects.filter(position__gt=after).values_list("position", flat=True))


def read_to_the_horizon(after):
    return [each.position for each in store.read(after, store.horizon(), ["order.confirmed"], 1000)]


def out_of_order(read):
    """A appends and waits, B commits, the reader polls, A commits, the reader polls: what it saw, and all there is."""
    with closing(raw.connect()) as a, closing(raw.connect()) as b:
        first = raw.append(a)
        second = raw.append(b)
        b.commit()
        seen = read(0)
        a.commit()
        seen += read(seen[-1] if seen else 0)
    return seen, [first, second]


@pytest.mark.parametrize("run", range(5))
def test_by_position_alone_the_slower_writers_event_is_missed(run):
    seen, there = out_of_order(read_by_position_alone)
    assert seen == there[1:]


@pytest.mark.parametrize("run", range(5))
def test_up_to_the_horizon_nothing_is_missed(run):
    seen, there = out_of_order(read_to_the_horizon)
    assert seen == there


@pytest.mark.bundled  # a server allows prepared transactions only where it is told to
def test_a_transaction_that_is_prepared_holds_the_horizon_until_it_is_committed():
    """It belongs to no session any more, and its events are yet to come."""
    with closing(raw.connect()) as a, closing(raw.connect(autocommit=True)) as b:
        first = raw.append(a)
        a.execute("PREPARE TRANSACTION 'half way'")
        a.autocommit = True
        try:
            second = raw.append(b)
            assert read_to_the_horizon(0) == []
            assert log_status().holder == "the prepared transaction half way"
        finally:
            b.execute("COMMIT PREPARED 'half way'")
        assert read_to_the_horizon(0) == [first, second]


def test_the_first_event_of_an_empty_log_holds_the_horizon_at_zero():
    with closing(raw.connect()) as a, closing(raw.connect()) as b:
        raw.append(a)
        raw.append(b)
        b.commit()
        assert store.horizon() == 0
        a.commit()
        assert store.horizon() == 2


def test_an_empty_log_is_final_up_to_nothing_so_whoever_looked_before_the_first_event_gets_it():
    looked_up_to = store.horizon()
    assert (looked_up_to, store.head()) == (0, 0)
    with closing(raw.connect()) as a:
        first = raw.append(a)
        a.commit()
    assert read_to_the_horizon(looked_up_to) == [first]


@pytest.mark.parametrize("begin", [2**31 - 2, 2**32 - 2, 2**33, 2**40])
def test_a_log_of_any_length_holds_its_horizon_exactly(begin):
    """A key of 32 bits would wrap around, and send the readers far below or far above where they stand."""
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("SELECT setval('eventstore_event_position_seq', %s)", [begin])
    with closing(raw.connect()) as a, closing(raw.connect()) as b:
        for number in range(3):
            assert raw.append(a) == begin + 2 * number + 1
            assert raw.append(b) == begin + 2 * number + 2
            b.commit()
            assert store.horizon() == begin + 2 * number
            a.commit()
            assert store.horizon() == begin + 2 * number + 2


def test_a_writer_that_was_held_up_before_it_announced_moves_the_horizon_back():
    """It had read the sequence and not yet taken its lock. Nothing is lost, for it takes its positions only now; but
    whoever remembers the horizon has to remember the greatest.
    """
    with closing(raw.connect()) as a, closing(raw.connect()) as b:
        for _ in range(3):
            raw.append(b)
        b.commit()
        assert store.horizon() == 3
        raw.announce(a, 1)
        assert store.horizon() == 1
        later = raw.append(a)
        a.commit()
    assert store.horizon() == later == 4


def test_a_writer_that_rolls_back_lets_the_horizon_go():
    with closing(raw.connect()) as a:
        raw.append(a)
        assert store.horizon() == 0
        a.rollback()
    assert store.horizon() == 1
    assert store.read(0, 1, ["order.confirmed"], 10) == []


def test_a_rolled_back_savepoint_gives_its_announce_back_and_the_next_append_announces_again():
    with closing(raw.connect()) as a, closing(raw.connect()) as b:
        a.execute("SAVEPOINT s")
        raw.append(a)
        a.execute("ROLLBACK TO s")
        assert store.horizon() == 1
        second = raw.append(a)
        raw.append(b)
        b.commit()
        assert store.horizon() == second - 1
        a.commit()
    assert read_to_the_horizon(0) == [second, second + 1]


def test_many_appends_in_one_transaction_announce_once():
    with closing(raw.connect()) as a:
        for _ in range(50):
            raw.append(a)
        locks = a.execute(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid = 1"
        ).fetchone()
    assert locks == (1,)


def test_a_writer_frozen_before_its_commit_is_ended_and_the_horizon_goes_on():
    with closing(raw.connect()) as frozen:
        raw.append(frozen)
        assert store.horizon() == 0
        eventually(lambda: store.horizon() == 1)
        with suppress(Exception):
            frozen.rollback()


def _write(queue: "Queue[list[UUID]]", seed: int) -> None:
    """Append with random delays before the commit, with savepoints, with rollbacks; answer what was committed."""
    connections.close_all()
    chance = random.Random(seed)
    committed: list[UUID] = []
    for _ in range(APPENDS):
        kept: list[UUID] = []
        with suppress(ZeroDivisionError), transaction.atomic():
            for _ in range(chance.choice((1, 1, 2))):
                with suppress(ZeroDivisionError), transaction.atomic():
                    stream = new_id()
                    _append(stream, chance.choice((1, 1, 2, 3)))
                    if chance.random() < 0.1:
                        raise ZeroDivisionError
                    kept.append(stream)
            time.sleep(chance.random() * chance.choice((0.001, 0.02)))
            if chance.random() < 0.1:
                raise ZeroDivisionError
            transaction.on_commit(lambda kept=kept: committed.extend(kept))  # type: ignore[misc]
    queue.put(committed)
    connections.close_all()


def _append(stream: UUID, events: int) -> None:
    happened = [OrderConfirmed(order_id=stream)] * events
    store.append(store.Changes(stream_id=stream, category="test", expected=0, events=happened))


def test_a_reader_with_one_integer_misses_nothing_under_stress():
    connections.close_all()
    fork = multiprocessing.get_context("fork")
    queue: Queue[list[UUID]] = fork.Queue()
    writers = [fork.Process(target=_write, args=(queue, seed)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    checkpoint, seen = 0, []
    committed: set[UUID] = set()
    waiting = WRITERS
    while waiting or checkpoint < store.head():
        horizon = store.horizon()
        for recorded in store.read(checkpoint, horizon, ["order.confirmed"], 100_000):
            seen.append((recorded.stream_id, recorded.version))
        checkpoint = max(checkpoint, horizon)
        while waiting and not queue.empty():
            committed.update(queue.get())
            waiting -= 1
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    assert {stream for stream, _ in seen} == committed
    assert len(seen) == len(set(seen)) == StoredEvent.objects.count()
    assert len(committed) > WRITERS * APPENDS / 2
