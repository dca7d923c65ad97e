"""What caused an event, and what it caused: commands, events, and what apps tell of that followed and is no event."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS, connections

from eventstore.browsing import queries
from eventstore.codec import Recorded

AROUND = 100
"""How many events of the same correlation are looked at, before an event and after it."""

CHILDREN = 20
"""How much that followed from one thing is shown."""

DEEPEST = 12
"""How many steps on it is followed."""


class ChainEvent(NamedTuple):
    """An event as one of a chain; `root` is the command that began that."""

    position: int
    stream_id: UUID
    category: str
    version: int
    type: str
    event_id: UUID
    causation_id: UUID | None
    actor: str
    recorded_at: datetime
    root: UUID | None


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """Something that followed from the event with this id and is no event. `page` names a page of the admin that shows
    it, with its arguments. Events that were caused by `command_id` followed from it.
    """

    event_id: UUID
    text: str
    status: str = ""
    page: str = ""
    args: tuple[Any, ...] = ()
    command_id: UUID | None = None


Source = Callable[[Recorded, Sequence[ChainEvent]], Iterable[Consequence]]
"""Tells what followed from an event and from those beside it in its chain, in as many statements each time."""


class Sources:
    """Who tells of consequences, each for those who have a permission."""

    def __init__(self) -> None:
        self._sources: list[tuple[Source, str]] = []

    def register(self, source: Source, permission: str) -> None:
        """Ask this one too, for whoever has the permission, such as sagas.view_delivery."""
        self._sources.append((source, permission))

    def unregister(self, source: Source) -> None:
        """Ask it no longer."""
        self._sources = [each for each in self._sources if each[0] is not source]

    def __iter__(self) -> Iterator[tuple[Source, str]]:
        return iter(self._sources)


sources = Sources()


class Command(NamedTuple):
    """A command of which nothing is known but its id and who acted."""

    id: UUID
    actor: str


class More(NamedTuple):
    """So many are left out."""

    left: int


Thing: TypeAlias = ChainEvent | Consequence | Command | More


class Node(NamedTuple):
    """A line of the tree: how deep it is, and what is there. `here` is the event that was asked about."""

    depth: int
    thing: Thing
    here: bool = False


class Chain(NamedTuple):
    """The tree around an event. There may be `earlier` and `later` events of its correlation that nobody looked at."""

    nodes: Sequence[Node]
    earlier: bool
    later: bool


def around(event: Recorded, *, using: str = DEFAULT_DB_ALIAS) -> list[ChainEvent]:
    """The events of its correlation next to it, itself among them, in order: one statement."""
    asked: dict[str, Any] = {
        "correlation_id": event.correlation_id,
        "position": event.position,
        "most": AROUND + 1,
    }
    with connections[using].cursor() as cursor:
        cursor.execute(queries.CHAIN, asked)
        return [ChainEvent(*row) for row in cursor.fetchall()]


def chain(event: Recorded, events: Sequence[ChainEvent], consequences: Iterable[Consequence]) -> Chain:
    """The way that leads to an event, and all that followed from it; of what else followed on the way only how much."""
    tree = _Tree(events, consequences)
    here = next(each for each in events if each.position == event.position)
    way: list[Thing] = [here]
    while (cause := tree.cause(way[0])) is not None and cause not in way:
        way.insert(0, cause)
    before = sum(each.position <= event.position for each in events)
    nodes = list(tree.lines(way[0], way, here, 0))
    return Chain(nodes, earlier=before > AROUND, later=len(events) - before > AROUND)


class _Tree:
    def __init__(self, events: Sequence[ChainEvent], consequences: Iterable[Consequence]) -> None:
        self.events = {each.event_id: each for each in events}
        self.sent: dict[UUID, Consequence] = {}
        self.followed: dict[UUID, list[Thing]] = defaultdict(list)
        for told in consequences:
            self.followed[told.event_id].append(told)
            if told.command_id:
                self.sent[told.command_id] = told
        for each in events:
            if each.causation_id:
                self.followed[each.causation_id].append(each)

    def cause(self, thing: Thing) -> Thing | None:
        if isinstance(thing, Consequence):
            return self.events.get(thing.event_id)
        if not isinstance(thing, ChainEvent) or thing.causation_id is None:
            return None
        known = self.events.get(thing.causation_id) or self.sent.get(thing.causation_id)
        return known or Command(thing.causation_id, thing.actor)

    def consequences(self, thing: Thing) -> Sequence[Thing]:
        if isinstance(thing, ChainEvent):
            return self.followed.get(thing.event_id, ())
        if isinstance(thing, Consequence):
            return self.followed.get(thing.command_id, ()) if thing.command_id else ()
        return self.followed.get(thing.id, ()) if isinstance(thing, Command) else ()

    def lines(self, thing: Thing, way: Sequence[Thing], here: ChainEvent, depth: int) -> Iterator[Node]:
        """On the way to `here`, an event shows only what leads there, and a command all that it recorded."""
        yield Node(depth, thing, here=thing is here)
        followed = self.consequences(thing)
        on_the_way = thing in way and thing is not here
        if on_the_way and isinstance(thing, ChainEvent):
            shown = [each for each in followed if each in way]
        else:
            shown = [each for place, each in enumerate(followed) if place < CHILDREN or each in way]
        for each in shown if depth < DEEPEST or on_the_way else ():
            if on_the_way and each not in way:
                yield Node(depth + 1, each)
            else:
                yield from self.lines(each, way, here, depth + 1)
        left = len(followed) - (len(shown) if depth < DEEPEST or on_the_way else 0)
        if left:
            yield Node(depth + 1, More(left))
