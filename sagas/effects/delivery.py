"""Carrying out the ledger: take a row with a lease, act, write down what became of it.

A dead owner's lease runs out. Then `AT_LEAST_ONCE` acts again, under the same idempotency key, unless that was the last
attempt; `AT_MOST_ONCE` never does: nobody knows whether it happened, so the row is *in doubt* and staff decide.
"""

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import advisory_locks, context, database, doorbell, handler_guard, identity, store
from eventstore.codec import Recorded
from eventstore.events import Event
from eventstore.models import ClockTimestamp
from eventstore.subscriptions.parking import describe
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from eventstore.tasks import ASYNC_BELL, follow
from eventstore.transient_errors import is_infrastructure
from sagas import conf, outbox
from sagas.effects import preconditions, queries, send_windows
from sagas.effects.effect import AT_MOST_ONCE, Copy, Done, Effect, delivering
from sagas.errors import PermanentFailure, TemporaryFailure, TooManyHops
from sagas.models import Attempt, Delivery
from sagas.outbox import MOST_HOPS

log = structlog.get_logger(__name__)

Status = Delivery.Status

FIRST_RETRY = 1.0
LONGEST_RETRY = 600.0
"""Seconds between two attempts, which double from the first to the longest, with jitter."""

PUT_OFF = timedelta(seconds=1)
"""Until a row is looked at again that another version of the code is to carry out."""

BURST = 0.2
"""Seconds by which an effect with a rate may be early, so that it need not be looked at for every single turn."""


class Taken(msgspec.Struct):
    """A row of the ledger that is ours for the length of its lease."""

    id: int
    position: int
    copy: int
    status: str
    attempts: int
    created_at: datetime
    now: datetime
    lease_until: datetime | None = None


def effects_here() -> list[Effect]:
    """The effects that this process carries out."""
    return [subscriber for subscriber in registry.here() if isinstance(subscriber, Effect)]


def lease() -> timedelta:
    """Longer than any provider's timeout: whoever holds one may still be acting."""
    return timedelta(seconds=conf.LEASE_SECONDS.get())


def slot(effect: Effect, *, using: str = DEFAULT_DB_ALIAS) -> AbstractContextManager[bool]:
    """One of the few places at an effect, for as long as this lasts; False if others have them all."""
    return advisory_locks.slot(advisory_locks.EFFECT_SLOT, slot_names(effect), using=using)


def slot_names(effect: Effect) -> list[str]:
    """By which its places are known to all processes."""
    return [f"{effect.name}/{number}" for number in range(effect.at_once)]


def deliver_one(effect: Effect, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Carry out the next row of an effect that is due. False if there is none, or if nothing may be sent from here."""
    handler_guard.refuse_to("carry out side effects")
    if identity.is_fenced(using=using):
        return False
    preconditions.wake(effect, using=using)
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        taken = _take(cursor, effect)
        if taken is None:
            return False
        recorded = store.read_one(taken.position, using=using)
        if (held := _held(taken, effect, recorded, using)) is not None:
            _update(taken, using, **held)
            return True
        if not _has_turn(cursor, effect):
            return False
        taken.attempts += 1
        taken.lease_until = taken.now + lease()
        running = {"status": Status.RUNNING, "lease_until": taken.lease_until, "waits_for": "", "wait_reason": ""}
        _update(taken, using, owner=context.process_name(), attempts=taken.attempts, **running)
        log.debug("effect_taken", effect=effect.name, position=taken.position)
    _act(taken, effect, recorded, using)
    return True


def _take(cursor: psycopg.Cursor[Any], effect: Effect) -> Taken | None:
    row = cursor.execute(queries.TAKE_DELIVERY, [effect.name], prepare=True).fetchone()
    return Taken(*row) if row else None


def _held(taken: Taken, effect: Effect, recorded: Recorded, using: str) -> dict[str, Any] | None:
    """What is to be written down instead of acting, if anything keeps us from it."""
    if taken.status == Status.RUNNING and effect.delivery is AT_MOST_ONCE:
        return {"status": Status.IN_DOUBT, "error": "Whoever acted has died; it may or may not have happened."}
    if recorded.type not in effect.types or recorded.is_newer:
        error = f"Version {effect.version} of {effect.name}, as it runs here, can't read this event."
        return {"status": Status.PENDING, "due_at": _in(PUT_OFF), "error": error}
    if taken.status == Status.RUNNING and taken.attempts > effect.retries:
        # Perhaps it is the act that kills its worker, which then is not to go on for ever.
        error = f"Whoever acted has died, in the last of {taken.attempts} attempts; it may or may not have happened."
        return {"status": Status.FAILED, "finished_at": ClockTimestamp(), "error": error}
    if recorded.origin.hops > MOST_HOPS:
        return {"status": Status.FAILED, "finished_at": ClockTimestamp(), "error": describe(TooManyHops())}
    if (opens := send_windows.opens_at(effect.name, taken.now)) is not None:
        return {
            "status": Status.WAITING,
            "due_at": opens,
            "waits_for": f"{opens:%H:%M}",
            "wait_reason": Delivery.WaitReason.SEND_WINDOW,
        }
    return preconditions.unmet(effect, recorded, using)


def _has_turn(cursor: psycopg.Cursor[Any], effect: Effect) -> bool:
    """Whether an effect with a rate may act now; then the next may a little later."""
    if effect.rate is None:
        return True
    asked = {"effect": effect.name, "pause": 1 / effect.rate, "burst": BURST}
    return cursor.execute(queries.TAKE_TURN, asked, prepare=True).fetchone() is not None


def _act(taken: Taken, effect: Effect, recorded: Recorded, using: str) -> None:
    """Outside any transaction. What has happened ends the row, whichever attempt it was; a failure counts only while no
    later attempt has begun.
    """
    log.debug("effect_begins", effect=effect.name, position=recorded.position, attempt=taken.attempts)
    origin = recorded.origin
    tracing = {"correlation_id": recorded.correlation_id, "causation_id": recorded.event_id, "root": origin.root}
    copy = Copy(taken.copy, taken.created_at) if taken.copy else None
    with context.acting(actor=f"effect:{effect.name}", hops=origin.hops + 1, **tracing), delivering(copy):
        try:
            done = _done(effect, recorded)
        except Exception as error:
            status = _note_failure(taken, effect, recorded, error, using)
        else:
            log.debug("effect_acted", effect=effect.name, position=recorded.position)
            status = _note_success(taken, effect, recorded, done, using)
    log.info("effect_ended", effect=effect.name, position=recorded.position, status=str(status))


def _done(effect: Effect, recorded: Recorded) -> Done:
    """What an effect answers to an event, as it is read today. Raises `PermanentFailure` where it is read as others."""
    part = effect.part(recorded)
    if part is None:
        raise PermanentFailure(f"What was stored as {recorded.type} is read as no {effect.event.stored} any more.")
    return effect.act(part.event, part)


def _note_success(taken: Taken, effect: Effect, recorded: Recorded, done: Done, using: str) -> Status:
    """It has happened, so the row is done, whatever a later attempt, or staff who gave it up, made of it meanwhile. Who
    ends it tells the events.
    """
    unfinished = Delivery.objects.using(using).filter(pk=taken.id).exclude(status=Status.DONE)
    acted = {"waits_for": "", "wait_reason": ""}
    try:
        with transaction.atomic(using, durable=True):
            ended = unfinished.update(status=Status.DONE, finished_at=ClockTimestamp(), error="", **acted)
            if ended and done:
                _record(effect.idempotency_key(recorded), [done] if isinstance(done, Event) else done, using)
            log.debug("effect_noted", effect=effect.name, position=recorded.position)
    except Exception as error:
        if done is None or is_infrastructure(error):
            raise
        # It has acted, so it is not for a machine to try that again.
        unfinished.update(status=Status.IN_DOUBT, finished_at=None, error=describe(error), **acted)
        return Status.IN_DOUBT
    return Status.DONE


def _note_failure(taken: Taken, effect: Effect, recorded: Recorded, error: Exception, using: str) -> Status:
    """The lease tells attempts apart: staff who have a row retried begin to count anew."""
    outcome = _failed(taken, effect, error)
    ours = Delivery.objects.using(using).filter(pk=taken.id, status=Status.RUNNING, lease_until=taken.lease_until)
    with transaction.atomic(using, durable=True):
        if ours.update(**outcome):
            tried = {"delivery_id": taken.id, "number": taken.attempts, "error": outcome["error"]}
            Attempt.objects.using(using).create(**tried)
        log.debug("effect_noted", effect=effect.name, position=recorded.position)
    status: Status = outcome["status"]
    return status


def _record(stream: UUID, told: Sequence[Event], using: str) -> None:
    """Append what an effect has to tell, and have it heard: by sagas too, which then may send commands."""
    store.append(store.Changes(stream_id=stream, category="effect", expected=0, events=told), using=using)
    doorbell.remind_on_commit(outbox.BELL, outbox.TASK, using=using)
    if registry.of(Mode.ASYNC):
        doorbell.remind_on_commit(ASYNC_BELL, follow.name, using=using)


def _failed(taken: Taken, effect: Effect, error: Exception) -> dict[str, Any]:
    """What becomes of a row whose attempt raised."""
    for_good = isinstance(error, PermanentFailure) or taken.attempts > effect.retries
    certain = isinstance(error, PermanentFailure | TemporaryFailure)
    if effect.delivery is AT_MOST_ONCE and not certain:
        return {"status": Status.IN_DOUBT, "error": describe(error)}
    if for_good:
        return {"status": Status.FAILED, "finished_at": ClockTimestamp(), "error": describe(error)}
    delay = timedelta(seconds=min(LONGEST_RETRY, FIRST_RETRY * 2 ** (taken.attempts - 1)) * random.uniform(0.8, 1.2))
    if isinstance(error, TemporaryFailure) and error.after is not None:
        delay = max(delay, error.after)
    return {"status": Status.PENDING, "due_at": _in(delay), "error": describe(error)}


def _in(delay: timedelta) -> Any:
    """By the database's clock, which every worker shares."""
    return ClockTimestamp() + delay


def _update(taken: Taken, using: str, **values: Any) -> None:
    Delivery.objects.using(using).filter(pk=taken.id).update(**values)
