"""The log as other systems follow it: in order, never past what is final, and resumed from a position.

The positions that are told here are those of committed events, or below: what was rolled back could be given to another
event after a crash, and whoever had gone past it would miss that one.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import codec, store
from eventstore.codec import Recorded
from eventstore.errors import NewerSchema, UnknownEvent, UnreadableEvent
from eventstore.events import catalogue

SCANNED = 10_000
"""How many positions are looked through for one page, however few of their events are wanted."""


class Content(msgspec.Struct, frozen=True):
    """What is told of an event, with its data as today's code reads it. Who is done with it goes on after `next`."""

    position: int
    next: int
    event_id: UUID
    stream_id: UUID
    category: str
    version: int
    type: str
    schema_version: int
    recorded_at: datetime
    actor: str
    correlation_id: UUID
    causation_id: UUID | None
    data: msgspec.Raw
    metadata: msgspec.Raw


class Entry(msgspec.Struct, frozen=True):
    """An event of the feed, written as JSON once for all who follow."""

    position: int
    next: int
    event_id: UUID
    stream_id: UUID
    category: str
    type: str
    content: bytes


class Wanted(msgspec.Struct, frozen=True):
    """Of these types, of these categories, and of this stream; of any where nothing is said."""

    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    stream_id: UUID | None = None

    def __contains__(self, entry: Entry) -> bool:
        return (
            (not self.types or entry.type in self.types)
            and (not self.categories or entry.category in self.categories)
            and self.stream_id in (None, entry.stream_id)
        )

    @property
    def stored(self) -> frozenset[str]:
        """The names under which these types are stored, former ones too."""
        return frozenset().union(*(codec.stored_names(catalogue[name]) for name in self.types))


class Page(msgspec.Struct, frozen=True):
    """Some events, where to go on, and the position of the last event that is final."""

    entries: Sequence[Entry]
    next: int
    horizon: int


def end(after: int = -1, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The position of the last event that is final, or of a later one up to `after`, for the horizon itself can go back
    for a moment. Below `after` only where no event has that position or a later one.
    """
    return store.last_committed(max(after, store.horizon(using=using)), using=using)


def growth(after: int, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The same of a position that was the end before; cheaper where nothing has come since."""
    final = store.horizon(after, using=using)
    return after if final == after else store.last_committed(max(after, final), using=using)


def read(after: int, wanted: Wanted, limit: int, *, using: str = DEFAULT_DB_ALIAS) -> Page:
    """The next events after a position, at most so many stored ones. If no event has that position or a later one, the
    horizon is below it.
    """
    horizon = end(after, using=using)
    upto = min(horizon, after + SCANNED)
    recorded = store.read_any(
        after, upto, limit, types=wanted.stored, categories=wanted.categories, stream_id=wanted.stream_id, using=using
    )
    reached = recorded[-1].position if len(recorded) == limit else max(after, upto)
    entries = [entry for each in recorded for entry in entries_of(each) if entry in wanted]
    return Page(entries, reached, horizon)


def entries_of(recorded: Recorded) -> list[Entry]:
    """An event, or those that it is read as: only the last of them leads on. What this code can't read is told as it is
    stored.
    """
    try:
        parts = [(part, part.event.schema, codec.encode(part.event)) for part in recorded.parts]
    except (UnknownEvent, NewerSchema, UnreadableEvent):
        parts = [(recorded, recorded.schema_version, _bytes(recorded.data))]
    last = len(parts) - 1
    return [
        _entry(part, recorded.position - (number < last), schema_version, data)
        for number, (part, schema_version, data) in enumerate(parts)
    ]


def _entry(part: Recorded, following: int, schema_version: int, data: bytes) -> Entry:
    content = Content(
        position=part.position,
        next=following,
        event_id=part.event_id,
        stream_id=part.stream_id,
        category=part.category,
        version=part.version,
        type=part.type,
        schema_version=schema_version,
        recorded_at=part.recorded_at,
        actor=part.actor,
        correlation_id=part.correlation_id,
        causation_id=part.causation_id,
        data=msgspec.Raw(data),
        metadata=msgspec.Raw(_bytes(part.metadata)),
    )
    told = msgspec.json.encode(content)
    return Entry(part.position, following, part.event_id, part.stream_id, part.category, part.type, told)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
