"""One machinery feeds every subscriber, whether a request or a worker runs it.

Who feeds locks the subscribers' rows, reads the next events up to the horizon, applies them, moves the checkpoints and
commits: one transaction. The lock is the lease, so a killed process loses nothing and repeats nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, NamedTuple

import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import parking, store
from eventstore.codec import Recorded
from eventstore.context import process_name
from eventstore.errors import NewerSchema
from eventstore.failures import is_infrastructure, raise_if_infrastructure, raise_if_lost
from eventstore.parking import Parking
from eventstore.store import Statement
from eventstore.subscribers import Subscriber, Work

log = structlog.get_logger(__name__)

BATCH = 500
NEAR = 500
TRIES = 10

_LIMITS = (
    "SELECT set_config('lock_timeout', '200ms', true), set_config('idle_in_transaction_session_timeout', '1s', true)"
)
# FOR NO KEY UPDATE: a plain FOR UPDATE SKIP LOCKED would skip rows that an uncommitted foreign key merely points to.
_LOCK = """SELECT name FROM eventstore_subscriber
    WHERE status = 'running' AND (retry_at IS NULL OR retry_at <= clock_timestamp())
        AND (name, version, wanted) IN (SELECT * FROM unnest(%s::text[], %s::int[], %s::text[]))
    ORDER BY rank, name FOR NO KEY UPDATE SKIP LOCKED"""
_CHECKPOINTS = "SELECT name, checkpoint FROM eventstore_subscriber"
_MOVE = """UPDATE eventstore_subscriber AS row
    SET checkpoint = greatest(row.checkpoint, new.checkpoint), processed = row.processed + new.processed, failures = 0,
        retry_at = NULL, moved_at = clock_timestamp(), fed_by = %s
    FROM unnest(%s::text[], %s::bigint[], %s::int[]) AS new(name, checkpoint, processed) WHERE row.name = new.name"""
_FAILED = """UPDATE eventstore_subscriber
    SET failures = failures + 1, retry_at = clock_timestamp() + interval '1 second', last_error = %s,
        last_error_at = clock_timestamp(), status = CASE WHEN failures + 1 >= %s THEN 'halted' ELSE status END
    WHERE name = %s"""
_PARKED = "UPDATE eventstore_subscriber SET last_error = %s, last_error_at = clock_timestamp() WHERE name = %s"


class Fed(NamedTuple):
    """Whether we held any row at all, and whether a checkpoint moved."""

    held: bool
    moved: bool


class Member(NamedTuple):
    """A subscriber in a batch: where it is to get, and what it has to apply on the way."""

    subscriber: Subscriber
    upto: int
    work: list[Work]
    queued: list[Parking]


def feed(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """Feed those of these subscribers that nobody else is feeding, one batch, together."""
    with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
        standing = _hold(known, using)
        near = standing.near()
        if not near:
            return Fed(held=bool(standing.held), moved=False)
        types = frozenset[str]().union(*(subscriber.types for subscriber in near))
        begin = min(standing.checkpoints[subscriber.name] for subscriber in near)
        events = store.read(begin, standing.horizon, types, BATCH, using=using)
        reached = events[-1].position if len(events) == BATCH else standing.horizon
        moves = _Batch(cursor, near, standing, events, reached).apply()
        if moves:
            cursor.execute(_MOVE, [process_name(), *map(list, zip(*moves, strict=True))], prepare=True)
        return Fed(held=True, moved=bool(moves))


def catch_up(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Feed until there is nothing left to do for us."""
    while feed(known, using=using).moved:
        pass


def identities(known: Sequence[Subscriber]) -> list[list[Any]]:
    """Names, versions and wanted types: a process feeds only what it knows in exactly this shape."""
    return [[s.name for s in known], [s.version for s in known], [s.wanted for s in known]]


class Standing(NamedTuple):
    """Who is ours to feed, where everybody is, how far the log is final, and which keys are held back."""

    held: list[Subscriber]
    checkpoints: dict[str, int]
    horizon: int
    parked: set[tuple[str, str]]

    def near(self) -> list[Subscriber]:
        """Those that are behind, but not far; if all are far, the foremost, so that it goes on without workers too."""
        behind = [subscriber for subscriber in self.held if self.checkpoints[subscriber.name] < self.horizon]
        near = [subscriber for subscriber in behind if self.horizon - self.checkpoints[subscriber.name] <= NEAR]
        if near or not behind:
            return near
        return [max(behind, key=lambda subscriber: self.checkpoints[subscriber.name])]


def _hold(known: Sequence[Subscriber], using: str) -> Standing:
    """Lock what nobody else holds, and only then look: later statements see what the former holder committed."""
    names = [subscriber.name for subscriber in known]
    _, locked, checkpoints, horizon, parked = store.together(
        Statement(_LIMITS),
        Statement(_LOCK, identities(known)),
        Statement(_CHECKPOINTS),
        Statement(store.HORIZON, [-1]),
        Statement(parking.KEYS, [names]),
        using=using,
    )
    held = {name for (name,) in locked}
    return Standing(
        held=[subscriber for subscriber in known if subscriber.name in held],
        checkpoints=dict(checkpoints),
        horizon=horizon[0][0],
        parked=set(parked),
    )


class _Batch:
    """One read of the log, applied to all who wait for it: together if all goes well, else one by one."""

    def __init__(
        self,
        cursor: psycopg.Cursor[Any],
        near: Sequence[Subscriber],
        standing: Standing,
        events: Sequence[Recorded],
        reached: int,
    ) -> None:
        self.cursor, self.near = cursor, near
        self.checkpoints, self.parked = standing.checkpoints, standing.parked
        self.events, self.reached = events, reached
        self.moved: dict[str, tuple[int, int]] = {}

    def apply(self) -> list[tuple[str, int, int]]:
        """Name, new checkpoint and number of events of each that moved."""
        try:
            with _savepoint(self.cursor):
                for subscriber in self.near:
                    self._plainly(subscriber)
        except Exception as error:
            raise_if_lost(error)
            self.moved = {}
            for subscriber in self.near:
                self._alone(subscriber)
        return [(name, upto, processed) for name, (upto, processed) in self.moved.items()]

    def _alone(self, subscriber: Subscriber) -> None:
        try:
            with _savepoint(self.cursor):
                self._plainly(subscriber)
            return
        except Exception as error:
            if self._infrastructure_failed(subscriber, error):
                return
        try:
            with _savepoint(self.cursor):
                self._cautiously(subscriber)
        except Exception as error:
            if not self._infrastructure_failed(subscriber, error):
                raise

    def _infrastructure_failed(self, subscriber: Subscriber, error: Exception) -> bool:
        """Leave this one where it is, to be tried again: nothing of this kind ever parks."""
        raise_if_lost(error)
        if not is_infrastructure(error):
            return False
        self.moved.pop(subscriber.name, None)
        self.cursor.execute(_FAILED, [parking.describe(error), TRIES, subscriber.name])
        log.warning("subscriber_infrastructure_failed", subscriber=subscriber.name, error=parking.describe(error))
        return True

    def _plainly(self, subscriber: Subscriber) -> None:
        member = self._member(subscriber)
        if member.work:
            subscriber.apply(self.cursor, member.work)
        self._settle(member)

    def _cautiously(self, subscriber: Subscriber) -> None:
        """Key by key, then event by event: the first bad one of a key parks the rest of that key."""
        member = self._member(subscriber, cautious=True)
        by_key = sorted(member.work, key=lambda work: parking.text(work.key))
        for _, works in groupby(by_key, key=lambda work: parking.text(work.key)):
            member.queued.extend(self._one_key(subscriber, list(works)))
        self._settle(member)

    def _one_key(self, subscriber: Subscriber, works: list[Work]) -> list[Parking]:
        try:
            with _savepoint(self.cursor):
                subscriber.apply(self.cursor, works)
            return []
        except Exception as error:
            raise_if_infrastructure(error)
        for index, work in enumerate(works):
            try:
                with _savepoint(self.cursor):
                    subscriber.apply(self.cursor, [work])
            except Exception as error:
                raise_if_infrastructure(error)
                self._report(subscriber, work, error)
                return [parking.failed(work, error), *parking.behind(works[index + 1 :])]
        return []

    def _report(self, subscriber: Subscriber, work: Work, error: Exception) -> None:
        self.cursor.execute(_PARKED, [parking.describe(error), subscriber.name])
        log.error(
            "event_parked",
            subscriber=subscriber.name,
            key=parking.text(work.key),
            position=work.recorded.position,
            error=parking.describe(error),
        )

    def _settle(self, member: Member) -> None:
        parking.park(self.cursor, member.subscriber.name, member.queued)
        if member.upto > self.checkpoints[member.subscriber.name]:
            self.moved[member.subscriber.name] = (member.upto, len(member.work))

    def _member(self, subscriber: Subscriber, *, cautious: bool = False) -> Member:
        """What is new to this one, up to the slowest that it uses; events of parked keys queue behind them."""
        used = [self.moved.get(name, (self.checkpoints[name], 0))[0] for name in subscriber.uses]
        upto = min([self.reached, *used])
        work: list[Work] = []
        queued: list[Parking] = []
        for recorded in self.events:
            if (
                not self.checkpoints[subscriber.name] < recorded.position <= upto
                or recorded.type not in subscriber.types
            ):
                continue
            try:
                keys = [Work(key, recorded) for key in subscriber.keys(recorded)]
            except NewerSchema:
                upto = recorded.position - 1
                break
            except Exception as error:
                if not cautious:
                    raise
                work_of_stream = Work(f"stream {recorded.stream_id}", recorded)
                self._report(subscriber, work_of_stream, error)
                queued.append(parking.failed(work_of_stream, error))
                continue
            for one in keys:
                if (subscriber.name, parking.text(one.key)) in self.parked:
                    queued.extend(parking.behind([one]))
                else:
                    work.append(one)
        return Member(subscriber, upto, work, queued)


@contextmanager
def _savepoint(cursor: psycopg.Cursor[Any]) -> Iterator[None]:
    """A deferred constraint would pass the savepoint and fail the commit of everybody, so it is checked here."""
    cursor.execute("SAVEPOINT feeding")
    try:
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.OperationalError as error:
        raise_if_lost(error)
        _rollback(cursor)
        raise
    except BaseException:
        _rollback(cursor)
        raise
    cursor.execute("RELEASE feeding")


def _rollback(cursor: psycopg.Cursor[Any]) -> None:
    cursor.execute("ROLLBACK TO feeding")
    cursor.execute("RELEASE feeding")
