"""Aggregates decide and evolve.

Deciding may refuse (raise a `DomainError`) and records events; evolving assigns and never refuses. A handler of a
command decides, a handler of an event evolves, so no rule ever runs again on replay. (The *decider* of Jérémie
Chassaing.)
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform
from uuid import UUID

import msgspec

from eventstore.errors import ConcurrencyConflict, DomainError, UnhandledEvent
from eventstore.events import Event, FrozenMeta

A = TypeVar("A", bound="Aggregate")
C = TypeVar("C", bound="Command")
E = TypeVar("E", bound=Event)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Command(msgspec.Struct, frozen=True, kw_only=True, metaclass=FrozenMeta):
    """Something that is asked for. Like an event it has a stored name, for it may wait in a table until it is due."""

    stored: ClassVar[str] = ""
    stream: ClassVar[str] = ""

    @property
    def stream_id(self) -> UUID:
        """The stream that decides about this command."""
        stream_id: UUID = getattr(self, self.stream)
        return stream_id


def command(name: str, *, stream: str) -> Callable[[type[C]], type[C]]:
    """Declare a command under its stored name; `stream` names the field that holds the id of its aggregate."""

    def declare(declared: type[C]) -> type[C]:
        declared.stored, declared.stream = name, stream
        return declared

    return declare


class Facts(Protocol):
    """What a decision may know besides its own aggregate: the time, other aggregates as they stand, and chance."""

    @property
    def now(self) -> datetime: ...

    def look_up(self, kind: type[A], stream_id: UUID, *, guarded: bool = False) -> A:
        """Another aggregate, to read. Raises `StreamNotFound`.

        Where it is `guarded`, it is decided again if this stream has moved on before the decision is appended; also if
        there was none, unless what is decided begins a stream itself. Otherwise nothing keeps it from changing.
        """
        ...

    def random_bits(self, bits: int) -> int:
        """A number of so many bits that nobody can foresee; another one each time that it is decided."""
        ...


class Claim(msgspec.Struct, frozen=True):
    """A value that one stream holds and no other may, such as an email address; `refusal` is raised if one does.

    With `ConcurrencyConflict` that is a lost race, and it is decided again: for values that are drawn by chance.
    """

    scope: str
    value: str
    refusal: DomainError | ConcurrencyConflict


class Handler(msgspec.Struct, frozen=True):
    """The one method that decides about a command."""

    command: type[Command]
    method: str
    creates: bool | None


class Aggregate:
    """A consistency boundary: one stream of events, folded into the state that decisions need.

    State is declared as annotated attributes, so that a snapshot can be taken of it: one in so many versions as
    `snapshot_every` says, fewer in a long stream; none at 0. A `hot` aggregate is locked before it is loaded, so that
    many writers queue instead of conflicting.
    """

    category: ClassVar[str] = ""
    hot: ClassVar[bool] = False
    snapshot_every: ClassVar[int] = 0
    handlers: ClassVar[dict[type[Command], Handler]] = {}
    evolvers: ClassVar[dict[type[Event], str]] = {}

    def __init_subclass__(cls, *, category: str, hot: bool = False, snapshot_every: int = 0) -> None:
        cls.category, cls.hot, cls.snapshot_every = category, hot, snapshot_every
        cls.handlers = {handler.command: handler for handler in cls.declared_handlers()}
        cls.evolvers = dict(cls.declared_evolvers())

    @classmethod
    def declared_handlers(cls) -> list[Handler]:
        """The marked methods as written, so that a system check can tell when two claim one command."""
        return [
            Handler(command, name, creates)
            for name, member in vars(cls).items()
            for command, creates in getattr(member, "_handles", ())
        ]

    @classmethod
    def declared_evolvers(cls) -> list[tuple[type[Event], str]]:
        """Each event with the name of the method that folds it, as written."""
        return [(event, name) for name, member in vars(cls).items() for event in getattr(member, "_evolves", ())]

    def __init__(self, stream_id: UUID) -> None:
        self.id = stream_id
        self.version = 0
        self.last_event_id: UUID | None = None
        """Of the last event that was folded from the log; what is new has no id yet."""
        self.forget_changes()

    @property
    def exists(self) -> bool:
        return self.version > 0

    def record(self, event: Event) -> None:
        """Let it have happened: evolve at once, and keep it for the append."""
        self.evolve(event)
        self.recorded.append(event)

    def evolve(self, event: Event) -> None:
        """Fold one event into the state."""
        try:
            method = self.evolvers[type(event)]
        except KeyError:
            raise UnhandledEvent(f"{type(self).__name__} has no handler for {type(event).__name__}.") from None
        getattr(self, method)(event)
        self.version += 1

    def claim(self, scope: str, value: str, refusal: DomainError | ConcurrencyConflict) -> None:
        """Hold a value that must be unique; the append refuses with `refusal` if another stream holds it, or it is
        decided again, if that is a `ConcurrencyConflict`.
        """
        self.claimed.append(Claim(scope, value, refusal))

    def release(self, scope: str, value: str) -> None:
        """Give a claimed value back."""
        self.released.append((scope, value))

    def held_values(self) -> Iterable[tuple[str, str]]:
        """What its stream holds, as scope and value, to be hashed anew under another key. An aggregate that claims
        values says it here: without that its claims can't be.
        """
        return ()

    def forget_changes(self) -> None:
        """Nothing is new any more: it was appended, or there never was anything."""
        self.recorded: list[Event] = []
        self.claimed: list[Claim] = []
        self.released: list[tuple[str, str]] = []

    def decide(self, command: Command, facts: Facts) -> None:
        """Run the handler of a command."""
        getattr(self, self.handlers[type(command)].method)(command, facts)


def handles(
    command: type[C], /, *, creates: bool | None = False
) -> Callable[[Callable[[A, C, Facts], None]], Callable[[A, C, Facts], None]]:
    """The method that decides about a command. It needs an existing stream, or with `creates` one that isn't there, or
    with None either.
    """

    def mark(method: Callable[[A, C, Facts], None]) -> Callable[[A, C, Facts], None]:
        _marks(method, "_handles").append((command, creates))
        return method

    return mark


def on(event: type[E], /) -> Callable[[Callable[[A, E], None]], Callable[[A, E], None]]:
    """The method that folds an event into the state."""

    def mark(method: Callable[[A, E], None]) -> Callable[[A, E], None]:
        _marks(method, "_evolves").append(event)
        return method

    return mark


def _marks(method: Any, kind: str) -> list[Any]:
    marks: list[Any] = method.__dict__.setdefault(kind, [])
    return marks
