"""Timers live in PostgreSQL and compare with its clock. A due one is only moved into the outgoing rows; sending is
theirs.
"""

import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import database, handler_guard, identity
from sagas.outbox import sagas_here

log = structlog.get_logger(__name__)

BATCH = 500

_FIRE = """WITH due AS (
        SELECT id FROM sagas_timer
        WHERE status = 'waiting' AND due_at <= clock_timestamp() AND saga = ANY(%s)
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    ), fired AS (
        UPDATE sagas_timer SET status = 'fired', fired_at = clock_timestamp() WHERE id IN (SELECT id FROM due)
        RETURNING *
    )
    INSERT INTO sagas_outbox (saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor)
    SELECT saga, key, command_id, type, data, command_id, 0, correlation_id, causation_id, actor
    FROM fired ORDER BY due_at ON CONFLICT DO NOTHING"""


def fire(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Move timers that are due into the outgoing commands, a batch; answers how many. Each begins a chain of its own.

    None in a copy of the log.
    """
    handler_guard.refuse_to("fire timers")
    if identity.is_fenced(using=using):
        return 0
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        fired = cursor.execute(_FIRE, [sagas_here(), BATCH], prepare=True).rowcount
        if fired:
            log.debug("timers_fired", timers=fired)
    if fired:
        log.debug("timers_committed", timers=fired)
    return fired


def fire_all(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """All that are due."""
    total = 0
    while fired := fire(using=using):
        total += fired
    return total
