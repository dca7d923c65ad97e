"""The queue is only a doorbell: a message says "there is something", the work itself is in the tables.

Whether a bell is ringing is marked in PostgreSQL, so a bell that rings is not rung again, by whatever process; and with
the broker gone only one attempt is made every few seconds by all of them together. A lost message is made good by the
periodic tick.

A message is never too old: it tells the number of its ring, and no time. Who answers one answers all rings so far;
their messages are passed over, however many wait in the queue.
"""

import time
from typing import Any

import structlog
from billiard.exceptions import WorkerLostError
from celery import Task, current_app, current_task
from django.db import DEFAULT_DB_ALIAS
from kombu.exceptions import OperationalError

from eventstore import database, handler_guard, queries
from eventstore.error_texts import describe
from eventstore.transient_errors import OUTAGES

log = structlog.get_logger(__name__)

RING = "ring"
"""The header of a message that tells the number of its ring."""

# Who answers a bell stays for a second after the last event, so a process need not look at the mark more often.
PAUSE = 0.5
_looked_at: dict[str, float] = {}


def ring(name: str, task: str, *arguments: str | int, queue: str | None = None, using: str = DEFAULT_DB_ALIAS) -> None:
    """Send a task, to its own queue or another, unless this bell rings already.

    Never raises for a broker that is gone, and never waits for long.
    """
    _looked_at[name] = time.monotonic()
    with database.cursor(using) as cursor:
        marked = cursor.execute(queries.MARK_BELL, [name], prepare=True).fetchone()
        if marked is None:
            return
        headers = {RING: marked[0]}
        try:
            current_app.send_task(task, args=arguments, retry=False, ignore_result=True, queue=queue, headers=headers)
        except (OperationalError, OSError) as error:
            log.warning("doorbell_unheard", bell=name, error=describe(error))
            cursor.execute(queries.UNCOUNT_RING, [name], prepare=True)


def remind(
    name: str, task: str, *arguments: str | int, queue: str | None = None, using: str = DEFAULT_DB_ALIAS
) -> None:
    """Ring, unless this process did so a moment ago: whoever answered is still there."""
    if time.monotonic() - _looked_at.get(name, -PAUSE) >= PAUSE:
        ring(name, task, *arguments, queue=queue, using=using)


def is_heard() -> bool:
    """Whether the broker answers: one attempt, within the time limits that a project gives to whoever publishes."""
    try:
        with current_app.connection_for_write() as connection:
            transport = connection.transport
            transport.close_connection(transport.establish_connection())
    except Exception as error:  # whatever the transport raises
        log.warning("broker_unreachable", error=type(error).__name__)
        return False
    return True


def forget() -> None:
    """Look at the mark of every bell again."""
    _looked_at.clear()


def remind_on_commit(
    name: str, task: str, *arguments: str | int, queue: str | None = None, using: str = DEFAULT_DB_ALIAS
) -> None:
    """Ring once this transaction has committed. A bell that could not be rung is made good by the clock."""

    def then() -> None:
        try:
            remind(name, task, *arguments, queue=queue, using=using)
        except OUTAGES as error:
            log.warning("doorbell_unheard", bell=name, error=describe(error))

    handler_guard.ring_on_commit(then, using=using)


def answer(name: str, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whoever answers the bell clears it first, and only then looks at what there is.

    False where the message that is being carried out is of a ring that was answered: somebody has looked since.
    """
    with database.cursor(using) as cursor:
        asked = {"name": name, "ring": _ring_of_message()}
        return cursor.execute(queries.ANSWER_BELL, asked, prepare=True).fetchone() == (True,)


class Call(Task[..., Any]):
    """A task that a bell calls for. It is called for again, so an outage that ends it, or the death of its process, is
    expected: told in the log without a traceback.
    """

    throws = (*OUTAGES, WorkerLostError)


class Tick(Call):
    """A task without arguments that beat calls for again and again. It is a bell of its own name: while a call waits to
    be answered no other is sent, so calls don't pile up in the queue while nobody works.
    """

    def apply_async(self, *_: Any, queue: str | None = None, **__: Any) -> None:  # type: ignore[override]  # answers nothing
        ring(self.name, self.name, queue=queue)

    def __call__(self) -> None:
        if answer(self.name):
            super().__call__()


def _ring_of_message() -> int | None:
    """The number of the ring whose message this process carries out, if it does."""
    request = getattr(current_task, "request", None)
    return (getattr(request, "headers", None) or {}).get(RING)
