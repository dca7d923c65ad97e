"""One machinery feeds every subscriber, whether a request or a worker runs it.

Who feeds locks the subscribers' rows, reads the next events up to the horizon, applies them, moves the checkpoints and
commits: one transaction. The lock is the lease, so a killed process loses nothing and repeats nothing.
"""

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import database, handler_guard
from eventstore.codec import Recorded
from eventstore.context import process_name
from eventstore.database import Statement, array
from eventstore.errors import NewerSchema, TooManyFailures
from eventstore.subscriptions import parking, queries
from eventstore.subscriptions.feed_state import Awaited, FeedState, acquire, take_turn
from eventstore.subscriptions.pace import BATCH, TRIES, pace
from eventstore.subscriptions.parking import Parking
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.savepoints import isolate, savepoint
from eventstore.subscriptions.subscriber import Mode, Subscriber, Work
from eventstore.transient_errors import is_infrastructure, is_wait, raise_if_infrastructure, raise_if_lost

log = structlog.get_logger(__name__)


class Fed(NamedTuple):
    """Whether we held any row at all, and whether a checkpoint moved.

    `full` when the batch was, so that there may be more; `elsewhere` when we held none because somebody else feeds.
    """

    held: bool
    moved: bool
    full: bool = False
    elsewhere: bool = False

    def beside(self, other: "Fed") -> "Fed":
        """What both have done."""
        return Fed(*map(any, zip(self, other, strict=True)))


NOTHING = Fed(held=False, moved=False)
ELSEWHERE = Fed(held=False, moved=False, elsewhere=True)


class Member(NamedTuple):
    """A subscriber in a batch: where it is to get, and what it has to apply on the way."""

    subscriber: Subscriber
    upto: int
    work: list[Work]
    queued: list[Parking]


def feed(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """Feed those of these subscribers that nobody else is feeding, one batch, together."""
    return _feed(known, sync=False, using=using)[0]


def feed_sync(*, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """Feed the sync subscribers of this process, one batch, together; unless somebody else is at it.

    The rows' own locks keep feeders apart. The feeder's lock tells in one look that there is one, and when it ends.
    """
    return _feed(registry.of(Mode.SYNC), sync=True, using=using)[0]


def feed_sync_and_ask(
    *asked: Statement, awaited: Awaited, using: str = DEFAULT_DB_ALIAS
) -> tuple[Fed, list[list[Any]]]:
    """The same as soon as one may, and then ask something; or as soon as others have fed what is awaited."""
    return _feed(registry.of(Mode.SYNC), *asked, sync=True, awaited=awaited, using=using)


def feed_within(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> Fed:
    """`feed` as a part of a transaction that holds these rows for something else as well."""
    state = acquire(known, sync=False, most=BATCH, durable=True, using=using)
    with database.cursor(using) as cursor:
        return _Batch(cursor, known, state, BATCH).apply_one_by_one(using)


def _feed(
    known: Sequence[Subscriber], *asked: Statement, sync: bool, awaited: Awaited | None = None, using: str
) -> tuple[Fed, list[list[Any]]]:
    """All together; and once more, one by one, where one of them fails."""
    if pace.is_slow:
        fed = _feed_each(known, sync=sync, using=using)
        ask = ask_after_feeder if fed.elsewhere else database.pipeline
        return fed, ask(*asked, using=using)
    with pace.trying():
        state: FeedState | None = None
        try:
            with database.transaction(using), database.cursor(using) as cursor:
                if awaited:
                    state = take_turn(known, awaited, most=BATCH, using=using)
                else:
                    state = acquire(known, sync=sync, most=BATCH, durable=False, using=using)
                if state.elsewhere:
                    return ELSEWHERE, database.commit(then=asked, using=using)
                return _Batch(cursor, known, state, BATCH).apply_together(*asked, using=using)
        except Exception as error:
            raise_if_lost(error)
            if state is None or state.elsewhere:
                raise
            fed = _feed_one_by_one(known, BATCH, sync=sync, using=using)
            return fed, database.pipeline(*asked, using=using)


def _feed_one_by_one(known: Sequence[Subscriber], most: int, *, sync: bool, using: str) -> Fed:
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        state = acquire(known, sync=sync, most=most, durable=False, using=using)
        fed = _Batch(cursor, known, state, most).apply_one_by_one(using)
    return _committed(fed)


def _feed_each(known: Sequence[Subscriber], *, sync: bool, using: str) -> Fed:
    """Each in a transaction of its own, with fewer events, so that it shows who it is that takes so long."""
    pace.tell(using)
    most = pace.most
    whole = NOTHING
    for subscriber in known:
        with pace.trying(subscriber):
            fed = _feed_one_by_one([subscriber], most, sync=sync, using=using)
        whole = whole.beside(fed)
    if whole.held:
        pace.quicken()
    return whole


def _committed(fed: Fed) -> Fed:
    if fed.moved:
        log.debug("batch_committed")
    return fed


def ask_after_feeder(*statements: Statement, using: str = DEFAULT_DB_ALIAS) -> list[list[Any]]:
    """Ask as soon as whoever feeds the sync subscribers now has committed; or soon, for it may have frozen.

    All who wait go on together, so there is no queue of feeders: each of them would only find what the first has done.
    """
    with database.transaction(using):
        return _after_feeder(*statements, using=using)


def _after_feeder(*statements: Statement, using: str) -> list[list[Any]]:
    """The same, which ends a transaction."""
    return database.commit(Statement(queries.AWAIT_FEEDER), then=statements, using=using)[1:]


def catch_up(known: Sequence[Subscriber], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Feed until there is nothing left to do for us."""
    while feed(known, using=using).moved:
        pass


class _Batch:
    """One read of the log, applied to all who wait for it: together, or one by one, so that who fails is left out."""

    def __init__(self, cursor: database.Cursor, known: Sequence[Subscriber], state: FeedState, most: int) -> None:
        self.cursor, self.state = cursor, state
        self.near = [subscriber for subscriber in known if subscriber.name in (state.near or ())]
        self.events: Sequence[Recorded] = state.events or []
        self.types = {recorded.type for recorded in self.events}
        self.full = len(self.events) == most
        self.reached = self.events[-1].position if self.full else state.horizon
        self.moved: dict[str, tuple[int, int]] = {}

    def apply_together(self, *asked: Statement, using: str) -> tuple[Fed, list[list[Any]]]:
        """Apply it to all, move the checkpoints, ask something, and commit; what is written goes out together. Raises
        whatever any of them raises.
        """
        with handler_guard.applying():
            members = [self._moving(self._member(subscriber)) for subscriber in self.near]
            for member in members:
                if member.work:
                    self.cursor.ask_ahead(member.subscriber.reads(member.work))
        for member in members:
            self._carry_out(member)
        if self.moved:
            log.debug("batch_applied", events=len(self.events), upto=self.reached)
        moves = self._moves()
        answers = database.commit(*moves, *asked, using=using)[len(moves) :]
        return _committed(self._fed()), answers

    def apply_one_by_one(self, using: str) -> Fed:
        """Apply it to each as far as that goes, and move the checkpoints; the transaction goes on."""
        for subscriber in self.near:
            self._alone(subscriber, using)
        database.pipeline(*self._moves(), using=using)
        if self.moved:
            log.debug("batch_applied", events=len(self.events), upto=self.reached)
        return self._fed()

    def _fed(self) -> Fed:
        if self.state.elsewhere:
            return ELSEWHERE
        return Fed(held=self.state.held, moved=bool(self.moved), full=self.full)

    def _moves(self) -> list[Statement]:
        """Each that moved has its new checkpoint, and the number of its events."""
        if not self.moved:
            return []
        moves = [(name, upto, processed) for name, (upto, processed) in self.moved.items()]
        return [Statement(queries.MOVE_CHECKPOINTS, [process_name(), *map(array, zip(*moves, strict=True))])]

    def _alone(self, subscriber: Subscriber, using: str) -> None:
        try:
            with savepoint(self.cursor, using=using):
                self._plainly(subscriber)
            return
        except Exception as error:
            raise_if_lost(error)
            if is_infrastructure(error):
                self._leave_out(subscriber, error)
                return
        try:
            with savepoint(self.cursor, using=using):
                self._cautiously(subscriber, using)
        except TooManyFailures as error:
            self._halt(subscriber, error)
        except Exception as error:
            raise_if_lost(error)
            self._leave_out(subscriber, error)

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
        self._carry_out(member)
        self._moving(member)

    def _carry_out(self, member: Member) -> None:
        if member.work:
            self._apply(member.subscriber, member.work)
        self._park(member)

    def _cautiously(self, subscriber: Subscriber, using: str) -> None:
        member = self._member(subscriber, cautious=True)
        member.queued.extend(
            isolate(
                self.cursor,
                lambda works: self._apply(subscriber, works),
                member.work,
                lambda work, error: report(subscriber, work, error),
                using=using,
            )
        )
        self._check_failures(subscriber, member.queued)
        self._park(member)
        self._moving(member)

    def _apply(self, subscriber: Subscriber, work: Sequence[Work]) -> None:
        if not subscriber.by_cursor:
            self.cursor.send()
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

    def _park(self, member: Member) -> None:
        if member.queued:
            retry_in = parking.retry_in(1) if member.subscriber.mode is Mode.ASYNC else None
            parking.park(self.cursor, member.subscriber.declared, member.queued, retry_in=retry_in)

    def _moving(self, member: Member) -> Member:
        """Note how far this one gets, for those that use it and for its checkpoint."""
        if member.upto > self.state.by_row[member.subscriber.name]:
            self.moved[member.subscriber.name] = (member.upto, len(member.work))
        return member

    def _member(self, subscriber: Subscriber, *, cautious: bool = False) -> Member:
        """What is new to this one, up to the slowest that it uses; events of parked keys queue behind them."""
        used = [self.moved[name][0] if name in self.moved else self.state.slowest[name] for name in subscriber.uses]
        upto = min([self.reached, *used])
        if subscriber.types.isdisjoint(self.types):
            return Member(subscriber, upto, [], [])
        parked = dict(self.state.held_back[subscriber.declared])
        work: list[Work] = []
        queued: list[Parking] = []
        for recorded in self.cursor.awake(self.events):
            if (
                not self.state.by_row[subscriber.name] < recorded.position <= upto
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
                if (subscriber.declared, parking.text(key), recorded.position) in self.state.left_out:
                    continue
                one = Work(key, recorded)
                if parking.text(key) in parked:
                    queued.extend(parking.behind([one]))
                else:
                    work.append(one)
        member = Member(subscriber, upto, work, queued)
        return self._without_unbegun(member) if any(map(parking.is_stream, parked)) else member

    def _without_unbegun(self, member: Member) -> Member:
        """A stream is held back: what would come to nothing without its events queues behind it."""
        unbegun = member.subscriber.unbegun(self.cursor, member.work)
        waiting = parking.behind(each for each in member.work if each.key in unbegun)
        work = [each for each in member.work if each.key not in unbegun]
        return member._replace(work=work, queued=[*member.queued, *waiting])

    def _keys(self, subscriber: Subscriber, recorded: Recorded, parked: dict[str, int]) -> list[Hashable]:
        """An event whose key couldn't be told holds back the rest of its stream, but not what a shard that stands
        further back has yet to apply before it.
        """
        if recorded.is_newer:
            raise NewerSchema
        held = parking.stream_key(recorded)
        if (subscriber.declared, held, recorded.position) in self.state.left_out:
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
