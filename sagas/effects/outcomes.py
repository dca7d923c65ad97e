"""What each effect made of one event, and why, where it made nothing of it. Plain data, so that any front end can tell
it.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from eventstore.models import DiscardedEvent, ParkedEvent, SkippedRange, StoredEvent, SubscriberRow
from eventstore.subscriptions.registry import registry
from sagas.effects.effect import Effect
from sagas.errors import NoSuchEvent
from sagas.models import Delivery


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger; `copy` counts how often staff had it done once more."""

    id: int
    copy: int
    status: str
    attempts: int
    waits_for: str
    error: str
    due_at: datetime
    created_at: datetime
    finished_at: datetime | None


class EffectOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event in the hands of one effect: `deliveries`, or why there is none."""

    effect: str
    deliveries: Sequence[Delivered]
    why_none: str = ""


def effect_outcomes(position: int) -> list[EffectOutcome]:
    """Of the event at this position, in the hands of every effect. Raises `NoSuchEvent`."""
    event = StoredEvent.objects.filter(position=position).defer("sealed").first()
    if event is None:
        raise NoSuchEvent(f"There is no event at position {position:,}.")
    return [_outcome(effect, event) for effect in registry if isinstance(effect, Effect)]


def _outcome(effect: Effect, event: StoredEvent) -> EffectOutcome:
    rows = Delivery.objects.filter(effect=effect.name, position=event.position).order_by("copy")
    found = [msgspec.convert(row, Delivered, from_attributes=True) for row in rows]
    return EffectOutcome(effect=effect.name, deliveries=found, why_none="" if found else _why_none(effect, event))


def _why_none(effect: Effect, event: StoredEvent) -> str:
    if event.type not in effect.types:
        return "does not want it"
    row = _row(effect, event)
    if row is None:
        return "has not begun to follow the log"
    if event.position <= row.began_after:
        return "skipped: deployed later"
    if event.position > row.checkpoint:
        return "not fed yet"
    return _left_out(effect.name, event) or "is not in its ledger"


def _row(effect: Effect, event: StoredEvent) -> SubscriberRow | None:
    """The row that its stream belongs to: the only one, or that of its shard."""
    rows = SubscriberRow.objects.filter(subscriber=effect.name)
    return next((row for row in rows if registry[row.name].hash_range.holds(event.stream_id)), None)


def _left_out(effect: str, event: StoredEvent) -> str:
    """How an event was left out that is at or below the checkpoint."""
    of_it = {"subscriber": effect, "key": str(event.stream_id), "position": event.position}
    if parked := ParkedEvent.objects.filter(**of_it).first():
        return f"parked: {parked.error or 'waits behind another of its stream'}"
    if discarded := DiscardedEvent.objects.filter(**of_it).first():
        return f"discarded by {discarded.by}: {discarded.reason}"
    skipped = SkippedRange.objects.filter(subscriber=effect, after__lt=event.position, upto__gte=event.position).first()
    return f"skipped by {skipped.by}: {skipped.reason}" if skipped else ""
