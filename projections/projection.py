"""Projections fold events into rows they own; the runtime loads and saves the rows of a whole batch at once."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, overload

from eventstore.codec import Recorded, stored_names
from eventstore.database import Cursor, Statement
from eventstore.errors import UnreadableCode
from eventstore.events import Event, Meta
from eventstore.subscriptions.subscriber import Mode, Rank, Subscriber, Work
from projections.fingerprint import lockfile
from projections.fingerprint.fingerprint import fingerprint
from projections.models import ReadModel
from projections.tables import Table

E = TypeVar("E", bound=Event)
P = TypeVar("P", bound="Projection[Any]")
R = TypeVar("R", bound=ReadModel)
L = TypeVar("L", bound=ReadModel)

Keys = str | Callable[[E, Meta], Iterable[Hashable]]

Fold = Callable[[Any, Event, Meta], Any]
KeyFunction = Callable[[Event, Meta], Iterable[Hashable]]

SYNC, ASYNC = Mode.SYNC, Mode.ASYNC


class Outcome(Enum):
    """What a handler may answer instead of nothing."""

    DELETE = "delete the row"


DELETE = Outcome.DELETE


class LookUp(NamedTuple):
    """A row of another read model that a handler needs: of which model, and whose key."""

    model: type[ReadModel]
    key: Callable[[Event, Meta], Hashable]


class Handler(NamedTuple):
    """One event that a projection wants: which rows it touches, and how."""

    event: type[Event]
    key: Any
    method: str
    look_up: LookUp | None = None


class Projection(Subscriber, Generic[R]):
    """A read model: rows of `model`, folded from events.

    Changing a handler asks for a new `version` and a rebuild. `mode` says who feeds it; those that it `uses` are
    fed before it, and it is never ahead of them. `idempotent` says that events applied twice, in order, change nothing.
    """

    rank, by_cursor = Rank.PROJECTION, True
    model: type[R]
    handlers: ClassVar[dict[str, Handler]] = {}

    def __init_subclass__(
        cls,
        *,
        name: str,
        version: int = 1,
        mode: Mode = SYNC,
        uses: Sequence[str] = (),
        idempotent: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.name, cls.version, cls.declared_mode, cls.uses = name, version, mode, tuple(uses)
        cls.idempotent = idempotent
        cls.handlers = {handler.event.stored: handler for handler in cls.declared_handlers()}

    @classmethod
    def declared_handlers(cls) -> list[Handler]:
        """The marked methods as written, so that a system check can tell when two take one event."""
        return [
            Handler(event, key, method, look_up)
            for method, member in vars(cls).items()
            for event, key, look_up in getattr(member, "_projects", ())
        ]

    def __init__(self) -> None:
        self.live = Table(self.model)
        self._fold = {stored: getattr(self, handler.method) for stored, handler in self.handlers.items()}
        self._keys = {stored: _key_function(handler.key) for stored, handler in self.handlers.items()}
        self._needs = {stored: handler.look_up for stored, handler in self.handlers.items() if handler.look_up}

    @property
    def compiled(self) -> dict[str, tuple[Fold, KeyFunction]]:
        """By stored name of the event: the handler, and the function that names the keys."""
        return {stored: (self._fold[stored], self._keys[stored]) for stored in self.handlers}

    @cached_property
    def types(self) -> frozenset[str]:
        """Those that it has handlers for, and former ones that are read as these."""
        return frozenset().union(*(stored_names(handler.event) for handler in self.handlers.values()))

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        if recorded.type in self._keys:
            return self._keys[recorded.type](recorded.event, recorded)
        return dict.fromkeys(key for part in self.parts(recorded) for key in self._keys[part.type](part.event, part))

    def parts(self, recorded: Recorded) -> Sequence[Recorded]:
        """What an event is read as, as far as there are handlers for it."""
        if recorded.type in self._fold:
            return (recorded,)
        return [each for each in recorded.parts if each.type in self._fold]

    def _parts_of(self, key: Hashable, recorded: Recorded) -> Sequence[Recorded]:
        """The same, as far as it concerns one row."""
        parts = self.parts(recorded)
        return parts if len(parts) == 1 else [each for each in parts if key in self._keys[each.type](each.event, each)]

    @property
    def fingerprint(self) -> str:
        """Of all code that decides what rows it folds; empty where the source can't be read."""
        try:
            return self.read_fingerprint()
        except UnreadableCode:
            return ""

    def read_fingerprint(self) -> str:
        """The same. Raises `UnreadableCode` where the source can't be read."""
        return fingerprint(type(self), Projection)

    def agrees_with(self, fingerprint: str) -> bool:
        """Whether rows of that code are what this code would fold: it is the same, or the lock file says so."""

        return super().agrees_with(fingerprint) or fingerprint in lockfile.equal(self.name, self.version)

    def begins_at(self, head: int) -> int:
        return 0

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        self.fold(cursor, self.live, work)

    def reads(self, work: Sequence[Work]) -> Sequence[Statement]:
        return [self.live.loading(_keys_of(work))]

    @property
    def looks_up(self) -> bool:
        """Whether some handler needs rows of another read model."""
        return bool(self._needs)

    def fold(
        self,
        cursor: Cursor,
        table: Table[R],
        work: Sequence[Work],
        *,
        others: Callable[[type[ReadModel]], Table[Any]] = Table,
    ) -> None:
        """Fold events into the rows of one table, which is the live one or that of a generation.

        `others` gives the tables in which rows of other read models are looked up.
        """
        rows = table.load(cursor, _keys_of(work))
        found = self._look_up(cursor, work, others) if self._needs else {}
        gone: set[Hashable] = set()
        parts = ((key, part) for key, recorded in cursor.awake(work) for part in self._parts_of(key, recorded))
        for key, recorded in parts:
            row = rows.get(key)
            if row is None:
                row = rows[key] = table.new(key)
            needed = [found.get(need) for need in self._needed(recorded)] if self._needs else ()
            if self._fold[recorded.type](row, recorded.event, recorded, *needed) is DELETE:
                del rows[key]
                gone.add(key)
                continue
            row.as_of = max(row.as_of, recorded.position)  # one that waited under its stream comes after later ones
            gone.discard(key)
        table.delete(cursor, gone)
        table.write(cursor, rows.values())

    def _needed(self, recorded: Recorded) -> list[tuple[type[ReadModel], Hashable]]:
        need = self._needs.get(recorded.type)
        return [(need.model, need.key(recorded.event, recorded))] if need else []

    def _look_up(
        self, cursor: Cursor, work: Sequence[Work], others: Callable[[type[ReadModel]], Table[Any]]
    ) -> dict[tuple[type[ReadModel], Hashable], ReadModel]:
        """The live rows of other read models that these events need, one query a model."""
        wanted: dict[type[ReadModel], set[Hashable]] = {}
        for _, recorded in work:
            for part in self.parts(recorded):
                for model, key in self._needed(part):
                    wanted.setdefault(model, set()).add(key)
        return {
            (model, key): row for model, keys in wanted.items() for key, row in others(model).load(cursor, keys).items()
        }


@overload
def on(
    event: type[E], /, *, key: Keys[E]
) -> Callable[[Callable[[P, R, E, Meta], Outcome | None]], Callable[[P, R, E, Meta], Outcome | None]]: ...


@overload
def on(
    event: type[E], /, *, key: Keys[E], look_up: tuple[type[L], str | Callable[[E, Meta], Hashable]]
) -> Callable[
    [Callable[[P, R, E, Meta, L | None], Outcome | None]], Callable[[P, R, E, Meta, L | None], Outcome | None]
]: ...


def on(event: type[Event], /, *, key: Any, look_up: tuple[type[ReadModel], Any] | None = None) -> Any:
    """The method that folds an event into the rows of its key: a field of the event, or a function that names several.

    With `look_up`, a read model and the field (or function) that names the key of one of its rows, the method is given
    that row as a last argument, or None where there is none. The projection of that model has to be among those that
    this one `uses`; what is looked up is the row as it is now, which may know later events.
    """
    needed = LookUp(look_up[0], _one_key(look_up[1])) if look_up else None

    def mark(method: Any) -> Any:
        method.__dict__.setdefault("_projects", []).append((event, key, needed))
        return method

    return mark


def _keys_of(work: Sequence[Work]) -> list[Hashable]:
    return list(dict.fromkeys(each.key for each in work))


def _one_key(key: Any) -> Callable[[Event, Meta], Hashable]:
    if callable(key):
        function: Callable[[Event, Meta], Hashable] = key
        return function
    field = attrgetter(key)
    return lambda event, meta: field(event)


def _key_function(key: Any) -> KeyFunction:
    if callable(key):
        return lambda event, meta: tuple(dict.fromkeys(key(event, meta)))
    field = attrgetter(key)
    return lambda event, meta: (field(event),)


AnyProjection = Projection[Any]
