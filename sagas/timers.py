"""Timers live in PostgreSQL and compare with its clock. A due one is only moved into the outbox; sending is the
outbox's business.
"""

import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import database, handler_guard, identity
from sagas import queries
from sagas.outbox import sagas_here

log = structlog.get_logger(__name__)

BATCH = 500


def fire(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Move timers that are due into the outbox, a batch; answers how many. Each is the root of what follows from it.

    None in a copy of the log.
    """
    handler_guard.refuse_to("fire timers")
    if identity.is_fenced(using=using) or not is_due(using=using):
        return 0
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        fired = cursor.execute(queries.FIRE_TIMERS, [sagas_here(), BATCH], prepare=True).rowcount
        if fired:
            log.debug("timers_fired", timers=fired)
    if fired:
        log.debug("timers_committed", timers=fired)
    return fired


def is_due(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether there is one to fire. That is asked several times a second, so it takes one round trip."""
    with database.cursor(using) as cursor:
        return cursor.execute(queries.TIMER_IS_DUE, [sagas_here()], prepare=True).fetchone() == (True,)


def fire_all(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """All that are due."""
    total = 0
    while fired := fire(using=using):
        total += fired
    return total
