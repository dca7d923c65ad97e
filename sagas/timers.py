"""Timers live in PostgreSQL and compare with its clock. A due one is only moved into the outbox; sending is the
outbox's business.
"""

import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import database, handler_guard, identity
from eventstore.database import Statement
from sagas import queries
from sagas.outbox import sagas_here

log = structlog.get_logger(__name__)

BATCH = 500


def fire(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Move timers that are due into the outbox, a batch; answers how many. Each is the root of what follows from it.

    None in a copy of the log.
    """
    handler_guard.refuse_to("fire timers")
    if identity.is_fenced(using=using):
        return 0
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        fired = cursor.execute(queries.FIRE_TIMERS, [sagas_here(), BATCH], prepare=True).rowcount
        if fired:
            log.debug("timers_fired", timers=fired)
    if fired:
        log.debug("timers_committed", timers=fired)
    return fired


def due_in(*, using: str = DEFAULT_DB_ALIAS) -> float | None:
    """In how many seconds the next one is to be fired, below zero if it is late; None if there is none, or in a copy of
    the log.
    """
    if identity.is_fenced(using=using):
        return None
    found: list[tuple[float | None]] = database.pipeline(Statement(queries.NEXT_TIMER, [sagas_here()]), using=using)[0]
    return found[0][0]


def fire_all(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """All that are due."""
    total = 0
    while fired := fire(using=using):
        total += fired
    return total
