"""Reads a log with the code that runs, and tells what of it that can't read. It writes nothing and folds nothing."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import codec, error_texts, store
from eventstore.aggregates import Aggregate
from eventstore.codec import decoder
from eventstore.commands import routes
from eventstore.errors import EventstoreError, UnhandledEvent
from eventstore.events import Event, catalogue
from eventstore.store import StoredData

Read = Callable[[str], object]

BATCH = 5_000
"""Events from one word about progress to the next."""


class Unreadable(msgspec.Struct, frozen=True):
    """An event that can't be read, and why; `error` is the code of one of our errors, else the name of another. There
    is nothing in it of what the event says.
    """

    position: int
    type: str
    schema_version: int
    stream_id: UUID
    version: int
    error: str
    detail: str


class Progress(NamedTuple):
    """The last position that was read, how many events were, and those that could not be read since the last word."""

    position: int
    read: int
    unreadable: list[Unreadable]


def verify(
    *, after: int = 0, upto: int, since: datetime | None = None, using: str = DEFAULT_DB_ALIAS
) -> Iterator[Progress]:
    """Read the events with `after < position <= upto`, or those of them that were recorded `since` a time; a word about
    it after each few thousand, and a last one.

    An event can be read if upcasters and declaration make a value of it, and if the aggregate of its stream, where one
    is declared for that category, has a handler for it.
    """
    readers: dict[tuple[str, str, int], Read] = {}
    read, position = 0, after
    unreadable: list[Unreadable] = []
    for stored in store.stream_stored(after, upto, since=since, using=using):
        place = stored.category, stored.type, stored.schema_version
        try:
            reader = readers.get(place)
            if reader is None:
                reader = readers[place] = _reader(*place)
            reader(stored.data)
        except Exception as error:
            unreadable.append(_told(stored, error))
        read, position = read + 1, stored.position
        if not read % BATCH:
            yield Progress(position, read, unreadable)
            unreadable = []
    yield Progress(position, read, unreadable)


def _reader(category: str, name: str, schema_version: int) -> Read:
    """What reads all events of this kind. Raises what keeps it from reading any of them."""
    aggregate = next((kind for kind in routes.aggregates if kind.category == category), None)
    if name in {former.name for former in codec.formers()}:
        return partial(_read_former, aggregate, name, schema_version)
    declared = catalogue[name]
    _refuse_unhandled(aggregate, declared)
    if schema_version == declared.schema:
        return decoder(declared).decode
    return partial(codec.decode, name, schema_version)


def _read_former(aggregate: type[Aggregate] | None, name: str, schema_version: int, data: str) -> None:
    for event in codec.read(name, schema_version, data):
        _refuse_unhandled(aggregate, type(event))


def _refuse_unhandled(aggregate: type[Aggregate] | None, declared: type[Event]) -> None:
    if aggregate and declared not in aggregate.evolvers:
        raise UnhandledEvent(f"{aggregate.__name__} has no handler for {declared.__name__}.")


def _told(stored: StoredData, error: Exception) -> Unreadable:
    """A misfit is asked for again, of the codec, which names it."""
    if isinstance(error, msgspec.MsgspecError):
        try:
            codec.decode(stored.type, stored.schema_version, stored.data)
        except EventstoreError as named:
            error = named
    if isinstance(error, EventstoreError):
        code, detail = error.code, str(error)
    else:
        code, detail = type(error).__name__, error_texts.misfit(error)
    return Unreadable(
        position=stored.position,
        type=stored.type,
        schema_version=stored.schema_version,
        stream_id=stored.stream_id,
        version=stored.version,
        error=code,
        detail=detail,
    )
