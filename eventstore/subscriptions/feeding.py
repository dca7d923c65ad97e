"""One machinery feeds every subscriber, whether a request or a worker runs it.

Who feeds locks the subscribers' rows, reads the next events up to the horizon, applies them, moves the checkpoints and
commits: one transaction. The lock is the lease, so a killed process loses nothing and repeats nothing.
"""

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import advisory_locks, database, handler_guard, store
from eventstore.codec import Recorded
from eventstore.context import process_name
from eventstore.database import Statement
from eventstore.errors import NewerSchema, TooManyFailures
from eventstore.subscriptions import parking, queries
from eventstore.subscriptions.feed_state import FeedState, acquire
from eventstore.subscriptions.parking import Parking
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.savepoints import CHECKS, SAVEPOINT, isolate, savepoint, undo
from eventstore.subscriptions.subscriber import Mode, Subscriber, Work
from eventstore.transient_errors import is_infrastructure, is_wait, raise_if_infrastructure, raise_if_lost

log = structlog.get_logger(__name__)

BATCH = 500
TRIES = 10


class Fed(NamedTuple):
    """Whether we held any row at all, and whether a checkpoint moved.

    `full` when the batch was, so that there may be more; `elsewhere` when we held none because somebody else feeds.
    """

    held: bool
    moved: bool
    full: bool = False
    elsewhere: bool = False


class Member(NamedTuple):
    """A subscriber in a batch: where it is to get, and what it has to apply on the way."""

    subscriber: Subscriber
    upto: int
    work: list[Work]
    queued: list[Parking]


def feed(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """Feed those of these subscribers that nobody else is feeding, one batch, together."""
    with transaction.atomic(using, durable=True):
        fed = feed_within(known, using=using)
    if fed.moved:
        log.debug("batch_committed")
    return fed


def feed_within(known: Sequence[Subscriber], *first: Statement, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """`feed` as a part of a transaction that holds these rows for something else as well, or does something `first`."""
    standing = acquire(known, first, using=using)
    near = standing.near()
    if not near:
        return Fed(held=bool(standing.held), moved=False)
    types = frozenset[str]().union(*(subscriber.types for subscriber in near))
    begin = min(standing.checkpoints[subscriber.name] for subscriber in near)
    events, _ = database.pipeline(store.read_statement(begin, standing.horizon, types, BATCH), SAVEPOINT, using=using)
    reached = events[-1].position if len(events) == BATCH else standing.horizon
    with database.cursor(using) as cursor:
        moved = _Batch(cursor, near, standing, events, reached, using=using).apply()
    if moved:
        log.debug("batch_applied", events=len(events), upto=reached)
    return Fed(held=True, moved=moved, full=len(events) == BATCH)


def feed_sync(*, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """Feed the sync subscribers of this process, one batch, together; unless somebody else is at it.

    The rows' own locks keep feeders apart. This lock tells in one look that there is one, and `ask_after_feeder` waits
    for its end.
    """
    try:
        ((ours,),) = database.pipeline(Statement(queries.TRY_FEEDER, [advisory_locks.FEEDER]), using=using)[0]
        if not ours:
            return Fed(held=False, moved=False, elsewhere=True)
        with transaction.atomic(using, durable=True):
            until_commit = Statement(queries.FEEDER_UNTIL_COMMIT, [advisory_locks.FEEDER, advisory_locks.FEEDER])
            fed = feed_within(registry.of(Mode.SYNC), until_commit, using=using)
    except BaseException as error:
        raise_if_lost(error)  # and with the connection the lock
        database.pipeline(Statement(queries.RELEASE_FEEDER, [advisory_locks.FEEDER]), using=using)
        raise
    if fed.moved:
        log.debug("batch_committed")
    return fed


def ask_after_feeder(*statements: Statement, using: str = DEFAULT_DB_ALIAS) -> list[list[Any]]:
    """Ask as soon as whoever feeds the sync subscribers now has committed; or soon, for it may have frozen.

    All who wait go on together, so there is no queue of feeders: each of them would only find what the first has done.
    """
    # Given back before anything is asked, so that whoever asks keeps nobody from feeding. Not a lock of the session:
    # one that is granted just as the patience ends would never be given back.
    before = [
        Statement("BEGIN"),
        Statement(queries.LIMIT_AWAITING),
        Statement(queries.AWAIT_FEEDER, [advisory_locks.FEEDER]),
        Statement("COMMIT"),
    ]
    try:
        return database.pipeline(*before, *statements, using=using)[len(before) :]
    except psycopg.Error as error:
        raise_if_lost(error)
        database.pipeline(Statement("ROLLBACK"), using=using)
        if not isinstance(error, psycopg.errors.LockNotAvailable):
            raise
        return database.pipeline(*statements, using=using)


def catch_up(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Feed until there is nothing left to do for us."""
    while feed(known, using=using).moved:
        pass


class _Batch:
    """One read of the log, applied to all who wait for it: together if all goes well, else one by one."""

    def __init__(
        self,
        cursor: psycopg.Cursor[Any],
        near: Sequence[Subscriber],
        standing: FeedState,
        events: Sequence[Recorded],
        reached: int,
        *,
        using: str,
    ) -> None:
        self.cursor, self.near, self.standing, self.using = cursor, near, standing, using
        self.events, self.reached = events, reached
        self.moved: dict[str, tuple[int, int]] = {}

    def apply(self) -> bool:
        """Apply it, from the savepoint on that was set with the read, and move the checkpoints; whether any moved."""
        try:
            for subscriber in self.near:
                self._plainly(subscriber)
            database.pipeline(*CHECKS, *self._moves(), using=self.using)
        except Exception as error:
            raise_if_lost(error)
            undo(self.cursor, using=self.using)
            self.moved = {}
            for subscriber in self.near:
                self._alone(subscriber)
            database.pipeline(*self._moves(), using=self.using)
        return bool(self.moved)

    def _moves(self) -> list[Statement]:
        """Each that moved has its new checkpoint, and the number of its events."""
        if not self.moved:
            return []
        moves = [(name, upto, processed) for name, (upto, processed) in self.moved.items()]
        return [Statement(queries.MOVE_CHECKPOINTS, [process_name(), *map(list, zip(*moves, strict=True))])]

    def _alone(self, subscriber: Subscriber) -> None:
        try:
            with self._savepoint():
                self._plainly(subscriber)
            return
        except Exception as error:
            raise_if_lost(error)
            if is_infrastructure(error):
                self._leave_out(subscriber, error)
                return
        try:
            with self._savepoint():
                self._cautiously(subscriber)
        except TooManyFailures as error:
            self._halt(subscriber, error)
        except Exception as error:
            raise_if_lost(error)
            self._leave_out(subscriber, error)

    def _savepoint(self) -> AbstractContextManager[None]:
        return savepoint(self.cursor, using=self.using)

    def _leave_out(self, subscriber: Subscriber, error: Exception) -> None:
        """Leave this one where it is, to be tried again: others were in the way, the infrastructure failed, or what was
        to keep a bad event to its key.
        """
        told = parking.describe(error)
        self.moved.pop(subscriber.name, None)
        if is_wait(error):
            self.cursor.execute(queries.NOTE_WAIT, [told, subscriber.name])
            log.warning("subscriber_waits", subscriber=subscriber.name, error=told)
            return
        self.cursor.execute(queries.NOTE_FAILURE, [told, TRIES, subscriber.name])
        if is_infrastructure(error):
            log.warning("subscriber_infrastructure_failed", subscriber=subscriber.name, error=told)
        else:
            log.error("subscriber_failed", subscriber=subscriber.name, error=told)

    def _halt(self, subscriber: Subscriber, error: TooManyFailures) -> None:
        """Park nothing, move nothing: when the fault is mended, everything is applied as if it had never been."""
        self.moved.pop(subscriber.name, None)
        self.cursor.execute(queries.HALT, [str(error), subscriber.name])
        log.error("subscriber_halted", subscriber=subscriber.name, error=str(error))

    def _plainly(self, subscriber: Subscriber) -> None:
        with handler_guard.applying():
            member = self._member(subscriber)
        if member.work:
            self._apply(subscriber, member.work)
        self._note(member)

    def _cautiously(self, subscriber: Subscriber) -> None:
        member = self._member(subscriber, cautious=True)
        member.queued.extend(
            isolate(
                self.cursor,
                lambda works: self._apply(subscriber, works),
                member.work,
                lambda work, error: report(subscriber, work, error),
                using=self.using,
            )
        )
        self._check_failures(subscriber, member.queued)
        self._note(member)

    def _apply(self, subscriber: Subscriber, work: Sequence[Work]) -> None:
        with handler_guard.applying() as found:
            subscriber.apply(self.cursor, work)
        handler_guard.save_warnings(self.cursor, subscriber.declared, found)

    def _check_failures(self, subscriber: Subscriber, queued: Sequence[Parking]) -> None:
        failed = [parked for parked in queued if parked.error]
        if not failed:
            return
        self.cursor.execute(queries.NOTE_PARKED, [failed[-1].error, subscriber.name])
        before = self.cursor.execute(queries.FAILING_KEYS, [subscriber.declared, subscriber.name]).fetchall()
        keys = {parked.key for parked in failed}.union(key for (key,) in before)
        parking.refuse_too_many(len(keys), f"failed within a minute, the last with {failed[-1].error}")

    def _note(self, member: Member) -> None:
        subscriber = member.subscriber
        retry_in = parking.retry_in(1) if subscriber.mode is Mode.ASYNC else None
        parking.park(self.cursor, subscriber.declared, member.queued, retry_in=retry_in)
        if member.upto > self.standing.checkpoints[subscriber.name]:
            self.moved[subscriber.name] = (member.upto, len(member.work))

    def _member(self, subscriber: Subscriber, *, cautious: bool = False) -> Member:
        """What is new to this one, up to the slowest that it uses; events of parked keys queue behind them."""
        used = [self.moved[name][0] if name in self.moved else self.standing.wholes[name] for name in subscriber.uses]
        upto = min([self.reached, *used])
        parked = dict(self.standing.parked[subscriber.declared])
        work: list[Work] = []
        queued: list[Parking] = []
        for recorded in self.events:
            if (
                not self.standing.checkpoints[subscriber.name] < recorded.position <= upto
                or recorded.type not in subscriber.types
            ):
                continue
            try:
                with handler_guard.applying() if cautious else nullcontext():
                    keys = self._keys(subscriber, recorded, parked)
            except NewerSchema:
                upto = recorded.position - 1
                break
            except Exception as error:
                if not cautious:
                    raise
                raise_if_infrastructure(error)
                held = Work(parking.stream_key(recorded), recorded)
                parked.setdefault(parking.stream_key(recorded), recorded.position)
                report(subscriber, held, error)
                queued.append(parking.failed(held, error))
                continue
            for key in keys:
                if (subscriber.declared, parking.text(key), recorded.position) in self.standing.discarded:
                    continue
                one = Work(key, recorded)
                if parking.text(key) in parked:
                    queued.extend(parking.behind([one]))
                else:
                    work.append(one)
        return Member(subscriber, upto, work, queued)

    def _keys(self, subscriber: Subscriber, recorded: Recorded, parked: dict[str, int]) -> list[Hashable]:
        """An event whose key couldn't be told holds back the rest of its stream, but not what a shard that stands
        further back has yet to apply before it.
        """
        if recorded.is_newer:
            raise NewerSchema
        held = parking.stream_key(recorded)
        if (subscriber.declared, held, recorded.position) in self.standing.discarded:
            return []
        if parked and parked.get(held, recorded.position + 1) <= recorded.position:
            return [held]
        return list(dict.fromkeys(subscriber.keys(recorded)))


def report(subscriber: Subscriber, work: Work, error: Exception, **more: Any) -> None:
    """Say in the log that an event could not be applied."""
    log.error(
        "event_parked",
        **more,
        subscriber=subscriber.name,
        key=parking.text(work.key),
        position=work.recorded.position,
        error=parking.describe(error),
    )
