"""Projections fold events into rows they own; the runtime loads and saves the rows of a whole batch at once."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import psycopg

from eventstore.codec import Recorded
from eventstore.events import Event, Meta
from eventstore.subscribers import Mode, Rank, Subscriber, Work
from projections.models import ReadModel
from projections.tables import Table

E = TypeVar("E", bound=Event)
P = TypeVar("P", bound="Projection[Any]")
R = TypeVar("R", bound=ReadModel)

Keys = str | Callable[[E, Meta], Iterable[Hashable]]

SYNC, ASYNC = Mode.SYNC, Mode.ASYNC


class Outcome(Enum):
    """What a handler may answer instead of nothing."""

    DELETE = "delete the row"


DELETE = Outcome.DELETE


class Handler(NamedTuple):
    """One event that a projection wants: which rows it touches, and how."""

    event: type[Event]
    key: Any
    method: str


class Projection(Subscriber, Generic[R]):
    """A read model: rows of `model`, folded from events.

    Changing a handler asks for a new `version` and a rebuild. `mode` says who feeds it; those that it `uses` are
    fed before it, and it is never ahead of them.
    """

    rank = Rank.PROJECTION
    model: type[R]
    handlers: ClassVar[dict[str, Handler]] = {}

    def __init_subclass__(
        cls, *, name: str, version: int = 1, mode: Mode = SYNC, uses: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.name, cls.version, cls.declared_mode, cls.uses = name, version, mode, tuple(uses)
        cls.handlers = {handler.event.stored: handler for handler in cls.declared_handlers()}

    @classmethod
    def declared_handlers(cls) -> list[Handler]:
        """The marked methods as written, so that a system check can tell when two take one event."""
        return [
            Handler(event, key, method)
            for method, member in vars(cls).items()
            for event, key in getattr(member, "_projects", ())
        ]

    def __init__(self) -> None:
        self.live = Table(self.model)
        self._fold = {stored: getattr(self, handler.method) for stored, handler in self.handlers.items()}
        self._keys = {stored: _key_function(handler.key) for stored, handler in self.handlers.items()}

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self.handlers)

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        return self._keys[recorded.type](recorded.event, recorded)

    def begins_at(self, head: int) -> int:
        return 0

    def apply(self, cursor: psycopg.Cursor[Any], work: Sequence[Work]) -> None:
        self.fold(cursor, self.live, work)

    def fold(self, cursor: psycopg.Cursor[Any], table: Table[R], work: Sequence[Work]) -> None:
        """Fold events into the rows of one table, which is the live one or that of a generation."""
        rows = table.load(cursor, {each.key for each in work})
        gone: set[Hashable] = set()
        for key, recorded in work:
            row = rows.get(key)
            if row is None:
                row = rows[key] = table.new(key)
            if self._fold[recorded.type](row, recorded.event, recorded) is DELETE:
                del rows[key]
                gone.add(key)
                continue
            row.as_of = recorded.position
            gone.discard(key)
        table.delete(cursor, gone)
        table.write(cursor, rows.values())


def on(
    event: type[E], /, *, key: Keys[E]
) -> Callable[[Callable[[P, R, E, Meta], Outcome | None]], Callable[[P, R, E, Meta], Outcome | None]]:
    """The method that folds an event into the rows of its key: a field of the event, or a function that names
    several.
    """

    def mark(method: Callable[[P, R, E, Meta], Outcome | None]) -> Callable[[P, R, E, Meta], Outcome | None]:
        marks: list[Any] = method.__dict__.setdefault("_projects", [])
        marks.append((event, key))
        return method

    return mark


def _key_function(key: Any) -> Callable[[Event, Meta], Iterable[Hashable]]:
    if callable(key):
        function: Callable[[Event, Meta], Iterable[Hashable]] = key
        return function
    field = attrgetter(key)
    return lambda event, meta: (field(event),)
