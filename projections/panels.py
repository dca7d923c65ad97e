"""Where each projection stands, and how far its rebuild has come. Plain data, so that any front end can show it."""

from datetime import datetime

import msgspec
from django.utils import timezone

from eventstore import panels
from eventstore.panels import SubscriberStatus, Trouble, duration
from eventstore.subscribers import registry
from projections.models import Generation
from projections.projection import Projection

SOON = 3.0
"""Seconds within which a worker takes up a rebuild, if there is one."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A rebuild under way. `rate` is in wanted events a second and `seconds_left` a guess, both over the whole run."""

    generation: int
    percent: float
    processed: int
    checkpoint: int
    target: int
    rate: float
    seconds_left: float | None
    requested_by: str
    built_by: str
    started_at: datetime
    doing: str

    @property
    def left(self) -> str:
        return duration(self.seconds_left) if self.seconds_left is not None else "unknown"


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One projection of this code. Without `fed` it has no row yet."""

    name: str
    version: int
    table: str
    fed: SubscriberStatus | None
    rebuild: Progress | None
    last: Generation | None


def projections() -> list[ProjectionStatus]:
    """Every projection that this code declares, in the order they are fed."""
    fed = {status.name: status for status in panels.subscribers()}
    building = {each.projection: each for each in Generation.objects.filter(status=Generation.Status.BUILDING)}
    ended = Generation.objects.filter(finished_at__isnull=False).order_by("projection", "-finished_at")
    last = {each.projection: each for each in ended.distinct("projection")}
    return [
        ProjectionStatus(
            name=subscriber.name,
            version=subscriber.version,
            table=subscriber.model._meta.db_table,
            fed=fed.get(subscriber.name),
            rebuild=progress(building[subscriber.name]) if subscriber.name in building else None,
            last=last.get(subscriber.name),
        )
        for subscriber in registry
        if isinstance(subscriber, Projection)
    ]


def troubles() -> list[Trouble]:
    """Rebuilds that failed, unless a later one went well."""
    ended = Generation.objects.filter(status__in=["failed", "live", "cancelled"]).order_by("projection", "-id")
    return [
        Trouble(each.projection, f"could not be rebuilt: {each.error}", grave=False)
        for each in ended.distinct("projection")
        if each.status == Generation.Status.FAILED
    ]


def progress(generation: Generation) -> Progress:
    elapsed = max((timezone.now() - generation.started_at).total_seconds(), 0.001)
    through = generation.checkpoint / elapsed
    return Progress(
        generation=generation.pk,
        percent=round(100 * generation.share, 1),
        processed=generation.processed,
        checkpoint=generation.checkpoint,
        target=generation.target,
        rate=generation.processed / elapsed,
        seconds_left=max(0, generation.target - generation.checkpoint) / through if through else None,
        requested_by=generation.requested_by,
        built_by=generation.built_by,
        started_at=generation.started_at,
        doing=_doing(generation, elapsed),
    )


def _doing(generation: Generation, elapsed: float) -> str:
    if generation.cancelling:
        return "is being cancelled"
    if generation.waits_for:
        return f"waits to swap its table, because of {generation.waits_for}"
    if not generation.checkpoint and generation.target:
        return "waits for a worker of the queue that rebuilds" if elapsed > SOON else "begins"
    return "swaps its table" if generation.checkpoint >= generation.target else "reads the log"
