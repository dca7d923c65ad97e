"""The first act of the drill: a worker dies over five events, 945 more come, a worker comes back.

What was applied, in which order and how often, is told by triggers: they note each write to the read table and each
move of the checkpoint, with the transaction that did it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import psycopg

from benchmarks import history
from benchmarks.errors import promise
from benchmarks.history import EVENTS_AN_ORDER
from benchmarks.report import say
from benchmarks.site import BY, NAME, Site, caught_up, fold, row, select, sell, until
from eventstore import store
from eventstore.monitoring.status import subscriber_statuses
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause
from eventstore.subscriptions.gaps import gaps
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode, Rank
from projections.operations import Rebuild

MISSED = 950
KEPT = 1_000
"""Events that come while the worker lives, before the outage."""

PATIENCE = 60.0
PROGRAMS = ("rebuilder", "clock")

_OBSERVE = """
    CREATE TABLE drill_write (id bigserial, applied_in xid8 DEFAULT pg_current_xact_id(), order_id uuid,
        before bigint, as_of bigint);
    CREATE TABLE drill_move (id bigserial, applied_in xid8 DEFAULT pg_current_xact_id(), before bigint, after bigint,
        events bigint);
    CREATE FUNCTION drill_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO drill_write (order_id, before, as_of) VALUES (NEW.order_id, OLD.as_of, NEW.as_of); RETURN NULL;
    END $$;
    CREATE FUNCTION drill_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO drill_move (before, after, events)
            VALUES (OLD.checkpoint, NEW.checkpoint, NEW.processed - OLD.processed);
        RETURN NULL;
    END $$;
    CREATE TRIGGER drill_write AFTER INSERT OR UPDATE ON ordering_ordersummary
        FOR EACH ROW EXECUTE FUNCTION drill_write();
    CREATE TRIGGER drill_move AFTER UPDATE ON eventstore_subscriber
        FOR EACH ROW WHEN (NEW.name = 'order-summaries' AND NEW.checkpoint > OLD.checkpoint)
        EXECUTE FUNCTION drill_move();
"""
_LOOK_AWAY = """DROP FUNCTION drill_write, drill_move CASCADE; DROP TABLE drill_write, drill_move"""
_MOVES = "SELECT applied_in::text, before, after, events FROM drill_move ORDER BY id"
_WRITES = "SELECT applied_in::text, order_id, before, as_of FROM drill_write ORDER BY id"
_WAITING = """SELECT FROM pg_locks
    WHERE relation = 'ordering_ordersummary'::regclass AND NOT granted AND mode = 'AccessShareLock'"""
_BACK = """SELECT checkpoint >= %s,
        EXISTS (SELECT FROM eventstore_heartbeat WHERE kind = 'worker' AND 'live' = ANY(queues) AND process <> %s)
    FROM eventstore_subscriber WHERE name = %s"""
_PROCESS = "SELECT process FROM eventstore_heartbeat WHERE kind = 'worker' AND 'live' = ANY(queues)"
_COUNTED = "SELECT coalesce(sum(payments), 0) FROM ordering_dailysales"
_ACCEPTED = "SELECT count(*) FROM eventstore_event WHERE type = 'payment.accepted'"


def prepare(site: Site, events: int) -> None:
    """A log of so many events, less those that come later, and read models that have reached its end.

    Sagas and effects stand still: whatever is recorded from now on is the drill's own.
    """
    say(f"loading {events - KEPT - MISSED:,} events")
    history.load(site.variables["DATABASE_OWNER_URL"], events - KEPT - MISSED)
    registry.make_rows()
    for subscriber in registry:
        if subscriber.rank is not Rank.PROJECTION:
            perform(Pause(target=subscriber.name), by=BY)
    site.environment.keep(PROGRAMS, site.variables)
    for subscriber in registry.of(Mode.ASYNC):
        if subscriber.rank is Rank.PROJECTION:
            say(f"rebuilding {subscriber.name}, which brings it to the end of the log")
            fold(Rebuild(target=subscriber.name), "live")


def suffer(site: Site, events: int) -> dict[str, float]:
    """Lets the worker die when all but 950 `events` are applied, and come back.

    Raises `BenchmarkFailed` where an event is lost, repeated or out of order.
    """
    random = Random(2)
    with site.as_owner() as owner, _observed(owner):
        with site.environment.start("worker", site.variables) as worker:
            until(caught_up, PATIENCE, "the worker feeds the read model")
            say(f"{KEPT:,} events while the worker lives")
            sell(KEPT, random)
            until(caught_up, PATIENCE, "the worker keeps the read model at the end of the log")
            reached = row()
            promise(reached.checkpoint == events - MISSED, f"The read model stands at {reached.checkpoint:,}.")
            say("killing it in the midst of a transaction")
            with owner.transaction():
                # It is about to read: what it writes goes out with its COMMIT, which the server would carry out.
                owner.execute("LOCK TABLE ordering_ordersummary IN ACCESS EXCLUSIVE MODE")
                sell(EVENTS_AN_ORDER, random)
                with site.as_owner() as looking:
                    until(lambda: bool(select(looking, _WAITING)), PATIENCE, "the worker is at the next events")
                _kill(worker)
        sell(MISSED - EVENTS_AN_ORDER, random)
        promise(row().checkpoint == reached.checkpoint, "Something moved the checkpoint of a dead worker.")
        figures = {"gaps_ms": _judge_gap(reached.checkpoint)}
        figures |= _come_back(site, owner)
        _judge_order(owner, reached.checkpoint, row().processed - reached.processed)
    return figures


@contextmanager
def _observed(owner: psycopg.Connection) -> Iterator[None]:
    owner.execute(_OBSERVE)
    yield
    owner.execute(_LOOK_AWAY)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _judge_gap(reached: int) -> float:
    """What staff see of it; answers how many milliseconds the question took."""
    began = time.monotonic()
    found = gaps(NAME)
    milliseconds = (time.monotonic() - began) * 1e3
    seen = [(each.first, each.last, each.count, each.why) for each in found.ranges]
    promise(seen == [(reached + 1, store.head(), MISSED, "pending")], f"{MISSED} events are missing, not {seen}.")
    shown = next(status for status in subscriber_statuses() if status.name == NAME)
    promise(shown.pending == MISSED, f"The panel says that {shown.pending} events are missing.")
    return milliseconds


def _come_back(site: Site, owner: psycopg.Connection) -> dict[str, float]:
    """Starts the worker and looks every millisecond what has become of it."""
    head, ((process,),) = store.head(), select(owner, _PROCESS)
    say("starting it again")
    began, ready = time.monotonic(), 0.0
    with site.environment.start("worker", site.variables):
        while True:
            ((done, alive),) = select(owner, _BACK, head, process, NAME)
            now = time.monotonic()
            if alive and not ready:
                ready = now
            if done:
                break
            promise(now - began < PATIENCE, f"Not within {PATIENCE:.0f} s: the worker catches up.")
            time.sleep(0.001)
        until(lambda: select(owner, _COUNTED) == select(owner, _ACCEPTED), PATIENCE, "every payment is counted once")
    return {"catch_up_950_s": now - began, "catch_up_950_from_ready_s": now - ready if ready else 0.0}


def _judge_order(owner: psycopg.Connection, reached: int, processed: int) -> None:
    """Each transaction applied what lies in its range of the log and nothing else, and the ranges follow each other."""
    promise(processed == MISSED, f"{processed} events were applied.")
    noted = {transaction: (before, after, events) for transaction, before, after, events in select(owner, _MOVES)}
    moves = {transaction: move for transaction, move in noted.items() if move[0] >= reached}
    ranges = list(moves.values())
    promise(sum(events for _, _, events in ranges) == MISSED, "The moves of the checkpoint don't sum up.")
    ends = [reached, *(after for _, after, _ in ranges)]
    promise([before for before, _, _ in ranges] == ends[:-1] and ends[-1] == store.head(), "The checkpoint jumped.")
    promise(all(low < high for low, high in pairwise(ends)), "The checkpoint went back.")
    writes = select(owner, _WRITES)
    for transaction, order_id, before, as_of in writes:
        low, high, _ = noted[transaction]
        in_order = low < as_of <= high and (before is None or before <= low)
        promise(
            in_order, f"Order {order_id} went from {before} to {as_of} while the log was applied from {low} to {high}."
        )
    last = {order_id: as_of for transaction, order_id, _, as_of in writes if transaction in moves}
    recorded = store.read(reached, store.head(), registry[NAME].types, 10 * MISSED)
    keys = {key: each.position for each in recorded for key in registry[NAME].keys(each)}
    promise(last == keys, "Some of the events that were missed are in no row.")
