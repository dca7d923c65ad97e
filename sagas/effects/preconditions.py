"""What an effect waits for: read models that must have its event before it acts.

A read model has an event if it doesn't want it, or has passed it with nothing of that key parked at or below it. One
that hasn't come so far lets rows wait without being looked at; they are woken by its checkpoint.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS

from eventstore import database
from eventstore.codec import Recorded
from eventstore.database import Statement
from eventstore.models import ClockTimestamp
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.visibility import holds_back, reached
from sagas.effects import queries
from sagas.effects.effect import Effect
from sagas.models import Delivery

log = structlog.get_logger(__name__)

Reason = Delivery.WaitReason

FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""When a row is due that waits for a checkpoint."""

PARKED = timedelta(seconds=5)
"""How soon a row is looked at again whose key is parked; whoever heals the key wakes it at once."""


def unmet(effect: Effect, recorded: Recorded, using: str) -> dict[str, Any] | None:
    """How a row is to wait; None if it needn't."""
    behind = [name for name in _asked(effect) if reached([name], using=using) < recorded.position]
    if behind:
        return {
            "status": Delivery.Status.WAITING,
            "due_at": FAR,
            "waits_for": ", ".join(behind),
            "wait_reason": Reason.CHECKPOINT,
        }
    parked = [name for name in _asked(effect) if holds_back(name, recorded, using=using)]
    if parked:
        waits_for = ", ".join(f"{name} (parked)" for name in parked)
        due_at = ClockTimestamp() + PARKED
        waiting = Delivery.Status.WAITING
        return {"status": waiting, "due_at": due_at, "waits_for": waits_for, "wait_reason": Reason.PARKED_KEY}
    return None


def wake(effect: Effect, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Wake the rows that waited for a checkpoint which has come to them."""
    asked = _asked(effect)
    if asked:
        with database.cursor(using) as cursor:
            cursor.execute(queries.WAKE_DELIVERIES, [effect.name, FAR, reached(asked, using=using)], prepare=True)


def is_due(effect: Effect, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether there is something to carry out now."""
    return bool(due([effect], using=using))


def due(effects: Sequence[Effect], *, using: str = DEFAULT_DB_ALIAS) -> list[Effect]:
    """Those that have something to carry out now, found in one look."""
    asked = Statement(queries.DUE_EFFECTS, [[effect.name for effect in effects]])
    found = {name for (name,) in database.pipeline(asked, using=using)[0]}
    return [effect for effect in effects if effect.name in found]


def on_caught_up(*, subscriber: str, **_: Any) -> None:
    """A read model has caught up otherwise than by being fed: look again at what waits for it."""
    for effect in registry.here():
        if isinstance(effect, Effect) and subscriber in effect.after:
            waiting = Delivery.objects.filter(effect=effect.name, status=Delivery.Status.WAITING)
            waiting.filter(wait_reason=Reason.PARKED_KEY).update(due_at=ClockTimestamp())
            effect.ring()


def _asked(effect: Effect) -> list[str]:
    """The read models that want this event; the others have it already."""
    return [name for name in effect.after if effect.types & registry[name].types]
