"""Outgoing commands are sent from saved rows: of one instance one at a time and in order, however many dispatchers
there are.

Choosing the row, deciding, appending (or recording the refusal) and marking the row is one transaction, so a crash
between any two steps sends nothing twice.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import applying, commands, context, doorbell, identity, standing, store, waiting
from eventstore.aggregates import Command
from eventstore.errors import ConcurrencyConflict, DomainError
from eventstore.failures import is_infrastructure, raise_if_lost
from eventstore.isolation import SAVEPOINT, undo
from eventstore.parking import describe
from eventstore.subscribers import Mode, Rank, registry
from sagas.errors import TooManyHops
from sagas.saga import CommandRefused, refusal_stream

log = structlog.get_logger(__name__)

INSTANCE_LOCKS = 20041
BELL, TASK = "sagas", "sagas.tasks.run"
MOST_HOPS = 50
TRIES = 8
PUT_OFF = 1.0
"""Seconds until a command is tried again that the infrastructure kept from being sent."""

LEAST = 0.1
"""Seconds for which a request waits for a lock, though its bound is as good as reached."""

CANDIDATES = 20

# Pending, waiting for a retry and parked rows are all unfinished: each holds back what comes after it.
# Looked up by one pass over what is unfinished: whatever the planner believes to be there, no plan of it is a bad one.
_DUE = """SELECT saga, key FROM (
        SELECT DISTINCT ON (saga, key) saga, key, id, status, due_at FROM sagas_outgoing
        WHERE status IN ('pending', 'parked') AND saga = ANY(%(sagas)s) ORDER BY saga, key, id) AS lowest
    WHERE status = 'pending' AND due_at <= clock_timestamp() ORDER BY id LIMIT %(limit)s"""
_DUE_OF_ROOT = """SELECT saga, key FROM sagas_outgoing AS row
    WHERE root = %(root)s AND status = 'pending' AND due_at <= clock_timestamp() AND saga = ANY(%(sagas)s)
        AND NOT EXISTS (SELECT FROM sagas_outgoing AS earlier WHERE earlier.saga = row.saga AND earlier.key = row.key
            AND earlier.status IN ('pending', 'parked') AND earlier.id < row.id)
    ORDER BY id LIMIT %(limit)s"""
_OVERDUE = """SELECT EXISTS (SELECT FROM (
        SELECT DISTINCT ON (saga, key) status, due_at FROM sagas_outgoing
        WHERE status IN ('pending', 'parked') AND saga = ANY(%s) ORDER BY saga, key, id) AS lowest
    WHERE status = 'pending' AND due_at <= clock_timestamp() - interval '1 second')"""
_LOCK = "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))"
# The lowest one or none: while somebody else writes to it, the next one is not to be taken for it.
_LOWEST = """SELECT id, saga, key, command_id, type, data, status, attempts, due_at <= clock_timestamp() AS due,
        root, hops, correlation_id, causation_id, actor
    FROM sagas_outgoing WHERE id = (
        SELECT min(id) FROM sagas_outgoing WHERE saga = %s AND key = %s AND status IN ('pending', 'parked'))
    FOR UPDATE SKIP LOCKED"""
_FINISH = """UPDATE sagas_outgoing SET status = %s, result = %s, error = %s, attempts = attempts + 1,
    finished_at = clock_timestamp() WHERE id = %s"""
_RETRY = """UPDATE sagas_outgoing SET attempts = attempts + 1, error = %s,
    due_at = clock_timestamp() + %s * interval '1 second', status = %s WHERE id = %s"""
_POSTPONE = """UPDATE sagas_outgoing SET error = %s, due_at = clock_timestamp() + %s * interval '1 second'
    WHERE id = %s AND status = 'pending'"""
# One statement: anything less answered too early.
_STATE = """SELECT
    EXISTS (SELECT FROM sagas_outgoing
        WHERE root = %(root)s AND status IN ('pending', 'parked') AND saga = ANY(%(sagas)s)),
    coalesce(bool_or(checkpoint >= %(position)s - %(near)s), false),
    coalesce(bool_or(checkpoint < %(position)s - %(near)s), false)
    FROM eventstore_subscriber WHERE status = 'running'
        AND (name, version, wanted) IN (
            SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[], %(wanted)s::text[]))
        AND checkpoint < greatest(%(position)s, (SELECT max(result) FROM sagas_outgoing WHERE root = %(root)s))"""


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
    turn = waiting.Turn(using)
    for left in waiting.bound.moments():
        turn.feed()
        state, instances = look(root, position, turn)
        if state is State.AT_REST:
            return True
        if state is State.FAR_BEHIND:
            break
        if not _dispatch(iter(instances), using, patience=max(left, LEAST)):
            turn.wait()
    doorbell.remind(BELL, TASK, using=using)
    return False


Instance = tuple[str, str]
"""A saga's name and a key of it."""


class State(Enum):
    """Whether commands of a root are left to send; if not, whether a sync subscriber that is near has yet to see what
    it led to, or only one that is too far behind to be waited for, or nobody.
    """

    UNFINISHED = "unfinished"
    BEHIND = "behind"
    FAR_BEHIND = "far behind"
    AT_REST = "at rest"


class Found(NamedTuple):
    """Where a chain stands, and the first instances that have a command of it to send now."""

    state: State
    due: list[Instance]


def look(root: UUID, position: int, turn: waiting.Turn) -> Found:
    """Where the chain stands that began with this root and appended at this position, as soon as it is our turn."""
    names, versions, wanted = standing.identities(registry.of(Mode.SYNC))
    values = {
        "root": root,
        "sagas": sagas_here(),
        "position": position,
        "near": standing.NEAR,
        "names": names,
        "versions": versions,
        "wanted": wanted,
        "limit": CANDIDATES,
    }
    (row,), due = turn.ask(store.Statement(_STATE, values), store.Statement(_DUE_OF_ROOT, values))
    found = dict(zip((State.UNFINISHED, State.BEHIND, State.FAR_BEHIND), row, strict=True))
    state = next((state for state, is_so in found.items() if is_so), State.AT_REST)
    return Found(state, [] if identity.is_fenced(using=turn.using) else due)


def is_overdue(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether a command of a saga could have been sent for a second, and nobody did."""
    with store.cursor(using) as cursor:
        return cursor.execute(_OVERDUE, [sagas_here()], prepare=True).fetchone() == (True,)


def sagas_here() -> list[str]:
    """The names of the sagas whose commands this process sends."""
    return [subscriber.name for subscriber in registry.here() if subscriber.rank is Rank.SAGA]


def dispatch_one(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Send the next command that is due. False if there is none that we could take.

    Nothing is sent from a copy of the log. When the infrastructure fails, the command is put off by a second and never
    parked; a lost connection raises, and so does a handler that applies events.
    """
    return _dispatch(iter(due(using=using)), using)


def dispatch_some(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Send commands that are due, each as `dispatch_one` does, a few of them after one look; answers how many."""
    instances = iter(due(using=using))
    sent = 0
    while _dispatch(instances, using):
        sent += 1
    return sent


def due(*, using: str = DEFAULT_DB_ALIAS) -> list[Instance]:
    """The first instances that have a command to send now; none in a copy of the log."""
    if identity.is_fenced(using=using):
        return []
    with store.cursor(using) as cursor:
        # Not prepared: a plan from when the table was small would be kept while a burst fills it.
        return cursor.execute(_DUE, {"sagas": sagas_here(), "limit": CANDIDATES}).fetchall()


def _dispatch(instances: Iterator[Instance], using: str, *, patience: float = store.PATIENCE) -> bool:
    """Send the next command of the first of these instances that has one still, and that nobody else is at."""
    applying.refuse_to("send commands")
    row: Row | None = None
    try:
        with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
            row = next(filter(None, (_take(saga, key, using) for saga, key in instances)), None)
            if row is not None:
                log.debug("command_taken", saga=row.saga, key=row.key, command=row.type)
                _send(cursor, row, patience, using)
    except Exception as error:
        raise_if_lost(error)
        if row is None or not is_infrastructure(error):
            raise
        _put_off(row, error, using)
    else:
        if row is not None:
            log.debug("command_committed", saga=row.saga, key=row.key, command=row.type)
    return row is not None


def _take(saga: str, key: str, using: str) -> Row | None:
    """The instance's lock first, and only then, in a new statement, its lowest unfinished row; then a savepoint."""
    locked, lowest, _ = store.together(
        store.Statement(_LOCK, [INSTANCE_LOCKS, f"{saga}/{key}"]),
        store.Statement(_LOWEST, [saga, key]),
        SAVEPOINT,
        using=using,
    )
    if not locked[0][0] or not lowest:
        return None
    row = Row(*lowest[0])
    return row if row.status == "pending" and row.due else None


def _send(cursor: psycopg.Cursor[Any], row: Row, patience: float, using: str) -> None:
    with context.acting(
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        actor=row.actor,
        root=row.root,
        hops=row.hops,
    ):
        try:
            _count_hops(row)
            receipt = commands.carry_out(row.command, row.command_id, patience=patience, using=using)
        except DomainError as refusal:
            undo(cursor, using=using)
            position = _record_refusal(row, refusal, using)
            log.debug("command_refused", saga=row.saga, key=row.key, command=row.type)
            cursor.execute(_FINISH, ["refused", position, f"{refusal.code}: {refusal}", row.id], prepare=True)
        except Exception as error:
            if is_infrastructure(error):
                raise
            undo(cursor, using=using)
            _postpone(cursor, row, error)
        else:
            log.debug("command_carried_out", saga=row.saga, key=row.key, command=row.type)
            cursor.execute(_FINISH, ["done", receipt.position, "", row.id], prepare=True)


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


def _put_off(row: Row, error: Exception, using: str) -> None:
    """Nobody's fault: it is tried again in a second, however often."""
    log.warning("outgoing_put_off", saga=row.saga, key=row.key, command=row.type, error=describe(error))
    with transaction.atomic(using, durable=True), store.cursor(using) as cursor:
        cursor.execute(_POSTPONE, [describe(error), PUT_OFF, row.id], prepare=True)


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
