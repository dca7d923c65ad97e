"""Timers live in PostgreSQL and compare with its clock. A due one is only moved into the outgoing rows; sending is
theirs.
"""

from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import store

BATCH = 500

_FIRE = """WITH due AS (
        SELECT id FROM sagas_timer WHERE status = 'waiting' AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    ), fired AS (
        UPDATE sagas_timer SET status = 'fired' WHERE id IN (SELECT id FROM due) RETURNING *
    )
    INSERT INTO sagas_outgoing (saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor)
    SELECT saga, key, command_id, type, data, command_id, 0, correlation_id, causation_id, actor
    FROM fired ORDER BY due_at ON CONFLICT DO NOTHING"""


def fire(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Move the timers that are due into the outgoing commands; answers how many. Each begins a chain of its own."""
    with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
        return cursor.execute(_FIRE, [BATCH], prepare=True).rowcount
