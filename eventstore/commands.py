"""Dispatch: a command is decided by the one aggregate that handles it, appended, and then everything that follows
from it is given the chance to come to rest before the caller is answered.
"""

import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import structlog
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import context, database, doorbell, handler_guard, repository, store
from eventstore.aggregates import Aggregate, Command, Handler
from eventstore.database import Statement
from eventstore.errors import ConcurrencyConflict, StreamExists, StreamNotFound, UnknownCommand
from eventstore.events import Event
from eventstore.store import Changes
from eventstore.subscriptions import read_your_writes
from eventstore.subscriptions.parking import describe
from eventstore.subscriptions.read_your_writes import Settled
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from eventstore.tasks import ASYNC_BELL, SYNC_BELL, follow, follow_sync
from eventstore.transient_errors import OUTAGES, is_infrastructure

log = structlog.get_logger(__name__)

A = TypeVar("A", bound=Aggregate)
T = TypeVar("T")

ATTEMPTS = 8


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command.

    `position` is the last one it appended (None: nothing changed), `version` that of its stream. `settled` says whether
    everything that began with it is at rest and readable, `chain_position` is the last one of all that as it was seen
    then; `repeated` says that it had been carried out before.
    """

    command_id: UUID
    stream_id: UUID
    position: int | None
    version: int
    recorded: tuple[Event, ...]
    settled: bool = False
    chain_position: int | None = None
    repeated: bool = False


class Routes:
    """Which aggregate handles which command, as the table of contents lists them."""

    def __init__(self) -> None:
        self.aggregates: set[type[Aggregate]] = set()
        self.listed: list[tuple[type[Aggregate], type[Command]]] = []
        self._handlers: dict[type[Command], tuple[type[Aggregate], Handler]] = {}
        self._by_name: dict[str, type[Command]] = {}

    def register(self, *listed: type[Aggregate] | Mapping[type[Aggregate], Sequence[type[Command]]]) -> None:
        """Let aggregates decide about commands: about all that they handle, or about those of a table of contents,
        which a system check compares with what they handle.
        """
        for each in listed:
            table = each if isinstance(each, Mapping) else {each: tuple(each.handlers)}
            for kind, commands in table.items():
                self._add(kind, commands)

    def unregister(self, *kinds: type[Aggregate]) -> None:
        """Let these decide about nothing any more."""
        for kind in kinds:
            self.aggregates.discard(kind)
            for command in [command for each, command in self.listed if each is kind]:
                self._handlers.pop(command, None)
                self._by_name.pop(command.stored, None)
        self.listed = [(kind, command) for kind, command in self.listed if kind not in kinds]

    def _add(self, kind: type[Aggregate], commands: Sequence[type[Command]]) -> None:
        self.aggregates.add(kind)
        for command in commands:
            self.listed.append((kind, command))
            self._by_name[command.stored] = command
            if command in kind.handlers:
                self._handlers[command] = (kind, kind.handlers[command])

    def handler(self, command: Command) -> tuple[type[Aggregate], Handler]:
        try:
            return self._handlers[type(command)]
        except KeyError:
            raise UnknownCommand(f"No aggregate handles {type(command).__name__}.") from None

    def named(self, name: str) -> type[Command]:
        """The command that is stored under this name."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownCommand(f"No command is declared as {name!r}.") from None


routes = Routes()
register = routes.register


class CommandContext:
    """The facts of a decision as it is made: the time, other aggregates from the log, and chance.

    The time is that of the database's clock, by which timers are due: that of each process is another.
    """

    def __init__(self, using: str, now: datetime | None = None) -> None:
        self._using = using
        self._seen: list[Aggregate] = []
        self._guarded: dict[UUID, Changes] = {}
        self.now = now or database.clock(using)

    @property
    def guards(self) -> Collection[Changes]:
        """Nothing to record, onto the version of each guarded stream that was seen: for the append to check."""
        return self._guarded.values()

    def look_up(self, kind: type[A], stream_id: UUID, *, guarded: bool = False) -> A:
        aggregate = repository.load(kind, stream_id, using=self._using)
        if guarded:
            seen = Changes(stream_id=stream_id, category=kind.category, expected=aggregate.version, events=())
            self._guarded[stream_id] = seen
        if not aggregate.exists:
            raise StreamNotFound
        self._seen.append(aggregate)
        return aggregate

    def random_bits(self, bits: int) -> int:
        return secrets.randbits(bits)

    def give_back(self) -> None:
        """What was looked at was not changed, so others may have it."""
        for aggregate in self._seen:
            repository.aggregate_cache.give(aggregate, self._using)


def dispatch(
    command: Command,
    *,
    command_id: UUID | None = None,
    if_version: int | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Receipt:
    """Carry out a command in a transaction of its own, and wait, within a bound, until all that follows is at rest.

    The same `command_id` is carried out once; a repeat is answered with what the first recorded. A lost race is decided
    again, a bounded number of times, unless `if_version` says which version of the stream the caller has seen.
    Raises the rule's `DomainError`, `StreamNotFound`, `StreamExists`, `ConcurrencyConflict`, `UnknownCommand`; and
    RuntimeError inside a transaction of the caller, because the log promises what it acknowledged.
    """
    handler_guard.refuse_to("send commands")
    registry.make_rows(using=using)
    command_id = command_id or context.new_id()
    root = context.current().root or command_id
    with context.acting(root=root):
        receipt = decided(lambda: _attempt(command, command_id, if_version, using), if_version)
    log.debug("request_committed", command=command.stored)
    if receipt.position is None:
        return msgspec.structs.replace(receipt, settled=True)
    settled, position = settle(root, receipt.position, using=using)
    return msgspec.structs.replace(receipt, settled=settled, chain_position=position)


class Decision:
    """What came of a command, inside a transaction that the caller holds: events to append, or what an earlier attempt
    recorded.
    """

    def __init__(self, receipt: Receipt, append: store.Append | None, using: str) -> None:
        self._receipt, self._append, self._using = receipt, append, using

    def append(self) -> Receipt:
        """Append them; the transaction goes on. Raises as `Append.refusals` does."""
        return self._appended(database.pipeline)

    def commit(self, *along: Statement) -> Receipt:
        """Append them, run some statements more, and commit, in one round trip, where the transaction is that of
        `database.transaction`. Raises as `Append.refusals` does.
        """
        return self._appended(database.commit, *along)

    def _appended(self, run: Callable[..., list[list[Any]]], *along: Statement) -> Receipt:
        if self._append is None:
            run(*along, using=self._using)
            return self._receipt
        with self._append.refusals():
            rows, *_ = run(self._append.statement, *along, using=self._using)
        return msgspec.structs.replace(self._receipt, position=self._append.answer(rows).last)


def carry_out(command: Command, command_id: UUID, *, using: str) -> Receipt:
    """Decide and append, inside a transaction that the caller holds, and that goes on. Raises what `dispatch` does."""
    return decide(command, command_id, using=using).append()


def decide(
    command: Command,
    command_id: UUID,
    *,
    if_version: int | None = None,
    patience: float = store.PATIENCE,
    using: str,
) -> Decision:
    """Decide, inside a transaction that the caller holds. Everything that can wait comes first, for at most `patience`
    seconds a lock.
    """
    kind, _ = routes.handler(command)
    aggregate = repository.recall(kind, command.stream_id, using=using)
    done, since, now = store.lock_and_load(
        command_id,
        aggregate.id,
        repository.known_version(aggregate),
        queue=kind.hot,
        patience=patience,
        using=using,
    )
    if done is not None:
        return Decision(_repeated(command, command_id, done, using), None, using)
    aggregate = repository.evolve(aggregate, since, using=using)
    loaded = aggregate.version
    facts = CommandContext(using, now)
    append = to_append(command, aggregate, facts, begun=bool(since), if_version=if_version, command_id=command_id)
    aggregate.last_event_id = append.last_event_id or aggregate.last_event_id
    receipt = Receipt(
        command_id=command_id,
        stream_id=aggregate.id,
        position=None,
        version=aggregate.version,
        recorded=tuple(aggregate.recorded),
    )
    transaction.on_commit(lambda: _keep(aggregate, loaded, using), using=using, robust=True)
    return Decision(receipt, append, using)


def to_append(
    command: Command,
    aggregate: Aggregate,
    facts: CommandContext,
    *,
    begun: bool,
    if_version: int | None = None,
    command_id: UUID | None = None,
) -> store.Append:
    """Let an aggregate decide that was just loaded; its stream has `begun` if there are events in it, of whatever
    category. Raises what `dispatch` does, but for what only the append can tell.
    """
    kind, handler = routes.handler(command)
    loaded = aggregate.version
    if handler.creates and (aggregate.exists or begun):
        raise StreamExists
    if handler.creates is False and not aggregate.exists:
        raise StreamNotFound
    if if_version is not None and if_version != loaded:
        raise ConcurrencyConflict
    try:
        aggregate.decide(command, facts)
    finally:
        facts.give_back()
    changes = Changes(
        stream_id=aggregate.id,
        category=kind.category,
        expected=loaded,
        events=aggregate.recorded,
        claimed=aggregate.claimed,
        released=aggregate.released,
    )
    return store.Append(changes, *facts.guards, command_id=command_id)


def decided(attempt: Callable[[], T], if_version: int | None = None) -> T:
    """What an attempt to decide comes to. A lost race is decided again, a bounded number of times, unless the caller
    has seen a version. Raises what the attempt does, and `ConcurrencyConflict` after the last.
    """
    for number in range(1, ATTEMPTS):
        with suppress(ConcurrencyConflict):
            return attempt()
        if if_version is not None:
            raise ConcurrencyConflict
        time.sleep(random.uniform(0, 0.002 * 2**number))
    return attempt()


def _keep(aggregate: Aggregate, loaded: int, using: str) -> None:
    """What was committed need not be folded again the next time, unless the database goes away just then."""
    try:
        repository.snapshot_if_due(aggregate, loaded, using=using)
    except OUTAGES as error:
        log.warning("snapshot_failed", stream_id=str(aggregate.id), error=describe(error))
    repository.aggregate_cache.give(aggregate, using)


def _attempt(command: Command, command_id: UUID, if_version: int | None, using: str) -> Receipt:
    with database.transaction(using):
        decision = decide(command, command_id, if_version=if_version, using=using)
        log.debug("request_carried_out", command=command.stored)
        return decision.commit()


def chain_position(receipt: Receipt, *, using: str = DEFAULT_DB_ALIAS) -> int | None:
    """The last position of all that followed from a command by now: more than its receipt knows, if workers go on."""
    if receipt.settled or receipt.position is None:
        return receipt.chain_position
    return read_your_writes.reached(context.current().root or receipt.command_id, receipt.position, using=using)


def _repeated(command: Command, command_id: UUID, done: store.Appended, using: str) -> Receipt:
    recorded = store.read_caused(command_id, done, using=using) if done.last else []
    return Receipt(
        command_id=command_id,
        stream_id=command.stream_id,
        position=done.last,
        version=recorded[-1].version if recorded else 0,
        recorded=tuple(part.event for each in recorded for part in each.parts),
        repeated=True,
    )


def settle(root: UUID, position: int, *, using: str = DEFAULT_DB_ALIAS) -> Settled:
    """Wait, within a bound, until all that began with this command is at rest; it appended at this position.

    The command is committed, so it is acknowledged whatever becomes of this: workers finish what is left.
    """
    try:
        settled = read_your_writes.settle(root, position, using=using)
        if registry.of(Mode.ASYNC):
            doorbell.remind(ASYNC_BELL, follow.name, using=using)
        if not settled.at_rest:
            doorbell.remind(SYNC_BELL, follow_sync.name, using=using)
    except Exception as error:
        if not is_infrastructure(error):
            raise
        log.warning("not_settled", root=str(root), position=position, error=describe(error))
        return Settled(False, position)
    return settled
