"""The operations on projections: rebuild, approve, roll back, verify, repair, keep, throttle, cancel."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from django.db import transaction
from django.db.models import Q, QuerySet
from msgspec import Meta

from eventstore import database, store
from eventstore.errors import Refused
from eventstore.models import ClockTimestamp, SubscriberRow
from eventstore.operations.base import Operation, Result, operation
from eventstore.subscriptions import hash_ranges
from eventstore.subscriptions.subscriber import Rank
from projections import tasks
from projections.errors import NotRebuilding
from projections.models import Generation, Part
from projections.rebuild import generations
from projections.rebuild.dependents import refuse_dependents
from projections.rebuild.generations import MOST_PARTS, projection_named

Status = Generation.Status

EventsPerSecond = Annotated[
    int | None, Meta(title="events a second", description="At most, of each part; empty for no bound.")
]

REBUILD = "projections.rebuild_projection"
VERIFY = "projections.verify_projection"

MOST_EVENTS = 1_000_000
"""A second: more than any part folds."""

TOLD = 20
"""Rows that would change, of all that are counted, that a command tells."""


class OfProjection(Operation, frozen=True, kw_only=True):
    """What is only done to projections; workers finish it."""

    ranks = frozenset({Rank.PROJECTION})

    def remaining(self) -> int:
        """Positions of the log that are still to be read, and one for what comes after them; 0 where it is held."""
        building = _of(self.target, Status.BUILDING).exclude(pk__in=_held(self.target))
        part = Part.objects.filter(generation__in=building).order_by("checkpoint").first()
        return 1 + max(0, part.generation.target - part.checkpoint) if part else 0

    def result(self) -> Result:
        """What became of the generation that it began or took up again."""
        ended = [Status.LIVE, Status.REPAIRED, Status.CANCELLED, Status.FAILED]
        last = Generation.objects.filter(projection=self.target, status__in=ended).order_by("finished_at").last()
        if last is None:
            return Result()
        told = {"generation": last.pk, "status": last.status, "error": last.error}
        return Result(told, "" if last.status in {Status.LIVE, Status.REPAIRED} else f"{last.status}: {last.error}")


class OfGeneration(OfProjection, frozen=True, kw_only=True):
    """What needs a generation in some state."""

    needed: ClassVar[str]

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return _of(rows[0].subscriber, cls.needed).exists()


@operation("rebuild", verb="Rebuild", permission=REBUILD)
class Rebuild(OfProjection, frozen=True, kw_only=True):
    """Fold a projection anew beside the live rows and swap it in, with so many parts side by side.

    `throttle` bounds the events a second of each part.
    """

    parts: Annotated[int, Meta(description="Workers that fold it side by side, each its share of the keys.")] = 1
    throttle: EventsPerSecond = None
    hold: Annotated[
        bool, Meta(description="Show what would change first, and wait for somebody to approve it before the swap.")
    ] = False

    def preview(self) -> str:
        projection = projection_named(self.target)
        self._judge()
        then = (
            "compared with it column by column, and kept beside it until somebody approves what would change. Then"
            if self.hold
            else "then"
        )
        return (
            f"{projection.model._meta.db_table} is folded anew from what {self.target} wants of about"
            f" {store.head():,} events, beside the live table, which readers and writers go on using; {then} the two"
            " are swapped in one short transaction. Nothing else is touched: no mail is sent, no command repeated."
            " The rows of today are kept for a rollback; its parked events are tried again, those discarded are left"
            " out."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        self._judge()
        generation = generations.rebuild(
            self.target, parts=self.parts, throttle=self.throttle, hold=self.hold, requested_by=by
        )
        tasks.ring(generation)
        return f"generation {generation.pk} is being folded"

    def result(self) -> Result:
        """What would change, where that is waited for."""
        if not self.hold or not (held := _held(self.target).first()):
            return super().result()
        told = {"generation": held.pk, "compared": held.compared, "differing": held.differing, **held.changes}
        return Result({**told, "rows": list(held.differences.values("key", "kind", "columns")[:TOLD])})

    def _judge(self) -> None:
        if not 1 <= self.parts <= MOST_PARTS:
            raise Refused(f"Between 1 and {MOST_PARTS} parts.")
        if self.hold and self.parts > 1:
            raise Refused("What is held has a part for each shard of the live rows, and no others.")
        _judge_throttle(self.throttle)
        refuse_dependents(projection_named(self.target))


@operation("approve", verb="Approve", permission=REBUILD, needs_reason=True)
class Approve(OfProjection, frozen=True, kw_only=True):
    """Have a rebuild that is held take the place of the live rows."""

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return _held(rows[0].subscriber).exists()

    def preview(self) -> str:
        held = generations.to_approve(self.target)
        refuse_dependents(projection_named(self.target))
        return (
            f"Of {held.compared or 0:,} rows of {self.target}, {held.differing or 0:,} differed from the live ones when"
            f" both stood at position {held.compared_upto or 0:,}. Generation {held.pk} is fed what came since and then"
            " swapped in. What is live now is kept for a rollback."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        refuse_dependents(projection_named(self.target))
        generation = generations.approve(self.target, by=by)
        tasks.ring(generation)
        return f"generation {generation.pk} is caught up and then swapped in"


@operation("rebuild-key", verb="Rebuild one key", permission=REBUILD)
class RebuildKey(OfProjection, frozen=True, kw_only=True):
    """Fold the row of one key anew, and put it in place of what is there."""

    key: str

    def preview(self) -> str:
        projection_named(self.target)
        return f"The row of {self.key} in {self.target} is replaced by what its events say; no other is touched."

    def carry_out(self, *, by: str, reason: str) -> str:
        generation = generations.rebuild_keys(self.target, [self.key], requested_by=by)
        tasks.ring(generation)
        return f"the row of {self.key} is being folded anew, as generation {generation.pk}"


@operation("roll-back", verb="Roll back", permission=REBUILD, needs_reason=True)
class RollBack(OfGeneration, frozen=True, kw_only=True):
    """Catch the former generation up and swap it in again."""

    needed = Status.OLD

    def preview(self) -> str:
        refuse_dependents(projection_named(self.target))
        with transaction.atomic():
            old = generations.to_roll_back(self.target)
        return (
            f"Generation {old.pk}, which was live before, is fed what came since and then swapped in. What is live now"
            " is kept in its place."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        refuse_dependents(projection_named(self.target))
        generation = generations.roll_back(self.target, requested_by=by)
        tasks.ring(generation)
        return f"generation {generation.pk} is caught up and then swapped in"


@operation("verify", verb="Verify", permission=VERIFY)
class Verify(OfProjection, frozen=True, kw_only=True):
    """Compare the live rows with a fresh fold: all of them, a share of the keys between 0 and 1, or the row of one."""

    share: Annotated[float, Meta(description="Which part of the keys, at most 1: another one each time.")] = 1.0
    key: Annotated[str | None, Meta(title="only the key")] = None

    def preview(self) -> str:
        self._judge()
        what = (
            f"the row of {self.key}"
            if self.key
            else "every row"
            if self.share == 1
            else f"{self.share:.1%} of the rows"
        )
        return f"Of {self.target}, {what} is folded anew beside the live ones and compared. Nothing is changed."

    def carry_out(self, *, by: str, reason: str) -> str:
        self._judge()
        only = hash_ranges.ALL if self.share == 1 else hash_ranges.sample(self.share)
        keys = [self.key] if self.key else None
        generation = generations.verify(self.target, only=only, keys=keys, requested_by=by)
        tasks.ring(generation)
        return f"being verified, as generation {generation.pk}"

    def result(self) -> Result:
        """The rows that differ, column by column: the live value, and the one that the events give."""
        last = Generation.objects.filter(projection=self.target, purpose="verify").order_by("started_at").last()
        if last is None or last.status != Status.VERIFIED:
            return super().result()
        rows = last.differences.values("key", "kind", "columns", "parked")
        told = {"generation": last.pk, "compared": last.compared, "differing": last.differing, "rows": list(rows)}
        return Result(told, f"{last.differing:,} rows are not what their events say" if last.differing else "")

    def _judge(self) -> None:
        projection_named(self.target)
        if not 0 < self.share <= 1:
            raise Refused("A share is above 0 and at most 1.")


@operation("mend", word="repair", verb="Repair", permission=REBUILD, needs_reason=True)
class Repair(OfProjection, frozen=True, kw_only=True):
    """Put the rows that the last verification gave in place of those that differ."""

    @classmethod
    def offered(cls, rows: Sequence[SubscriberRow]) -> bool:
        return _of(rows[0].subscriber, Status.VERIFIED).filter(made=True).exists()

    def preview(self) -> str:
        with transaction.atomic():
            verified = generations.to_repair(self.target)
        return (
            f"{verified.differing:,} rows of {self.target} are replaced by what their events say, once that has"
            " been brought up to date. No other row is touched."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        generation = generations.repair(self.target, requested_by=by)
        tasks.ring(generation)
        return f"{generation.differing:,} rows are being replaced"


Label = Annotated[str, Meta(description="What it is called, as “the books of 2030”.")]


@operation("keep", verb="Keep as of", permission=REBUILD)
class Keep(OfProjection, frozen=True, kw_only=True):
    """Fold all rows of a projection as of a position or a time, and keep them under a label, to be read only."""

    label: Label
    position: Annotated[int | None, Meta(description="Once its event had happened.")] = None
    time: Annotated[datetime | None, Meta(description="Once all had happened that was recorded by then.")] = None

    def preview(self) -> str:
        projection_named(self.target)
        return (
            f"The rows of {self.target} as of position {self._upto():,} are folded into a table of their own, and kept"
            f" there as “{self.label}”, where they can be read and not changed. The live rows are not touched."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        generation = generations.keep(self.target, upto=self._upto(), label=self.label, requested_by=by)
        tasks.ring(generation)
        return f"“{generation.label}” is being folded, as generation {generation.pk}"

    def result(self) -> Result:
        last = Generation.objects.filter(projection=self.target, purpose="as_of", label=self.label.strip()).first()
        if last is None:
            return Result()
        told = {"generation": last.pk, "label": last.label, "position": last.target, "status": last.status}
        return Result(told, "" if last.status in {Status.KEPT, Status.BUILDING} else f"{last.status}: {last.error}")

    def _upto(self) -> int:
        if (self.position is None) == (self.time is None):
            raise Refused("As of a position or a time.")
        horizon = store.horizon()
        if self.time is None:
            return self.position or 0
        if self.time > database.clock():
            raise Refused(f"{self.time} is yet to come.")
        return min(horizon, store.position_until(self.time))


@operation("drop-kept", verb="Drop what is kept", permission=REBUILD, needs_reason=True)
class DropKept(OfGeneration, frozen=True, kw_only=True):
    """Give up the rows that are kept under a label."""

    needed = Status.KEPT

    label: Label

    def preview(self) -> str:
        kept = generations.kept(self.target, self.label)
        return f"“{kept.label}”, the rows of {self.target} as of position {kept.target:,}, is dropped for good."

    def carry_out(self, *, by: str, reason: str) -> str:
        generation = generations.drop_kept(self.target, self.label)
        tasks.ring(generation)
        return f"“{generation.label}” is not kept any more"

    def remaining(self) -> int:
        return 0

    def result(self) -> Result:
        return Result()


@operation("throttle", verb="Throttle", permission=REBUILD)
class Throttle(OfGeneration, frozen=True, kw_only=True):
    """Bound how many events a second each part of what is being folded reads; none for no bound."""

    needed = Status.BUILDING

    throttle: EventsPerSecond = None

    def preview(self) -> str:
        _judge_throttle(self.throttle)
        pace = f"at most {self.throttle:,} events a second" if self.throttle else "as fast as it can"
        return f"Whatever is being folded of {self.target} goes on {pace}."

    def carry_out(self, *, by: str, reason: str) -> str:
        _judge_throttle(self.throttle)
        generations.set_throttle(self.target, self.throttle)
        return f"throttled to {self.throttle:,} events a second" if self.throttle else "not throttled"

    def remaining(self) -> int:
        return 0

    def result(self) -> Result:
        return Result()


@operation("cancel", verb="Cancel", permission=REBUILD)
class Cancel(OfGeneration, frozen=True, kw_only=True):
    """Stop whatever is being folded of a projection. The live rows are as they were."""

    needed = Status.BUILDING

    def preview(self) -> str:
        if not _of(self.target, Status.BUILDING).exists():
            raise NotRebuilding
        return f"What is being folded of {self.target} stops after the batch it is at, and is dropped."

    def carry_out(self, *, by: str, reason: str) -> str:
        generations.cancel(self.target)
        return "stops after the batch it is at"

    def result(self) -> Result:
        return Result()


def on_retired(subscriber: str, gone: dict[str, int], **_: Any) -> None:
    """What is being folded of a retired projection stops, and workers drop what its generations hold."""
    left = Generation.objects.filter(Q(made=True) | Q(status=Status.BUILDING), projection=subscriber)
    gone["generations"] = left.update(
        status=Status.DROPPED, finished_at=ClockTimestamp(), cancelling=False, waits_for=""
    )


def _held(name: str) -> QuerySet[Generation]:
    """What was compared, and waits for somebody to approve it."""
    return _of(name, Status.BUILDING).filter(held=True, approved_by="", cancelling=False, compared__isnull=False)


def _of(name: str, status: str) -> QuerySet[Generation]:
    return Generation.objects.filter(projection=name, status=status)


def _judge_throttle(throttle: int | None) -> None:
    if throttle is not None and not 1 <= throttle <= MOST_EVENTS:
        raise Refused(f"Between 1 and {MOST_EVENTS:,} events a second.")
