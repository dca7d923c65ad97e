"""Commands of sagas are sent from saved rows: of one instance one at a time and in order, however many dispatchers
there are.

Choosing the row, deciding, appending (or recording the refusal) and marking the row is one transaction, so a crash
between any two steps sends nothing twice.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.db import DEFAULT_DB_ALIAS

from eventstore import advisory_locks, commands, context, database, doorbell, handler_guard, identity, store
from eventstore.aggregates import Command
from eventstore.database import Statement, array
from eventstore.errors import ConcurrencyConflict, DomainError, UnknownHere
from eventstore.subscriptions.outbox import Outbox
from eventstore.subscriptions.parking import describe
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from eventstore.transient_errors import is_infrastructure, raise_if_lost
from sagas import queries
from sagas.errors import TooManyHops
from sagas.refusal import Answering, CommandRefused, refusal_stream

log = structlog.get_logger(__name__)

BELL, TASK = "sagas", "sagas.tasks.run"
MOST_HOPS = 50
TRIES = 8
PUT_OFF = 1.0
"""Seconds until a command is tried again that could not be sent, through no fault of its own."""

CANDIDATES = 20


class LockedCommand(msgspec.Struct):
    """A command of a saga, locked."""

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


Instance = tuple[str, str]
"""A saga's name and a key of it."""


class SagaOutbox(Outbox):
    """The commands of sagas, as a request waits for them whose own command began the chain."""

    unfinished = queries.CHAIN_UNFINISHED
    result = queries.CHAIN_RESULT
    due = queries.CHAIN_DUE

    def parameters(self) -> dict[str, Any]:
        return {"sagas": array(sagas_here()), "limit": CANDIDATES}

    def send_next(self, due: Sequence[Instance], *, patience: float, using: str) -> bool:
        """Nothing is sent from a copy of the log."""
        return not identity.is_fenced(using=using) and _send_first(iter(due), using, patience=patience)

    def remind(self, *, using: str) -> None:
        doorbell.remind(BELL, TASK, using=using)


def is_overdue(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether a command of a saga could have been sent for a second, and nobody did."""
    with database.cursor(using) as cursor:
        return cursor.execute(queries.COMMANDS_OVERDUE, [sagas_here()], prepare=True).fetchone() == (True,)


def sagas_here() -> list[str]:
    """The names of the sagas whose commands this process sends."""
    return [subscriber.name for subscriber in registry.here() if subscriber.rank is Rank.SAGA]


def send_next(*, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Send the next command that is due. False if there is none that we could take.

    Nothing is sent from a copy of the log. When the infrastructure fails, or only other code knows the command, it is
    put off by a second and never parked; a lost connection raises, and so does a handler that applies events.
    """
    return _send_first(iter(due(using=using)), using)


def send_several(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Send commands that are due, each as `send_next` does, a few of them after one look; answers how many."""
    instances = iter(due(using=using))
    sent = 0
    while _send_first(instances, using):
        sent += 1
    return sent


def due(*, using: str = DEFAULT_DB_ALIAS) -> list[Instance]:
    """The first instances that have a command to send now; none in a copy of the log."""
    if identity.is_fenced(using=using):
        return []
    with database.cursor(using) as cursor:
        # Not prepared: a plan from when the table was small would be kept while a burst fills it.
        return cursor.execute(queries.DUE_COMMANDS, {"sagas": sagas_here(), "limit": CANDIDATES}).fetchall()


def _send_first(instances: Iterator[Instance], using: str, *, patience: float = store.PATIENCE) -> bool:
    """Send the next command of the first of these instances that has one still, and that nobody else is at."""
    handler_guard.refuse_to("send commands")
    row: LockedCommand | None = None
    try:
        with database.transaction(using):
            row = next(filter(None, (_take(saga, key, using) for saga, key in instances)), None)
            if row is not None:
                log.debug("command_taken", saga=row.saga, key=row.key, command=row.type)
                _send(row, patience, using)
    except Exception as error:
        raise_if_lost(error)
        if row is None:
            raise
        _give_back(row, error, using)
    else:
        if row is not None:
            log.debug("command_committed", saga=row.saga, key=row.key, command=row.type)
    return row is not None


def _take(saga: str, key: str, using: str) -> LockedCommand | None:
    """The instance's lock first, and only then, in a new statement, its lowest unfinished row."""
    locked, lowest = database.pipeline(
        Statement(queries.TRY_INSTANCE, [advisory_locks.SAGA_INSTANCE, f"{saga}/{key}"]),
        Statement(queries.LOCK_NEXT_COMMAND, [saga, key]),
        using=using,
    )
    if not locked[0][0] or not lowest:
        return None
    row = LockedCommand(*lowest[0])
    return row if row.status == "pending" and row.due else None


def _send(row: LockedCommand, patience: float, using: str) -> None:
    """Have it decided, and append and mark it with the COMMIT; or record that a rule refuses it, if nothing was written
    before.
    """
    with _acting_for(row):
        try:
            _count_hops(row)
            decision = commands.decide(row.command, row.command_id, patience=patience, using=using)
        except DomainError as refusal:
            _refuse(row, refusal, using)
            return
        log.debug("command_carried_out", saga=row.saga, key=row.key, command=row.type)
        decision.commit(Statement(queries.FINISH_COMMAND, ["done", "", row.id]))


def _acting_for(row: LockedCommand) -> AbstractContextManager[object]:
    return context.acting(
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        actor=row.actor,
        root=row.root,
        hops=row.hops,
    )


def _give_back(row: LockedCommand, error: Exception, using: str) -> None:
    """All that was done for a command is rolled back, and it is free again: note why, unless somebody else has taken it
    meanwhile. What a rule has refused as it was appended is finished with that.
    """
    with database.transaction(using):
        if (again := _take(row.saga, row.key, using)) is None or again.id != row.id:
            return
        if isinstance(error, DomainError):
            with _acting_for(again):
                _refuse(again, error, using)
        elif _is_nobodys_fault(error):
            _put_off(again, error, using)
        else:
            _postpone(again, error, using)


def _is_nobodys_fault(error: Exception) -> bool:
    """Whether the infrastructure failed, or processes with another version of the code are to send this command: they
    know it, or the events of its stream.
    """
    return is_infrastructure(error) or isinstance(error, UnknownHere)


def _count_hops(row: LockedCommand) -> None:
    if row.hops > MOST_HOPS:
        raise TooManyHops


def _refuse(row: LockedCommand, refusal: DomainError, using: str) -> None:
    """Record that a rule has refused it, which finishes it, and commit."""
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
    append = store.Append(changes, command_id=row.command_id)
    status = "refused" if _is_answered(row) else "unanswered"
    log.debug("command_refused", saga=row.saga, key=row.key, command=row.type, status=status)
    finish = Statement(queries.FINISH_COMMAND, [status, f"{refusal.code}: {refusal}", row.id])
    with append.refusals():
        database.commit(append.statement, finish, using=using)


def _is_answered(row: LockedCommand) -> bool:
    """Whether the saga says what follows from the refusal."""
    saga = next((subscriber for subscriber in registry if subscriber.name == row.saga), None)
    return isinstance(saga, Answering) and saga.answers(row.type)


def _put_off(row: LockedCommand, error: Exception, using: str) -> None:
    """Nobody's fault: it is tried again in a second, however often."""
    told = describe(error)
    log.warning("outbox_command_put_off", saga=row.saga, key=row.key, command=row.type, error=told)
    database.commit(Statement(queries.POSTPONE_COMMAND, [told, PUT_OFF, row.id]), using=using)


def _postpone(row: LockedCommand, error: Exception, using: str) -> None:
    """A lost race is tried again soon, any other error with back-off; in the end the command is parked with its
    instance.
    """
    parked = row.attempts + 1 >= TRIES or isinstance(error, TooManyHops)
    delay = 0.01 if isinstance(error, ConcurrencyConflict) else 0.25 * 2**row.attempts
    status = "parked" if parked else "pending"
    log.warning(
        "outbox_command_parked" if parked else "outbox_command_retried",
        saga=row.saga,
        key=row.key,
        command=row.type,
        error=type(error).__name__,
    )
    database.commit(Statement(queries.RETRY_COMMAND, [describe(error), delay, status, row.id]), using=using)
