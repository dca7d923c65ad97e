"""The queue is only a doorbell: a message says "there is something", the work itself is in the tables.

Whether a bell is ringing is marked in PostgreSQL, so a bell that rings is not rung again, by whatever process; and with
the broker gone only one attempt is made every few seconds by all of them together. A lost message is made good by the
periodic tick.
"""

from collections.abc import Iterable

import structlog
from celery import current_app
from django.db import DEFAULT_DB_ALIAS, transaction
from kombu.exceptions import OperationalError

from eventstore import store

log = structlog.get_logger(__name__)

STALE = "2 seconds"
EXPIRES = 60

_QUIET = f"bell.rung_at IS NULL OR bell.rung_at < clock_timestamp() - interval '{STALE}'"
_MARK = f"""INSERT INTO eventstore_doorbell AS bell (name, rung_at) VALUES (%s, clock_timestamp())
    ON CONFLICT (name) DO UPDATE SET rung_at = clock_timestamp() WHERE {_QUIET} RETURNING name"""
_CLEAR = "UPDATE eventstore_doorbell SET rung_at = NULL WHERE name = %s AND rung_at IS NOT NULL"
_QUIET_ONES = f"""SELECT known.name FROM unnest(%s::text[]) AS known(name)
    LEFT JOIN eventstore_doorbell AS bell USING (name) WHERE {_QUIET}"""


def quiet(names: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Those of these bells that nobody has rung yet."""
    with store.cursor(using) as cursor:
        return [name for (name,) in cursor.execute(_QUIET_ONES, [list(names)], prepare=True).fetchall()]


def ring(name: str, task: str, *arguments: str | int, using: str = DEFAULT_DB_ALIAS) -> None:
    """Send a task, unless this bell rings already. Never raises for a broker that is gone, and never waits for long."""
    with store.cursor(using) as cursor:
        if cursor.execute(_MARK, [name], prepare=True).fetchone() is None:
            return
    try:
        current_app.send_task(task, args=arguments, retry=False, ignore_result=True, expires=EXPIRES)
    except (OperationalError, OSError) as error:
        log.warning("doorbell_unheard", bell=name, error=f"{type(error).__name__}: {error}")


def ring_on_commit(name: str, task: str, *arguments: str | int, using: str = DEFAULT_DB_ALIAS) -> None:
    transaction.on_commit(lambda: ring(name, task, *arguments, using=using), using=using, robust=True)


def answer(name: str, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Whoever answers the bell clears it first, and only then looks at what there is."""
    with store.cursor(using) as cursor:
        cursor.execute(_CLEAR, [name], prepare=True)
