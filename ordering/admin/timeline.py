"""A timeline: what happened, one entry after the other, as the pages of orders, conferences and customers show it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest

from eventstore import store
from eventstore.admin import people
from eventstore.aggregates import Aggregate
from eventstore.codec import stored_names
from eventstore.errors import UnknownHere
from eventstore.events import Event

A = TypeVar("A", bound=Aggregate)
K = TypeVar("K")
T = TypeVar("T")

BY_ITSELF = "by itself"
"""Who did what sagas and effects do."""

SHOWN = 200
"""Entries that a timeline shows: the last ones."""


class Entry(NamedTuple):
    """One thing that happened: an event, or a delivery that came to nothing, which has no event."""

    words: str
    at: datetime
    who: str
    type: str
    position: int
    steps: Sequence[str] = ()
    delivery: int | None = None


def changes(kind: type[A], stream_id: UUID, told: Iterable[type[Event]], say: Callable[[Event, A], str]) -> list[Entry]:
    """An entry for each event of a stream that is one of those `told`, in order. What an event says depends on how
    things were before it, as far as these events tell. Raises `UnknownHere`.
    """
    before = kind(stream_id)
    recorded = store.read_types(stream_id, frozenset().union(*map(stored_names, told)))
    who = names(each.actor for each in recorded)
    entries = []
    for each in recorded:
        for part in each.parts:
            words = say(part.event, before)
            entries.append(Entry(words, each.recorded_at, who[each.actor], each.type, each.position))
            before.evolve(part.event)
    return entries


def readable(request: HttpRequest, read: Callable[[K], T], key: K) -> T | None:
    """What is told under a key; None, with a warning, where a newer version of this program has told some of it."""
    try:
        return read(key)
    except UnknownHere:
        messages.warning(request, "A newer version of this program has recorded what this one can't read.")
        return None


def shown(entries: Sequence[Entry]) -> dict[str, Any]:
    """As a page shows them."""
    return {"timeline": entries[-SHOWN:], "left_out": max(0, len(entries) - SHOWN)}


def names(actors: Iterable[str]) -> dict[str, str]:
    """By actor: what those are called who did something. One statement asks for the names of staff."""
    return {actor: _called(actor, name) for actor, name in people.names(actors).items()}


def _called(actor: str, name: str) -> str:
    match actor.partition(":"):
        case "customer", _, _:
            return "the customer"
        case "provider", _, provider:
            return provider
        case "saga" | "effect", _, _:
            return BY_ITSELF
    return name
