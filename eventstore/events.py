"""Events: plain typed values with an explicit stored name, and the catalogue that finds them by it.

A stored name is never a class path, so classes can be renamed and moved without touching history.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, ClassVar, TypeVar, dataclass_transform
from uuid import UUID

import msgspec

from eventstore.errors import UnknownEvent

E = TypeVar("E", bound="Event")


class FrozenMeta(msgspec.StructMeta):
    """Lets a struct be frozen, and made by the names of its fields, without each class saying so."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        frozen: bool = True,
        kw_only: bool = True,
    ) -> Any:
        return super().__new__(mcls, name, bases, namespace, frozen=frozen, kw_only=kw_only)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Event(msgspec.Struct, frozen=True, kw_only=True, metaclass=FrozenMeta):
    """Something that happened: a value that never changes, made by the names of its fields."""

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

    def register(self, declared: type[Event]) -> None:
        self._declared.append(declared)
        self._by_name[declared.stored] = declared

    def unregister(self, *declared: type[Event]) -> None:
        """Forget these. Raises ValueError for one that isn't declared."""
        for each in declared:
            self._declared.remove(each)
            self._by_name.pop(each.stored, None)

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
        catalogue.register(declared)
        return declared

    return declare
