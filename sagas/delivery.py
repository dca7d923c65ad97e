"""Carrying out the ledger: take a row with a lease, act, write down what became of it.

A dead owner's lease runs out. Then `AT_LEAST_ONCE` acts again, under the same idempotency key; `AT_MOST_ONCE` never
does: nobody knows whether it happened, so the row is *in doubt* and staff decide.
"""

import random
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from eventstore import context, store
from eventstore.codec import Recorded
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.parking import describe, text
from eventstore.subscribers import registry
from sagas.effects import AT_MOST_ONCE, Effect
from sagas.models import Delivery

log = structlog.get_logger(__name__)

Status = Delivery.Status

WAIT = timedelta(milliseconds=200)
FIRST_RETRY = 1.0
LONGEST_RETRY = 600.0

_TAKE = """SELECT id, effect, position, status, attempts FROM sagas_delivery
    WHERE effect = ANY(%s) AND due_at <= clock_timestamp()
        AND (status IN ('pending', 'waiting') OR status = 'running' AND lease_until <= clock_timestamp())
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED"""


class Taken(msgspec.Struct):
    """A row of the ledger that is ours for the length of its lease."""

    id: int
    effect: str
    position: int
    status: str
    attempts: int


def lease() -> timedelta:
    """Longer than any provider's timeout: whoever holds one may still be acting."""
    seconds: float = getattr(settings, "EFFECTS_LEASE_SECONDS", 60.0)
    return timedelta(seconds=seconds)


def deliver_one(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Carry out the next row that is due. False if there is none."""
    effects = {subscriber.name: subscriber for subscriber in registry if isinstance(subscriber, Effect)}
    with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
        taken = _take(cursor, list(effects))
        if taken is None:
            return False
        effect = effects[taken.effect]
        recorded = store.read_one(taken.position, using=using)
        if not _may_act(taken, effect, recorded, using):
            return True
        until = timezone.now() + lease()
        _update(
            taken,
            using,
            status=Status.RUNNING,
            lease_until=until,
            owner=context.process_name(),
            attempts=taken.attempts + 1,
            waits_for="",
        )
    _act(taken, effect, recorded, until, using)
    return True


def _take(cursor: psycopg.Cursor[Any], names: list[str]) -> Taken | None:
    row = cursor.execute(_TAKE, [names], prepare=True).fetchone()
    return Taken(*row) if row else None


def _may_act(taken: Taken, effect: Effect, recorded: Recorded, using: str) -> bool:
    if taken.status == Status.RUNNING and effect.delivery is AT_MOST_ONCE:
        _update(taken, using, status=Status.IN_DOUBT, error="Whoever acted has died; it may or may not have happened.")
        return False
    waits_for = [name for name in effect.after if not _has(name, recorded, using)]
    if waits_for:
        due_at = timezone.now() + WAIT
        _update(taken, using, status=Status.WAITING, due_at=due_at, waits_for=", ".join(waits_for))
        return False
    return True


def _has(name: str, recorded: Recorded, using: str) -> bool:
    """Whether a read model shows an event: it doesn't want it, or has passed it with nothing of its keys parked."""
    projection = registry[name]
    if recorded.type not in projection.types:
        return True
    if not SubscriberRow.objects.using(using).filter(pk=name, checkpoint__gte=recorded.position).exists():
        return False
    keys = [text(key) for key in projection.keys(recorded)]
    parked = ParkedEvent.objects.using(using).filter(subscriber=name, key__in=keys, position__lte=recorded.position)
    return not parked.exists()


def _act(taken: Taken, effect: Effect, recorded: Recorded, until: Any, using: str) -> None:
    """Outside any transaction. The outcome is written only while the lease is still ours."""
    tracing = {"correlation_id": recorded.correlation_id, "causation_id": recorded.event_id, "root": None}
    log.debug("effect_begins", effect=effect.name, position=recorded.position, attempt=taken.attempts + 1)
    try:
        with context.acting(actor=f"effect:{effect.name}", **tracing):
            effect.act(recorded.event, recorded)
    except Exception as error:
        outcome = _failed(taken, effect, error)
    else:
        outcome = {"status": Status.DONE, "finished_at": timezone.now(), "error": ""}
    Delivery.objects.using(using).filter(pk=taken.id, lease_until=until).update(**outcome)
    log.info("effect_ended", effect=effect.name, position=recorded.position, status=str(outcome["status"]))


def _failed(taken: Taken, effect: Effect, error: Exception) -> dict[str, Any]:
    if taken.attempts >= effect.retries:
        return {"status": Status.FAILED, "finished_at": timezone.now(), "error": describe(error)}
    delay = min(LONGEST_RETRY, FIRST_RETRY * 2**taken.attempts) * random.uniform(0.8, 1.2)
    return {
        "status": Status.PENDING,
        "due_at": timezone.now() + timedelta(seconds=delay),
        "error": describe(error),
    }


def _update(taken: Taken, using: str, **values: Any) -> None:
    Delivery.objects.using(using).filter(pk=taken.id).update(**values)
