"""Events: plain typed values with an explicit stored name, and the catalogue that finds them by it.

A stored name is never a class path, so classes can be renamed and moved without touching history.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import ClassVar, TypeVar
from uuid import UUID

import msgspec

from eventstore.errors import UnknownEvent

E = TypeVar("E", bound="Event")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. Subclasses repeat `frozen=True, kw_only=True`: type checkers don't inherit them."""

    stored: ClassVar[str] = ""
    schema: ClassVar[int] = 1
    standalone: ClassVar[bool] = False


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a chain of events comes from: `root` is the id of the command that began it, `hops` how many commands of
    sagas lie between.
    """

    root: UUID | None = None
    hops: int = 0


class Meta(msgspec.Struct, kw_only=True):
    """What the log knows about an event besides its data.

    `position` counts all events of the log from 1, `version` those of the stream from 1.
    """

    position: int
    stream_id: UUID
    category: str
    version: int
    type: str
    schema_version: int
    event_id: UUID
    correlation_id: UUID
    causation_id: UUID | None
    actor: str
    recorded_at: datetime
    metadata: str | bytes = b"{}"

    @property
    def origin(self) -> Origin:
        """Read from the metadata when asked for, which is seldom."""
        return _decode_origin(self.metadata)


_decode_origin = msgspec.json.Decoder(Origin).decode


class Catalogue:
    """Every declared event. Two with one stored name are both kept: a system check names them."""

    def __init__(self) -> None:
        self._declared: list[type[Event]] = []
        self._by_name: dict[str, type[Event]] = {}

    def add(self, declared: type[Event]) -> None:
        self._declared.append(declared)
        self._by_name[declared.stored] = declared

    def __getitem__(self, name: str) -> type[Event]:
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownEvent(f"No event is declared as {name!r}.") from None

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[type[Event]]:
        return iter(self._declared)


catalogue = Catalogue()


def event(name: str, *, version: int = 1, standalone: bool = False) -> Callable[[type[E]], type[E]]:
    """Declare an event under its stored name and schema version.

    A `standalone` event belongs to no aggregate: it is recorded by a saga's dispatcher or by a side effect.
    """

    def declare(declared: type[E]) -> type[E]:
        declared.stored, declared.schema, declared.standalone = name, version, standalone
        catalogue.add(declared)
        return declared

    return declare
