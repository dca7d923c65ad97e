"""What people call the instances of sagas, and what these wait for: the business says so, which sagas don't know."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from eventstore.events import Event


class Title(NamedTuple):
    """What an instance is called, and the page of the admin about what it is about: the name of its address, and what
    that asks for; no name where there is none.
    """

    text: str
    page: str = ""
    args: tuple[Any, ...] = ()


class Description:
    """How the instances of a saga are told of: a subclass for each, `of` the saga of that name."""

    known: ClassVar[dict[str, "Description"]] = {}

    def __init_subclass__(cls, *, of: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.known[of] = cls()

    def titles(self, keys: Collection[str]) -> Mapping[str, Title]:
        """By their keys, many looked up at once; those that it doesn't know are called by their keys."""
        return {}

    def awaits(self, state: Any) -> Iterable[type[Event]]:
        """The events that an instance in a state goes on with."""
        return ()


def titles_of(saga: str, keys: Collection[str]) -> Mapping[str, Title]:
    """By the key of each instance; one statement at most."""
    found = Description.known.get(saga)
    return found.titles(keys) if found and keys else {}


def awaited(saga: str, state: Any) -> list[str]:
    """The stored names of the events that an instance in this state goes on with."""
    found = Description.known.get(saga)
    return [event.stored for event in found.awaits(state)] if found else []
