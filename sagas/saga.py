"""Sagas connect aggregates: a handler is a pure function of its state and an event, and yields what should happen.

State, outgoing commands and timers are rows, saved where the subscriber's checkpoint is saved; nothing is performed
here. (The *process manager* of Hohpe and Woolf.)
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID, uuid5

import msgspec
import psycopg

from eventstore.aggregates import Command
from eventstore.codec import Recorded, encoder
from eventstore.events import Event, Meta, event
from eventstore.models import SubscriberRow
from eventstore.subscribers import Mode, Rank, Subscriber, Work

E = TypeVar("E", bound=Event)
G = TypeVar("G", bound="Saga[Any]")
S = TypeVar("S", bound=msgspec.Struct)

NAMESPACE = UUID("5c1b9a64-3f2e-5d0c-9b54-0d7b6a3f1e20")


class Send(msgspec.Struct, frozen=True):
    """Send a command, as soon as the earlier ones of this instance are through."""

    command: Command


class After(msgspec.Struct, frozen=True):
    """Send a command when this much time has passed since the event was recorded."""

    delay: timedelta
    command: Command
    name: str


class At(msgspec.Struct, frozen=True):
    """Send a command at this time."""

    due_at: datetime
    command: Command
    name: str


class Cancel(msgspec.Struct, frozen=True):
    """Cancel this instance's timers of a name, as far as they have not fired. Best effort: the aggregate refuses a
    late one.
    """

    name: str


class End(msgspec.Struct, frozen=True):
    """This instance has nothing more to do; later events pass it by."""


Step = Send | After | At | Cancel | End


@event("saga.command-refused", standalone=True)
class CommandRefused(Event, frozen=True, kw_only=True):
    """A command of a saga was refused by a rule: recorded, so that the saga hears of it like of anything else."""

    saga: str
    key: str
    command_id: UUID
    command: str
    code: str
    detail: str


class Handler(NamedTuple):
    """One event that a saga wants: whose instance it concerns, and whether it begins one."""

    event: type[Event]
    key: str
    starts: bool
    method: str


class Saga(Subscriber, Generic[S]):
    """A business process that spans several aggregates. `state` is what an instance remembers; all its fields have
    defaults.

    A new saga begins at the end of the log unless `from_the_beginning`.
    """

    rank = Rank.SAGA
    state: type[S]
    handlers: ClassVar[dict[str, Handler]] = {}
    from_the_beginning: ClassVar[bool] = False

    def __init_subclass__(
        cls, *, name: str, version: int = 1, mode: Mode = Mode.SYNC, from_the_beginning: bool = False, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.name, cls.version, cls.declared_mode = name, version, mode
        cls.from_the_beginning = from_the_beginning
        cls.handlers = {handler.event.stored: handler for handler in cls.declared_handlers()}

    @classmethod
    def declared_handlers(cls) -> list[Handler]:
        """The marked methods as written, so that a system check can tell when two take one event."""
        return [
            Handler(event, key, starts, method)
            for method, member in vars(cls).items()
            for event, key, starts in getattr(member, "_reacts", ())
        ]

    def __init__(self) -> None:
        self._keys = {stored: attrgetter(handler.key) for stored, handler in self.handlers.items()}
        self._react = {stored: getattr(self, handler.method) for stored, handler in self.handlers.items()}

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self.handlers)

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        happened = recorded.event
        if isinstance(happened, CommandRefused) and happened.saga != self.name:
            return ()
        return (str(self._keys[recorded.type](happened)),)

    def begins_at(self, head: int) -> int:
        return 0 if self.from_the_beginning else head

    def adopts(self, row: SubscriberRow) -> bool:
        """A saga goes on from where its former version stopped; the version only rises."""
        return True

    def react(self, state: S, recorded: Recorded) -> Iterable[Step]:
        """Run the handler of one event on a state, which it may change."""
        return self._react[recorded.type](state, recorded.event, recorded) or ()

    def apply(self, cursor: psycopg.Cursor[Any], work: Sequence[Work]) -> None:
        batch = _Batch(self, cursor, {str(each.key) for each in work})
        for key, recorded in work:
            batch.react(str(key), recorded)
        batch.save()


def on(
    event: type[E], /, *, key: str, starts: bool = False
) -> Callable[[Callable[[G, S, E, Meta], Iterable[Step] | None]], Callable[[G, S, E, Meta], Iterable[Step] | None]]:
    """The method that reacts to an event. `key` is the field that names the instance; only `starts` begins a new
    one.
    """

    def mark(
        method: Callable[[G, S, E, Meta], Iterable[Step] | None],
    ) -> Callable[[G, S, E, Meta], Iterable[Step] | None]:
        marks: list[Any] = method.__dict__.setdefault("_reacts", [])
        marks.append((event, key, starts))
        return method

    return mark


class Row(msgspec.Struct):
    """An instance as it is loaded and saved."""

    saga: str
    key: str
    state: Any
    version: int
    ended: bool
    position: int


_LOAD = "SELECT saga, key, state, version, ended, position FROM sagas_instance WHERE saga = %s AND key = ANY(%s)"
_SAVE = """INSERT INTO sagas_instance (saga, key, state, version, ended, position)
    SELECT saga, key, state, version, ended, position FROM jsonb_to_recordset(%s::jsonb)
        AS row(saga text, key text, state jsonb, version int, ended boolean, position bigint)
    ON CONFLICT (saga, key) DO UPDATE SET state = excluded.state, version = excluded.version, ended = excluded.ended,
        position = excluded.position, moved_at = clock_timestamp()"""
_SEND = """INSERT INTO sagas_outgoing (
        saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor)
    SELECT saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor
    FROM jsonb_to_recordset(%s::jsonb) AS row(saga text, key text, command_id uuid, type text, data jsonb, root uuid,
        hops int, correlation_id uuid, causation_id uuid, actor text) ON CONFLICT DO NOTHING"""
_ARM = """INSERT INTO sagas_timer (saga, key, name, due_at, command_id, type, data, correlation_id, causation_id, actor)
    SELECT saga, key, name, due_at, command_id, type, data, correlation_id, causation_id, actor
    FROM jsonb_to_recordset(%s::jsonb) AS row(saga text, key text, name text, due_at timestamptz, command_id uuid,
        type text, data jsonb, correlation_id uuid, causation_id uuid, actor text) ON CONFLICT DO NOTHING"""
_CANCEL = """UPDATE sagas_timer SET status = 'cancelled' WHERE id IN (
    SELECT id FROM sagas_timer WHERE saga = %s AND key = %s AND name = %s AND status = 'waiting'
    FOR UPDATE SKIP LOCKED)"""


class _Batch:
    """The instances that a batch of events concerns, and everything that they decide."""

    def __init__(self, saga: Saga[Any], cursor: psycopg.Cursor[Any], keys: Iterable[str]) -> None:
        self.saga, self.cursor = saga, cursor
        self.rows: dict[str, Row] = {}
        for name, key, state, *rest in cursor.execute(_LOAD, [saga.name, list(keys)], prepare=True).fetchall():
            self.rows[key] = Row(name, key, msgspec.convert(_value(state), saga.state), *rest)
        self.touched: set[str] = set()
        self.sent: list[dict[str, Any]] = []
        self.armed: list[dict[str, Any]] = []
        self.cancelled: list[tuple[str, str]] = []

    def react(self, key: str, recorded: Recorded) -> None:
        row = self._row(key, recorded)
        if row is None or row.ended or recorded.position <= row.position:
            return
        for index, step in enumerate(self.saga.react(row.state, recorded)):
            self._take(row, step, recorded, index)
        row.position, row.version = recorded.position, self.saga.version
        self.touched.add(key)

    def save(self) -> None:
        self._write(_SAVE, [self.rows[key] for key in self.touched])
        self._write(_SEND, self.sent)
        self._write(_ARM, self.armed)
        for key, name in self.cancelled:
            self.cursor.execute(_CANCEL, [self.saga.name, key, name], prepare=True)

    def _row(self, key: str, recorded: Recorded) -> Row | None:
        if key not in self.rows and self.saga.handlers[recorded.type].starts:
            self.rows[key] = Row(self.saga.name, key, self.saga.state(), self.saga.version, ended=False, position=0)
        return self.rows.get(key)

    def _take(self, row: Row, step: Step, recorded: Recorded, index: int) -> None:
        """A step's command has an id derived from where it comes from, so that a repeat is recognized."""
        command_id = uuid5(NAMESPACE, f"{row.saga}/{row.key}/{recorded.event_id}/{index}")
        match step:
            case Send(command):
                self.sent.append(
                    {
                        **self._origin(row, recorded, command_id, command),
                        "root": recorded.root or recorded.event_id,
                        "hops": recorded.hops + 1,
                    }
                )
            case After(delay, command, name):
                self._arm(row, recorded, command_id, At(recorded.recorded_at + delay, command, name))
            case At():
                self._arm(row, recorded, command_id, step)
            case Cancel(name):
                self.cancelled.append((row.key, name))
                self.armed = [timer for timer in self.armed if (timer["key"], timer["name"]) != (row.key, name)]
            case End():
                row.ended = True

    def _arm(self, row: Row, recorded: Recorded, command_id: UUID, at: At) -> None:
        origin = self._origin(row, recorded, command_id, at.command)
        self.armed.append({**origin, "name": at.name, "due_at": at.due_at})

    def _origin(self, row: Row, recorded: Recorded, command_id: UUID, command: Command) -> dict[str, Any]:
        return {
            "saga": row.saga,
            "key": row.key,
            "command_id": command_id,
            "type": command.stored,
            "data": command,
            "correlation_id": recorded.correlation_id,
            "causation_id": recorded.event_id,
            "actor": f"saga:{row.saga}",
        }

    def _write(self, statement: str, rows: Sequence[Any]) -> None:
        if rows:
            self.cursor.execute(statement, [encoder.encode(rows).decode()], prepare=True)


def _value(stored: Any) -> Any:
    return msgspec.json.decode(stored) if isinstance(stored, str) else stored


def refusal_stream(saga: str, key: str) -> UUID:
    """The stream that keeps the refusals an instance met with."""
    return uuid5(NAMESPACE, f"{saga}/{key}")
