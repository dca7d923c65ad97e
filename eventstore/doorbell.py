"""The queue is only a doorbell: a message says "there is something", the work itself is in the tables.

Whether a bell is ringing is marked in PostgreSQL, so a bell that rings is not rung again, by whatever process; and with
the broker gone only one attempt is made every few seconds by all of them together. A lost message is made good by the
periodic tick.
"""

import time

import structlog
from celery import current_app
from django.db import DEFAULT_DB_ALIAS
from kombu.exceptions import OperationalError

from eventstore import database, handler_guard, queries

log = structlog.get_logger(__name__)

# Seconds. A bell that nobody heard for so long is rung again by the clock; old ones must not pile up behind each other.
EXPIRES = 5

# Who answers a bell stays for a second after the last event, so a process need not look at the mark more often.
PAUSE = 0.5
_looked_at: dict[str, float] = {}


def ring(name: str, task: str, *arguments: str | int, queue: str | None = None, using: str = DEFAULT_DB_ALIAS) -> None:
    """Send a task, to its own queue or another, unless this bell rings already.

    Never raises for a broker that is gone, and never waits for long.
    """
    _looked_at[name] = time.monotonic()
    with database.cursor(using) as cursor:
        if cursor.execute(queries.MARK_BELL, [name], prepare=True).fetchone() is None:
            return
    try:
        current_app.send_task(task, args=arguments, retry=False, ignore_result=True, expires=EXPIRES, queue=queue)
    except (OperationalError, OSError) as error:
        log.warning("doorbell_unheard", bell=name, error=f"{type(error).__name__}: {error}")


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
    handler_guard.ring_on_commit(lambda: remind(name, task, *arguments, queue=queue, using=using), using=using)


def answer(name: str, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Whoever answers the bell clears it first, and only then looks at what there is."""
    with database.cursor(using) as cursor:
        cursor.execute(queries.CLEAR_BELL, [name], prepare=True)
