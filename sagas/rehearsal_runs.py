"""Rehearsals that workers are asked for: each is carried out by one of them, and says how far it is and what it found.

A worker that dies is replaced by another, which begins anew: nothing was written but how far it was.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

import msgspec
import structlog
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, transaction

from eventstore import advisory_locks, database, doorbell
from eventstore.advisory_locks import slot
from eventstore.context import process_name
from eventstore.error_texts import describe
from eventstore.errors import Refused
from eventstore.subscriptions.registry import registry
from eventstore.transient_errors import is_infrastructure
from sagas import queries
from sagas.errors import RehearsalRunning
from sagas.models import RehearsalRun
from sagas.rehearsal import rehearse
from sagas.saga import Saga

log = structlog.get_logger(__name__)

TASK = "sagas.tasks.rehearse"


class Note:
    """Writes down how far a rehearsal is, once a second, over a connection of its own: its own transaction may write
    nothing.
    """

    EVERY: ClassVar[float] = 1.0

    def __init__(self, run: RehearsalRun, connection: Any) -> None:
        self.run, self.connection = run, connection
        self.written = 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.written >= self.EVERY:
            self.written = time.monotonic()
            with self.connection.cursor() as cursor:
                cursor.execute(queries.NOTE_REHEARSAL, [done, total, self.run.pk])


def saga_named(name: str) -> Saga[Any]:
    """Raises `Refused`."""
    for subscriber in registry:
        if subscriber.name == name and isinstance(subscriber, Saga):
            return subscriber
    raise Refused(f"No saga is declared as {name!r}.")


def request(saga: str, *, since: int | datetime | None = None, requested_by: str = "") -> RehearsalRun:
    """Ask for a saga to be rehearsed by a worker, from the beginning or `since` a position or a time. Raises
    `RehearsalRunning`.
    """
    asked = RehearsalRun(saga=saga_named(saga).name, requested_by=requested_by)
    if isinstance(since, datetime):
        asked.since_time = since
    else:
        asked.since_position = since
    try:
        with transaction.atomic():
            asked.save(force_insert=True)
    except IntegrityError as error:
        raise RehearsalRunning from error
    ring(asked)
    return asked


def ring(run: RehearsalRun) -> None:
    """Let a worker take it up."""
    doorbell.ring(bell(run.pk), TASK, run.pk)


def bell(run_id: int) -> str:
    return f"rehearsal {run_id}"


def ring_unfinished() -> None:
    """Those whose worker died or whose bell was lost."""
    for run in RehearsalRun.objects.filter(finished_at=None).order_by("id"):
        ring(run)


def carry_out(run_id: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Rehearse, unless another worker does or did, and keep what came of it, be it an error: nobody tries that again.

    A database that goes away leaves the run as it is, for the next who looks.
    """
    with slot(advisory_locks.REHEARSAL, [str(run_id)], using=using) as ours:
        run = RehearsalRun.objects.using(using).filter(pk=run_id, finished_at=None).first() if ours else None
        if run is None:
            return
        run.rehearsed_by = process_name()
        run.save(using=using, update_fields=["rehearsed_by"])
        _rehearse(run, using)
        run.finished_at = database.clock(using)
        run.save(using=using)
        log.info("saga_rehearsed", saga=run.saga, run=run.pk, differing=run.differing, error=run.error)


def verdict(run: RehearsalRun) -> str:
    """What came of one that found differences, in words."""
    return f"{run.differing or 0:,} of {run.instances or 0:,} instances would go another way"


def _rehearse(run: RehearsalRun, using: str) -> None:
    try:
        with _beside(using) as connection:
            note = Note(run, connection)
            since = run.since_position if run.since_time is None else run.since_time
            found = rehearse(saga_named(run.saga), since=since, progress=note, using=using)
    except Refused as error:
        run.error = str(error)
    except Exception as error:
        if is_infrastructure(error):
            raise
        log.exception("rehearsal_failed", saga=run.saga, run=run.pk)
        run.error = describe(error)
    else:
        run.done = run.total = found.upto - found.after
        run.instances, run.differing, run.found = found.instances, found.differing, msgspec.to_builtins(found)


@contextmanager
def _beside(using: str) -> Iterator[Any]:
    """A connection that whatever this one does is no business of."""
    connection = connections[using].copy()
    try:
        yield connection
    finally:
        connection.close()
