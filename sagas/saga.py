"""Sagas connect aggregates: a handler is a pure function of its state and an event, and yields what should happen.

State, outgoing commands and timers are rows, saved where the subscriber's checkpoint is saved; nothing is performed
here. (The *process manager* of Hohpe and Woolf.)
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import msgspec

from eventstore.aggregates import Command
from eventstore.codec import Recorded, stored_names
from eventstore.database import Cursor, Statement
from eventstore.events import Event, Meta
from eventstore.models import SubscriberRow
from eventstore.subscriptions.subscriber import Mode, Rank, Subscriber, Work
from sagas import conf, queries
from sagas.outbox import SagaOutbox
from sagas.refusal import Answering, CommandRefused
from sagas.runtime import Batch, loading
from sagas.steps import At, Step

E = TypeVar("E", bound=Event)
G = TypeVar("G", bound="Saga[Any]")
S = TypeVar("S", bound=msgspec.Struct)

Refusing = Callable[[G, S, CommandRefused, Meta], Iterable[Step] | None]
"""A method that answers a refusal."""


SAGA_OUTBOX = SagaOutbox()


class Handler(NamedTuple):
    """One event that a saga wants: whose instance it concerns, and whether it begins one."""

    event: type[Event]
    key: str
    starts: bool
    method: str


class Saga(Subscriber, Answering, Generic[S]):
    """A business process that spans several aggregates. `state` is what an instance remembers; all its fields have
    defaults.

    A new saga begins at the end of the log; `begins_after` names another position (0 for the beginning), and the
    setting `SAGAS_BEGIN_AFTER` one that only an installation knows. Whoever changes what a saga does raises its
    `version`, and may keep the classes of `former` versions: instances that began under one of them end under it. All
    others go on under this one, whose `state` then has to read theirs.
    """

    rank, by_cursor = Rank.SAGA, True
    outbox = SAGA_OUTBOX
    state: type[S]
    handlers: ClassVar[dict[str, Handler]] = {}
    refusals: ClassVar[dict[str, str]] = {}
    """The methods that answer the refusal of a command, by its stored name."""

    begins_after: ClassVar[int | None] = None
    former: ClassVar[tuple[type["Saga[Any]"], ...]] = ()

    def __init_subclass__(
        cls,
        *,
        name: str,
        version: int = 1,
        mode: Mode = Mode.SYNC,
        begins_after: int | None = None,
        former: Sequence[type["Saga[Any]"]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.name, cls.version, cls.declared_mode = name, version, mode
        cls.begins_after, cls.former = begins_after, tuple(former)
        cls.handlers = {handler.event.stored: handler for handler in cls.declared_handlers()}
        cls.refusals = {kind.stored: method for kind, method in cls.declared_refusals()}
        if cls.refusals:
            refused = Handler(CommandRefused, "key", starts=False, method="_refused")
            cls.handlers[CommandRefused.stored] = refused

    @classmethod
    def declared_handlers(cls) -> list[Handler]:
        """The marked methods as written, so that a system check can tell when two take one event."""
        return [
            Handler(event, key, starts, method)
            for method, member in vars(cls).items()
            for event, key, starts in getattr(member, "_reacts", ())
        ]

    @classmethod
    def declared_refusals(cls) -> list[tuple[type[Command], str]]:
        """The commands whose refusal is answered, each with the method that does, as written."""
        return [(kind, method) for method, member in vars(cls).items() for kind in getattr(member, "_answers", ())]

    def __init__(self) -> None:
        self._keys = {stored: attrgetter(handler.key) for stored, handler in self.handlers.items()}
        self._react = {stored: getattr(self, handler.method) for stored, handler in self.handlers.items()}
        self._rules: dict[int, Saga[Any]] = {kind.version: kind() for kind in self.former} | {self.version: self}

    @cached_property
    def types(self) -> frozenset[str]:
        """Those that it has handlers for under any of its rules, and former ones that are read as these."""
        wanted = {handler.event for rules in self._rules.values() for handler in rules.handlers.values()}
        return frozenset().union(*map(stored_names, wanted))

    @property
    def records(self) -> Collection[type[Event]]:
        """Whoever sends its commands records what was refused."""
        return (CommandRefused,)

    def begins(self, key: str, recorded: Recorded) -> bool:
        """Whether one of the events that a stored one is read as begins this instance."""
        starts = (part for part in recorded.parts if part.type in self.handlers and self.handlers[part.type].starts)
        return any(self.key(part) == key for part in starts)

    def rules(self, version: int) -> "Saga[Any]":
        """Those under which an instance goes on that was last moved by this version."""
        return self._rules.get(version, self)

    def key(self, recorded: Recorded) -> str | None:
        """The instance that an event concerns under these rules; None if they don't want it, or if it names none."""
        of_event = self._keys.get(recorded.type)
        happened = recorded.event
        if of_event is None or (isinstance(happened, CommandRefused) and happened.saga != self.name):
            return None
        key = of_event(happened)
        return None if key is None else str(key)

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        named = (rules.key(part) for part in recorded.parts for rules in self._rules.values())
        return dict.fromkeys(key for key in named if key is not None)

    def begins_at(self, head: int) -> int:
        after = conf.BEGIN_AFTER.get().get(self.name, self.begins_after)
        return head if after is None else min(int(after), head)

    def can_upgrade(self, row: SubscriberRow) -> bool:
        """A saga goes on from where its former version stopped; the version only rises."""
        return self.version > row.version

    def react(self, state: S, recorded: Recorded) -> Iterable[Step]:
        """Run the handler of one event on a state, which it may change."""
        return self._react[recorded.type](state, recorded.event, recorded) or ()

    def answers(self, command: str) -> bool:
        return any(command in rules.refusals for rules in self._rules.values())

    def _refused(self, state: S, event: CommandRefused, meta: Meta) -> Iterable[Step] | None:
        method = self.refusals.get(event.command)
        steps: Iterable[Step] | None = getattr(self, method)(state, event, meta) if method else None
        return steps

    def timer_moved(self, timer: At, due_at: datetime, reason: str) -> Command | None:
        """What is sent to an aggregate that knows the time of a timer too, when somebody moves that to another one, and
        why. Nothing, unless a saga says otherwise.
        """
        return None

    def reads(self, work: Sequence[Work]) -> Sequence[Statement]:
        return [loading(self, work)]

    def unbegun(self, cursor: Cursor, work: Sequence[Work]) -> set[Hashable]:
        first = {each.key: each.recorded for each in reversed(work)}
        asked = {key for key, recorded in first.items() if not self.begins(str(key), recorded)}
        known = cursor.ask(queries.KNOWN_INSTANCES, [self.name, list(asked)])
        return asked.difference(key for (key,) in known)

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        batch = Batch(self, cursor, work)
        for key, recorded in cursor.awake(work):
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


def on_refusal(*commands: type[Command]) -> Callable[[Refusing[G, S]], Refusing[G, S]]:
    """The method that says what follows when a rule has refused one of these commands that the saga sent; nothing may
    follow. The refusal of any other is unanswered: staff are told.
    """

    def mark(method: Refusing[G, S]) -> Refusing[G, S]:
        method.__dict__.setdefault("_answers", []).extend(commands)
        return method

    return mark
