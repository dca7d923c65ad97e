"""Where each projection stands, and how far its rebuild has come. Plain data, so that any front end can show it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from django.db.models import QuerySet, Value

from eventstore import database
from eventstore.monitoring.health import HealthIssue, duration
from eventstore.monitoring.status import SubscriberStatus, subscriber_statuses
from eventstore.subscriptions.registry import registry
from projections.models import Generation
from projections.projection import Projection

Status = Generation.Status

ADVICE = {
    "rebuild": "Mend the code and rebuild again. The live table was not touched.",
    "verify": "Verify it again; what it was compared with had changed meanwhile, or can't be folded.",
    "differs": "See which rows on the page of the projections, and repair them or rebuild.",
}
"""What staff are advised to do about these, by kind."""

SOON = 5.0
"""Seconds within which a worker takes up a rebuild, if there is one."""


LAST = {"verify": "compares the rows", "as_of": "is put away"}
"""What a generation does at its end, by its purpose, where it doesn't go live."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A generation that is being folded. `rate` is in wanted events a second and `seconds_left` a guess, both over the
    whole run so far; `checkpoint` is that of the slowest of its parts.
    """

    generation: int
    projection: str
    purpose: str
    percent: float
    processed: int
    checkpoint: int
    target: int
    rate: float
    seconds_left: float | None
    parts: int
    throttle: int | None
    requested_by: str
    built_by: str
    started_at: datetime
    doing: str
    held: bool

    @property
    def left(self) -> str:
        return duration(self.seconds_left) if self.seconds_left is not None else "unknown"


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One projection of this code. Without `fed` it has no row yet. `verified` has the last verification, and the last
    one whose differences can be applied, if that is another.
    """

    name: str
    version: int
    table: str
    fed: SubscriberStatus | None
    building: list[Progress]
    last: Generation | None
    verified: list[Generation]
    former: Generation | None


def projection_statuses() -> list[ProjectionStatus]:
    """Every projection that this code declares, in the order they are fed."""
    fed = {status.name: status for status in subscriber_statuses()}
    building = Generation.objects.filter(status=Status.BUILDING).order_by("id").prefetch_related("parts")
    shown = [progress(generation) for generation in building]
    last, former = _by_name(_rebuilt()), _by_name(_latest(status=Status.OLD))
    verified, differing = _by_name(_verified()), _by_name(_differing())
    return [
        ProjectionStatus(
            name=subscriber.name,
            version=subscriber.version,
            table=subscriber.model._meta.db_table,
            fed=fed.get(subscriber.name),
            building=[each for each in shown if each.projection == subscriber.name],
            last=last.get(subscriber.name),
            verified=[*{each[subscriber.name]: None for each in (verified, differing) if subscriber.name in each}],
            former=former.get(subscriber.name),
        )
        for subscriber in registry
        if isinstance(subscriber, Projection)
    ]


class Rebuilds(NamedTuple):
    """What is wrong with rows and rebuilds, and which generations are being built."""

    issues: Sequence[HealthIssue]
    building: Sequence[Generation]


def rebuilds() -> Rebuilds:
    """What failed of rebuilds and verifications, unless a later one went well; rows that differ from their events,
    until they don't; and what is being built. All in one statement.
    """
    issues: list[HealthIssue] = []
    found = {
        "rebuild": _rebuilt(),
        "verify": _verified(),
        "differs": _differing(),
        "building": Generation.objects.filter(status=Status.BUILDING),
    }
    first, *others = (each.annotate(of=Value(of)) for of, each in found.items())
    building = []
    for generation in first.union(*others, all=True):
        name, since = generation.projection, generation.finished_at
        if generation.of == "building":
            building.append(generation)
        elif generation.of == "differs":
            rows = generation.differing or 0
            text = f"has {rows:,} row{'s' * (rows != 1)} that differ from their events"
            issues.append(HealthIssue(name, text, kind="differs", since=since))
        elif generation.status == Status.FAILED:
            what = "rebuilt" if generation.of == "rebuild" else "verified"
            text = f"could not be {what}: {generation.error}"
            issues.append(HealthIssue(name, text, grave=False, kind=generation.of, since=since))
    return Rebuilds(issues, building)


def rebuild_issues() -> Sequence[HealthIssue]:
    """The issues of `rebuilds`."""
    return rebuilds().issues


def progress(generation: Generation) -> Progress:
    parts = list(generation.parts.all())
    elapsed = max((database.clock() - generation.started_at).total_seconds(), 0.001)
    checkpoint = min((part.checkpoint for part in parts), default=0)
    processed = sum(part.processed for part in parts)
    through = checkpoint / elapsed
    return Progress(
        generation=generation.pk,
        projection=generation.projection,
        purpose=generation.purpose,
        percent=round(100 * min(1.0, checkpoint / generation.target), 1) if generation.target else 100.0,
        processed=processed,
        checkpoint=checkpoint,
        target=generation.target,
        rate=processed / elapsed,
        seconds_left=max(0, generation.target - checkpoint) / through if through else None,
        parts=len(parts),
        throttle=generation.throttle,
        requested_by=generation.requested_by,
        built_by=", ".join(sorted({part.built_by for part in parts if part.built_by})),
        started_at=generation.started_at,
        doing=_doing(generation, checkpoint, elapsed),
        held=generation.is_waiting,
    )


def _rebuilt() -> QuerySet[Generation]:
    """What came last of each projection's rebuilds, and of whatever else changes its rows."""
    ended = [Status.LIVE, Status.REPAIRED, Status.CANCELLED, Status.FAILED, Status.OLD, Status.DROPPED]
    return _latest(purpose__in=["rebuild", "rollback", "repair"], status__in=ended, finished_at__isnull=False)


def _verified() -> QuerySet[Generation]:
    return _latest(purpose="verify", status__in=[Status.VERIFIED, Status.FAILED])


def _differing() -> QuerySet[Generation]:
    """Verifications whose fresh rows are kept, for they can still be applied."""
    return _latest(purpose="verify", status=Status.VERIFIED, made=True)


def _latest(**conditions: object) -> QuerySet[Generation]:
    """The last generation of each projection that meets these conditions."""
    return Generation.objects.filter(**conditions).order_by("projection", "-id").distinct("projection")


def _by_name(generations: QuerySet[Generation]) -> dict[str, Generation]:
    return {generation.projection: generation for generation in generations}


def _doing(generation: Generation, checkpoint: int, elapsed: float) -> str:
    if generation.cancelling:
        return "is being cancelled"
    if generation.is_waiting:
        return f"waits for an approval: {generation.differing or 0:,} of {generation.compared or 0:,} rows would change"
    if generation.waits_for:
        return f"waits for its turn at the table, because of {generation.waits_for}"
    if not checkpoint and generation.target:
        return "waits for a worker of the queue that rebuilds" if elapsed > SOON else "begins"
    if checkpoint < generation.target:
        return "reads the log"
    return LAST.get(generation.purpose, "goes live")
