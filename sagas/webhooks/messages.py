"""What a webhook says of an event: what the feed tells of it."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec

from eventstore import feed
from eventstore.codec import Recorded
from eventstore.feed import Entry


class Message(msgspec.Struct, frozen=True):
    """The body. Its `id` is the same for every attempt, and that of the event; where one that was stored under a former
    name is read as several, those after the first have others.
    """

    id: UUID
    type: str
    position: int
    stream_id: UUID
    version: int
    recorded_at: datetime
    data: Any


class _Told(msgspec.Struct, frozen=True):
    """What is taken of an entry of the feed."""

    event_id: UUID
    version: int
    recorded_at: datetime
    data: msgspec.Raw


def body(recorded: Recorded, part: int) -> bytes | None:
    """The body for one of the events that a stored one is read as; None where it is read as fewer by now."""
    entries = feed.entries_of(recorded)
    return _written(entries[part], part) if part < len(entries) else None


def _written(entry: Entry, part: int) -> bytes:
    told = msgspec.json.decode(entry.content, type=_Told)
    message = Message(
        id=uuid5(told.event_id, str(part)) if part else told.event_id,
        type=entry.type,
        position=entry.position,
        stream_id=entry.stream_id,
        version=told.version,
        recorded_at=told.recorded_at,
        data=told.data,
    )
    return msgspec.json.encode(message)
