"""Parked events: tried again, or discarded. Each key is settled in a transaction of its own, under the lock of its row.

A key is healed as a whole or as far as it goes: its queue is applied in order, and what remains begins with the event
that still can't be applied.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import database, handler_guard, signals, store
from eventstore.codec import Recorded
from eventstore.database import Cursor
from eventstore.errors import Busy, NothingParked
from eventstore.subscriptions import parking, queries, row_locks
from eventstore.subscriptions.feed_state import identities
from eventstore.subscriptions.feeding import report
from eventstore.subscriptions.parking import Parking
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.savepoints import savepoint
from eventstore.subscriptions.subscriber import Mode, Subscriber, Work
from eventstore.transient_errors import is_infrastructure, raise_if_infrastructure, raise_if_lost

log = structlog.get_logger(__name__)

BATCH = 500


class _NotYet(Busy):
    """This key can't be tried now, which says nothing of others."""


class RetryResult(NamedTuple):
    """How many keys are live again, how many events were applied, and how many keys still fail."""

    keys: int
    events: int
    failing: int


def failing_keys(
    name: str, *, key: str | None = None, error: str | None = None, using: str = DEFAULT_DB_ALIAS
) -> list[str]:
    """The keys of a subscriber that have something parked: all, that one, or those of one error."""
    asked = {"subscriber": name, "key": None if key is None else parking.text(key), "error": error}
    with database.cursor(using) as cursor:
        found = cursor.execute(queries.KEYS_WITH_PARKED, asked).fetchall()
    return [key for (key,) in found]


def retry_keys(name: str, keys: Sequence[str], *, using: str = DEFAULT_DB_ALIAS) -> RetryResult:
    """Try the parked events of these keys again, now, each in a transaction of its own.

    Those that can't be tried now count as failing. Raises `Busy` when that is so of all.
    """
    healed: list[tuple[int, bool]] = []
    refused: Busy | None = None
    for key in keys:
        try:
            healed.append(_retry(name, parking.text(key), using))
        except Busy as error:
            refused = error
            if not isinstance(error, _NotYet):
                break
    if refused and not healed:
        raise refused
    return _told(name, healed + [(0, False)] * (len(keys) - len(healed)))


def _retry(name: str, key: str, using: str) -> tuple[int, bool]:
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        return _heal_and_release(cursor, registry[name], key, using)


def retry_keys_later(name: str, keys: Sequence[str], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Let workers try these keys again, as soon as they can. Raises `Busy`."""
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        row_locks.lock_rows(cursor, registry[name])
        cursor.execute(queries.MAKE_DUE, [name, list(map(parking.text, keys))])


def retry_due(known: Sequence[Subscriber], most: int = 20, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Try again what failed a while ago, or what somebody asked for, of those that run. True when something was due.

    What can't be tried now is put off for a second, so that it keeps neither the other keys waiting nor this process
    busy.
    """
    ranges = [each.hash_range for each in known]
    asked = {
        "known": identities(known),
        "names": [each.name for each in known],
        "lowers": [each.lower for each in ranges],
        "uppers": [each.upper for each in ranges],
        "most": most,
    }
    with database.cursor(using) as cursor:
        found = cursor.execute(queries.DUE_RETRIES, asked, prepare=True).fetchall()
        for name, key in found:
            try:
                retry_keys(name, [key], using=using)
            except Exception as error:
                raise_if_lost(error)
                cursor.execute(queries.POSTPONE_RETRY, [name, key])
                expected = isinstance(error, Busy) or is_infrastructure(error)
                say = log.warning if expected else log.error
                say("retry_postponed", subscriber=name, key=key, error=parking.describe(error))
    return bool(found)


def discard(
    name: str, key: str, positions: Sequence[int], *, reason: str, by: str, using: str = DEFAULT_DB_ALIAS
) -> RetryResult:
    """Leave parked events of a key out for good, all of these or none, and apply what waited behind them.

    One transaction: what waits behind nothing would never be tried again. Raises `NothingParked`, `Busy`.
    """
    wanted, key = sorted(set(positions)), parking.text(key)
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        row_locks.lock_rows(cursor, registry[name])
        gone = cursor.execute(queries.DISCARD, [name, key, wanted, reason, by]).fetchone()
        if not wanted or gone != (len(wanted),):
            raise NothingParked
        healed = _heal_and_release(cursor, registry[name], key, using)
    return _told(name, [healed])


def _told(name: str, healed: Sequence[tuple[int, bool]]) -> RetryResult:
    """The sum of what was healed; whoever waits for it hears of it."""
    told = RetryResult(
        keys=sum(done for _, done in healed),
        events=sum(applied for applied, _ in healed),
        failing=sum(not done for _, done in healed),
    )
    if told.keys or told.events:
        signals.moved.send(sender=Subscriber, subscriber=name)
    return told


def _heal_and_release(cursor: Cursor, subscriber: Subscriber, key: str, using: str) -> tuple[int, bool]:
    """The same as `_heal`, with what waits for a stream, where it is one and something of it could be applied."""
    applied, done = _heal(cursor, subscriber, key, using)
    if parking.is_stream(key) and (applied or done):
        for (waiting,) in cursor.execute(queries.WAITING_KEYS, [subscriber.declared]).fetchall():
            with suppress(_NotYet):
                applied += _heal(cursor, subscriber, waiting, using)[0]
    return applied, done


def _heal(cursor: Cursor, subscriber: Subscriber, key: str, using: str) -> tuple[int, bool]:
    """How many events of a key could be applied, and whether none is left."""
    applied = 0
    reached = min(lease.checkpoint for lease in row_locks.lock_rows(cursor, subscriber))
    while queue := _queue(cursor, subscriber, key, reached, using):
        left = _apply(cursor, subscriber, key, queue, using)
        applied += len(queue) - left
        if left:
            return applied, False
    return applied, True


def _queue(cursor: Cursor, subscriber: Subscriber, key: str, reached: int, using: str) -> list[Recorded]:
    """The next events of a key. Of a stream that is held back every shard has its part: it is healed when the last of
    them has got there. Raises `Busy` until then, or when it takes newer code.
    """
    rows = cursor.execute(queries.QUEUE, [subscriber.declared, key, BATCH]).fetchall()
    queue = store.read_these([position for (position,) in rows], using=using) if rows else []
    if any(recorded.position > reached and key == parking.stream_key(recorded) for recorded in queue):
        raise _NotYet(f"Not all shards of {subscriber.declared} have come as far as {key}.")
    if any(recorded.is_newer for recorded in queue):
        raise _NotYet(f"An event of {key} can only be read by newer code than runs here.")
    if queue and _waits_for_stream(cursor, subscriber, key, queue):
        raise _NotYet(f"What {key} is about may begin with an event of a stream that is parked: retry that first.")
    return queue


def _waits_for_stream(cursor: Cursor, subscriber: Subscriber, key: str, queue: Sequence[Recorded]) -> bool:
    """Whether these events would come to nothing, and one that can't be read may be the reason."""
    if parking.is_stream(key):
        return False
    ((held_up,),) = cursor.execute(queries.STREAM_PARKED, [subscriber.declared, parking.STREAM]).fetchall()
    return held_up and bool(subscriber.unbegun(cursor, [Work(key, recorded) for recorded in queue]))


def _apply(cursor: Cursor, subscriber: Subscriber, key: str, queue: Sequence[Recorded], using: str) -> int:
    """Apply the head of a key's queue; answers how many of it are left, the first of which has failed again."""
    applied = list(queue)
    try:
        with savepoint(cursor, using=using):
            _apply_all(cursor, subscriber, key, queue)
    except Exception as error:
        raise_if_infrastructure(error)
        applied = _one_by_one(cursor, subscriber, key, queue, using)
    cursor.execute(queries.UNPARK, [subscriber.declared, key, [recorded.position for recorded in applied]])
    return len(queue) - len(applied)


def _one_by_one(
    cursor: Cursor, subscriber: Subscriber, key: str, queue: Sequence[Recorded], using: str
) -> list[Recorded]:
    """Apply what can be applied, note why the next one can't."""
    for index, recorded in enumerate(queue):
        try:
            with savepoint(cursor, using=using):
                _apply_all(cursor, subscriber, key, [recorded])
        except Exception as error:
            raise_if_infrastructure(error)
            report(subscriber, Work(key, recorded), error)
            _failed_again(cursor, subscriber, parking.failed(Work(key, recorded), error))
            return list(queue[:index])
    return list(queue)


def _apply_all(cursor: Cursor, subscriber: Subscriber, key: str, queue: Sequence[Recorded]) -> None:
    with handler_guard.applying() as found:
        subscriber.apply(cursor, [work for recorded in queue for work in _works(cursor, subscriber, key, recorded)])
    handler_guard.save_warnings(cursor, subscriber.declared, found)


def _works(cursor: Cursor, subscriber: Subscriber, key: str, recorded: Recorded) -> list[Work]:
    """What of an event is to be applied now that its key is healed. If it was its stream that was held back, it queues
    for those keys that are parked themselves.
    """
    keys = {parking.text(each): each for each in subscriber.keys(recorded)}
    if key != parking.stream_key(recorded):
        return [Work(keys[key], recorded)] if key in keys else []
    waiting = _parked_among(cursor, subscriber, list(keys))
    behind = parking.behind([Work(each, recorded) for text, each in keys.items() if text in waiting])
    parking.park(cursor, subscriber.declared, behind)
    return [Work(each, recorded) for text, each in keys.items() if text not in waiting]


def _parked_among(cursor: Cursor, subscriber: Subscriber, keys: list[str]) -> set[str]:
    return {key for (key,) in cursor.execute(queries.PARKED_AMONG, [subscriber.declared, keys]).fetchall()}


def _failed_again(cursor: Cursor, subscriber: Subscriber, failed: Parking) -> None:
    place = [subscriber.declared, failed.key, failed.position]
    row = cursor.execute(queries.ATTEMPTS, place).fetchone()
    attempts = row[0] + 1 if row else 1
    again = parking.retry_in(attempts) if subscriber.mode is Mode.ASYNC else None
    cursor.execute(queries.NOTE_RETRY, [failed.error, failed.traceback, attempts, again, *place])
