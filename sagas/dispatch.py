"""Outgoing commands are sent from saved rows: of one instance one at a time and in order, however many dispatchers
there are.

Choosing the row, deciding, appending (or recording the refusal) and marking the row is one transaction, so a crash
between any two steps sends nothing twice.
"""

from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import commands, context, doorbell, feeding, store, waiting
from eventstore.aggregates import Command
from eventstore.errors import ConcurrencyConflict, DomainError
from eventstore.failures import is_infrastructure
from eventstore.parking import describe
from eventstore.subscribers import Mode, registry
from sagas.errors import TooManyHops
from sagas.saga import CommandRefused, refusal_stream

log = structlog.get_logger(__name__)

INSTANCE_LOCKS = 20041
MOST_HOPS = 50
TRIES = 8
CANDIDATES = 20

# Pending, waiting for a retry and parked rows are all unfinished: each holds back what comes after it.
_CANDIDATES = """SELECT saga, key FROM sagas_outgoing AS row
    WHERE status = 'pending' AND due_at <= clock_timestamp() AND (%(root)s::uuid IS NULL OR root = %(root)s)
        AND NOT EXISTS (SELECT FROM sagas_outgoing AS earlier WHERE earlier.saga = row.saga AND earlier.key = row.key
            AND earlier.status IN ('pending', 'parked') AND earlier.id < row.id)
    ORDER BY id LIMIT %(limit)s"""
_LOCK = "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))"
_LOWEST = """SELECT id, saga, key, command_id, type, data, status, attempts, due_at <= clock_timestamp() AS due,
        root, hops, correlation_id, causation_id, actor
    FROM sagas_outgoing WHERE saga = %s AND key = %s AND status IN ('pending', 'parked')
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"""
_FINISH = """UPDATE sagas_outgoing SET status = %s, result = %s, error = %s, attempts = attempts + 1,
    finished_at = clock_timestamp() WHERE id = %s"""
_RETRY = """UPDATE sagas_outgoing SET attempts = attempts + 1, error = %s,
    due_at = clock_timestamp() + %s * interval '1 second', status = %s WHERE id = %s"""
# One statement: anything less answered too early.
_STATE = """SELECT
    EXISTS (SELECT FROM sagas_outgoing WHERE root = %(root)s AND status IN ('pending', 'parked')),
    EXISTS (SELECT FROM eventstore_subscriber
        WHERE status = 'running' AND (name, version, wanted) IN (
                SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[], %(wanted)s::text[]))
            AND checkpoint >= %(position)s - %(near)s AND checkpoint < greatest(%(position)s,
                (SELECT max(result) FROM sagas_outgoing WHERE root = %(root)s)))"""


class Row(msgspec.Struct):
    """An outgoing command, locked."""

    id: int
    saga: str
    key: str
    command_id: UUID
    type: str
    data: Any
    status: str
    attempts: int
    due: bool
    root: UUID
    hops: int
    correlation_id: UUID
    causation_id: UUID
    actor: str

    @property
    def command(self) -> Command:
        data = msgspec.json.decode(self.data) if isinstance(self.data, str) else self.data
        return msgspec.convert(data, commands.routes.named(self.type))


def settle(root: UUID, position: int, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Feed and dispatch what began with this root until it is at rest, or the bound is reached: then workers go on."""
    known = registry.of(Mode.SYNC)
    napped = False
    for _ in waiting.bound.moments():
        # Whoever held the subscribers has probably fed our events too: after a nap, look before trying again.
        moved = not napped and feeding.feed(known, using=using).moved
        state = look(root, position, using=using)
        if state.at_rest:
            return True
        sent = state.unfinished and dispatch_one(root, using=using)
        napped = not moved and not sent and not napped
        if napped:
            waiting.nap()
    doorbell.remind("sagas", "sagas.tasks.run", using=using)
    return False


class State(NamedTuple):
    """Whether commands of a root are left to send; and if not, whether everybody has seen what it led to."""

    unfinished: bool
    at_rest: bool


def look(root: UUID, position: int, *, using: str = DEFAULT_DB_ALIAS) -> State:
    """Where the chain that began with this root and appended at this position stands now."""
    names, versions, wanted = feeding.identities(registry.of(Mode.SYNC))
    values = {
        "root": root,
        "position": position,
        "near": feeding.NEAR,
        "names": names,
        "versions": versions,
        "wanted": wanted,
    }
    with store.cursor(using) as cursor:
        row = cursor.execute(_STATE, values, prepare=True).fetchone()
    assert row is not None
    unfinished, behind = row
    return State(unfinished=unfinished, at_rest=not unfinished and not behind)


def dispatch_one(root: UUID | None = None, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Send the next command that is due, of one root or of any. False if there is none that we could take."""
    with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
        found = cursor.execute(_CANDIDATES, {"root": root, "limit": CANDIDATES}, prepare=True).fetchall()
        for saga, key in found:
            row = _take(saga, key, using)
            if row is not None:
                _send(cursor, row, using)
                return True
    return False


def _take(saga: str, key: str, using: str) -> Row | None:
    """The instance's lock first, and only then, in a new statement, its lowest unfinished row."""
    locked, lowest = store.together(
        store.Statement(_LOCK, [INSTANCE_LOCKS, f"{saga}/{key}"]),
        store.Statement(_LOWEST, [saga, key]),
        using=using,
    )
    if not locked[0][0] or not lowest:
        return None
    row = Row(*lowest[0])
    return row if row.status == "pending" and row.due else None


def _send(cursor: psycopg.Cursor[Any], row: Row, using: str) -> None:
    with context.acting(
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        actor=row.actor,
        root=row.root,
        hops=row.hops,
    ):
        try:
            _count_hops(row)
            with transaction.atomic(using):
                receipt = commands.carry_out(row.command, row.command_id, using=using)
            cursor.execute(_FINISH, ["done", receipt.position, "", row.id], prepare=True)
        except DomainError as refusal:
            position = _record_refusal(row, refusal, using)
            cursor.execute(_FINISH, ["refused", position, f"{refusal.code}: {refusal}", row.id], prepare=True)
        except Exception as error:
            if is_infrastructure(error):
                raise
            _postpone(cursor, row, error)


def _count_hops(row: Row) -> None:
    if row.hops > MOST_HOPS:
        raise TooManyHops


def _record_refusal(row: Row, refusal: DomainError, using: str) -> int | None:
    stream_id = refusal_stream(row.saga, row.key)
    event = CommandRefused(
        saga=row.saga,
        key=row.key,
        command_id=row.command_id,
        command=row.type,
        code=refusal.code,
        detail=str(refusal),
    )
    changes = store.Changes(
        stream_id=stream_id, category="saga", expected=store.version_of(stream_id, using=using), events=[event]
    )
    return store.append(changes, command_id=row.command_id, using=using).last


def _postpone(cursor: psycopg.Cursor[Any], row: Row, error: Exception) -> None:
    """A lost race is tried again soon, any other error with back-off; in the end the command is parked with its
    instance.
    """
    parked = row.attempts + 1 >= TRIES or isinstance(error, TooManyHops)
    delay = 0.01 if isinstance(error, ConcurrencyConflict) else 0.25 * 2**row.attempts
    status = "parked" if parked else "pending"
    cursor.execute(_RETRY, [describe(error), delay, status, row.id], prepare=True)
    log.warning(
        "outgoing_parked" if parked else "outgoing_retried",
        saga=row.saga,
        key=row.key,
        command=row.type,
        error=type(error).__name__,
    )
