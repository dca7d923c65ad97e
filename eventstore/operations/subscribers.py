"""The operations on any subscriber: pause, resume, skip, rewind, reshard, and what becomes of its parked events."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import psycopg
from django.db import transaction
from django.db.models import QuerySet
from msgspec import Meta

from eventstore import database, store
from eventstore.errors import Busy, NothingParked, Refused
from eventstore.models import ClockTimestamp, ParkedEvent, SubscriberRow
from eventstore.operations import queries
from eventstore.operations.base import FellShort, Operation, operation
from eventstore.subscriptions import feeding, gaps, row_locks
from eventstore.subscriptions.parking import text
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import discard, failing_keys, retry_keys, retry_keys_later
from eventstore.subscriptions.row_locks import LockedRow
from eventstore.subscriptions.subscriber import Mode, Rank, Subscriber, row_name
from eventstore.tasks import ring_for

OPERATE = "eventstore.operate_subscriber"
RESOLVE = "eventstore.resolve_parked"
SKIP = "eventstore.skip_events"
DISCARD = "eventstore.discard_parked"

AT_ONCE = 50
"""Keys that are tried again while somebody waits for the answer; more are left to workers."""

MOST_SHARDS = 64
STAND_TOGETHER_WITHIN = 10.0


@operation("pause", verb="Pause", permission=OPERATE)
class Pause(Operation, frozen=True, kw_only=True):
    """Stop feeding a subscriber, until it is resumed. Nothing is lost: the log waits."""

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return not _stands(rows)

    def preview(self) -> str:
        return f"{self.target} is not fed until somebody resumes it; it falls behind, and loses nothing."

    def carry_out(self, *, by: str, reason: str) -> str:
        _set_status(self.target, SubscriberRow.Status.PAUSED, {"running"})
        return "paused"


@operation("resume", verb="Resume", permission=OPERATE)
class Resume(Operation, frozen=True, kw_only=True):
    """Feed a subscriber again that was paused or has halted."""

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return any(row.status != SubscriberRow.Status.RUNNING for row in rows)

    def preview(self) -> str:
        pending = gaps.pending(self.target)
        more = "more than " if pending.more else ""
        return f"{self.target} is fed again, from where it stands: {more}{pending.count:,} events wait for it."

    def carry_out(self, *, by: str, reason: str) -> str:
        _set_status(self.target, SubscriberRow.Status.RUNNING, {"paused", "halted"})
        ring_for(self.target)
        return "resumed"


@operation("skip", verb="Skip ahead", permission=SKIP, needs_reason=True)
class Skip(Operation, frozen=True, kw_only=True):
    """Move the checkpoint on without applying what lies between. Recorded as a gap until a rebuild closes it."""

    upto: Annotated[int, Meta(title="up to position", description="The last position that it leaves out.")]

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return _stands(rows)

    def preview(self) -> str:
        with transaction.atomic(), database.cursor() as cursor:
            held = row_locks.lock_rows(cursor, registry[self.target])
            self._judge(held)
        return (
            f"{self.target} never hears of what it wants from position {_lowest(held) + 1:,} to {self.upto:,}."
            " They are shown as a gap; for a projection, a rebuild closes it."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        with transaction.atomic(durable=True), database.cursor() as cursor:
            held = row_locks.lock_rows(cursor, registry[self.target])
            self._judge(held)
            cursor.execute(queries.NOTE_SKIPPED, [self.target, _lowest(held), self.upto, reason, by])
            cursor.execute(queries.MOVE_ON, [self.upto, self.target])
        return f"skipped from {_lowest(held):,} to {self.upto:,}"

    def _judge(self, held: list[LockedRow]) -> None:
        _must_stand(held)
        if len({lease.checkpoint for lease in held}) > 1:
            raise Refused("Its shards don't stand at one place: what is skipped could not be told from what is not.")
        if not _lowest(held) < self.upto:
            raise Refused(f"{self.target} stands at {_lowest(held):,} already.")
        if self.upto > (horizon := store.horizon()):
            raise Refused(f"The log is final up to {horizon:,}: nothing later can be skipped.")


@operation("rewind", verb="Rewind", permission=OPERATE, needs_reason=True)
class Rewind(Operation, frozen=True, kw_only=True):
    """Move the checkpoint back and apply what follows once more. Only for those declared idempotent."""

    ranks = frozenset({Rank.PROJECTION, Rank.WATCH})

    to: Annotated[int, Meta(title="back to position", description="Everything after it is applied once more.")]

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return _stands(rows) and registry[rows[0].subscriber].idempotent

    def preview(self) -> str:
        with transaction.atomic(), database.cursor() as cursor:
            held = row_locks.lock_rows(cursor, registry[self.target])
            self._judge(held)
        return f"{self.target} applies everything from position {self.to + 1:,} once more, over what is there."

    def carry_out(self, *, by: str, reason: str) -> str:
        with transaction.atomic(durable=True), database.cursor() as cursor:
            held = row_locks.lock_rows(cursor, registry[self.target])
            self._judge(held)
            cursor.execute(queries.UNPARK_ABOVE, [self.target, self.to])
            cursor.execute(queries.UNSKIP_ABOVE, [self.target, self.to])
            cursor.execute(queries.CUT_SKIPPED, [self.to, self.target, self.to])
            cursor.execute(queries.MOVE_BACK, [self.to, self.target])
        return f"moved back to {self.to:,}"

    def _judge(self, held: list[LockedRow]) -> None:
        subscriber = registry[self.target]
        if subscriber.rank not in self.ranks:
            raise Refused(f"{self.target} acts on the world: what it did once is not done again.")
        if not subscriber.idempotent:
            raise Refused(f"{self.target} is not declared idempotent: applying events twice would falsify it. Rebuild.")
        _must_stand(held)
        if not 0 <= self.to < _lowest(held):
            raise Refused(f"{self.target} stands at {_lowest(held):,}: it can only go back from there, to 0 at most.")


@operation("split", word="reshard", verb="Reshard", permission=OPERATE)
class Reshard(Operation, frozen=True, kw_only=True):
    """Share the work of an async subscriber among so many rows by key, each with a checkpoint and a lock of its own."""

    shards: Annotated[int, Meta(title="rows", description="One row puts together again what was split.")]

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return len(rows) > 1 or registry[rows[0].subscriber].mode is Mode.ASYNC

    def preview(self) -> str:
        self._judge()
        many = "one row" if self.shards == 1 else f"{self.shards} rows, each fed by whatever worker is free"
        return f"{self.target} is kept in {many}. What it has applied stays as it is."

    def carry_out(self, *, by: str, reason: str) -> str:
        self._judge()
        subscriber = registry[self.target]
        begun = time.monotonic()
        while time.monotonic() - begun < STAND_TOGETHER_WITHIN:
            with transaction.atomic(durable=True), database.cursor() as cursor:
                held = row_locks.lock_rows(cursor, subscriber)
                if len(held) == self.shards:
                    raise Refused(f"{self.target} is kept in so many rows already.")
                # While we hold them all, one batch puts shards that are near each other at one place.
                moved = len(held) > 1 and feeding.feed_within([registry[lease.name] for lease in held]).moved
                held = row_locks.lock_rows(cursor, subscriber)
                if len({(lease.checkpoint, lease.status) for lease in held}) == 1:
                    self._divide(cursor, subscriber, held)
                    break
            if not moved:
                raise Refused("Its shards don't stand at one place: resume them, and mend what holds one of them up.")
        else:
            raise Busy("Its shards don't stand at one place yet: try again when they have caught up.")
        ring_for(self.target)
        return f"resharded into {self.shards}" if self.shards > 1 else "put together again"

    def _divide(self, cursor: psycopg.Cursor[Any], subscriber: Subscriber, held: list[LockedRow]) -> None:
        """New rows in place of the old ones. Parked events belong to the subscriber as a whole and stay."""
        row = cursor.execute(queries.COUNT_PROCESSED, [subscriber.name]).fetchone()
        cursor.execute(
            queries.RESHARD,
            {
                "shards": self.shards,
                "mode": subscriber.mode if self.shards == 1 else Mode.ASYNC,
                "processed": row[0] if row else 0,
                "names": [row_name(subscriber.name, shard, self.shards) for shard in range(self.shards)],
                "numbers": list(range(self.shards)),
                "one": held[0].name,
            },
        )
        cursor.execute(queries.REMOVE_ROWS, [[lease.name for lease in held]])

    def _judge(self) -> None:
        if not 1 <= self.shards <= MOST_SHARDS:
            raise Refused(f"Between 1 and {MOST_SHARDS} rows.")
        if registry[self.target].mode is Mode.SYNC and self.shards > 1:
            raise Refused(
                f"{self.target} is fed by requests, all in one go: only one that workers feed can be resharded."
            )


@operation("retry", verb="Retry", permission=RESOLVE)
class Retry(Operation, frozen=True, kw_only=True):
    """Try parked events again: all, those of one key, or those of one error."""

    key: str | None = None
    error: str | None = None

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return _failed(rows[0].subscriber).exists()

    def preview(self) -> str:
        keys = self._keys()
        return f"{self.target}: {len(keys):,} of its keys are tried again, each with all that waits for it."

    def carry_out(self, *, by: str, reason: str) -> str:
        keys = self._keys()
        now, later = keys[:AT_ONCE], keys[AT_ONCE:]
        healed = retry_keys(self.target, now)
        if later:
            retry_keys_later(self.target, later)
            ring_for(self.target)
        left = f", {healed.failing:,} failed again" if healed.failing else ""
        when = "" if self._runs() else ", once it is resumed"
        more = f"; workers try {len(later):,} more{when}" if later else ""
        told = f"{healed.keys:,} of {len(now):,} keys are live again, {healed.events:,} events applied{left}{more}"
        return FellShort(told) if healed.failing else told

    def remaining(self) -> int:
        if not self._runs():
            return 0
        key = None if self.key is None else text(self.key)
        asked = {name: value for name, value in (("key", key), ("error", self.error)) if value is not None}
        return _failed(self.target).filter(**asked, retry_at__lte=ClockTimestamp()).count()

    def _runs(self) -> bool:
        return SubscriberRow.objects.filter(subscriber=self.target, status=SubscriberRow.Status.RUNNING).exists()

    def _keys(self) -> list[str]:
        keys = failing_keys(self.target, key=self.key, error=self.error)
        if not keys:
            raise NothingParked
        return keys


@operation("discard", verb="Discard", permission=DISCARD, needs_reason=True)
class Discard(Operation, frozen=True, kw_only=True):
    """Leave parked events of one key out for good, and apply what waits behind them."""

    key: str
    positions: tuple[int, ...]

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        """Only beside the key that it is about."""
        return False

    def preview(self) -> str:
        places = ", ".join(f"{position:,}" for position in self.positions)
        return (
            f"{self.target} never applies position {places} to {self.key}, not in a rebuild either."
            " What waits behind it is applied."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        healed = discard(self.target, self.key, self.positions, reason=reason, by=by)
        left = "another event of it failed" if healed.failing else f"{healed.events:,} waiting events applied"
        return f"discarded {len(self.positions)}; {left}"


def _set_status(name: str, status: str, before: set[str]) -> None:
    with transaction.atomic(durable=True), database.cursor() as cursor:
        held = row_locks.lock_rows(cursor, registry[name], same_code=False)
        if not any(lease.status in before for lease in held):
            raise Refused(f"{name} is {held[0].status}.")
        cursor.execute(queries.SET_STATUS, [status, status, name])


def _failed(name: str) -> QuerySet[ParkedEvent]:
    return ParkedEvent.objects.filter(subscriber=name).exclude(error="")


def _stands(rows: Sequence[SubscriberRow]) -> bool:
    return all(row.status != SubscriberRow.Status.RUNNING for row in rows)


def _must_stand(held: list[LockedRow]) -> None:
    """A checkpoint is only moved by hand while nobody feeds."""
    if any(lease.status == SubscriberRow.Status.RUNNING for lease in held):
        raise Refused("It is running: pause it first.")


def _lowest(held: list[LockedRow]) -> int:
    return min(lease.checkpoint for lease in held)
