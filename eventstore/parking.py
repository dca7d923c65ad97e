"""Failed events wait under their key, with all that come after them for the same key; every other key goes on.

Parked rows are read and written only under the lock of the subscriber's row.
"""

from collections.abc import Hashable, Iterable, Sequence
from traceback import TracebackException
from typing import Any, NamedTuple

import psycopg

from eventstore.errors import EventstoreError
from eventstore.subscribers import Work

KEYS = "SELECT DISTINCT subscriber_id, key FROM eventstore_parked WHERE subscriber_id = ANY(%s)"
_PARK = """INSERT INTO eventstore_parked (subscriber_id, key, position, error, traceback)
    SELECT %s, * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING"""


class Parking(NamedTuple):
    """One event of one key; without an error it only waits behind another."""

    key: str
    position: int
    error: str = ""
    traceback: str = ""


def park(cursor: psycopg.Cursor[Any], name: str, parked: Sequence[Parking]) -> None:
    if parked:
        cursor.execute(_PARK, [name, *map(list, zip(*parked, strict=True))])


def behind(works: Iterable[Work]) -> list[Parking]:
    """Events that wait because an earlier one of their key does."""
    return [Parking(text(work.key), work.recorded.position) for work in works]


def failed(work: Work, error: Exception) -> Parking:
    """An event that could not be applied. The traceback names places, never values, which may be personal."""
    places = TracebackException.from_exception(error).stack.format()
    return Parking(text(work.key), work.recorded.position, describe(error), "".join(places))


def describe(error: BaseException) -> str:
    """What went wrong and where. Messages are left out but for those that can't hold a person's data: the database's
    own, without its details, and ours.
    """
    kind = type(error).__name__
    if isinstance(error, EventstoreError):
        return f"{kind}: {error}"
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(cause, psycopg.Error):
        return f"{kind}: {cause.diag.message_primary or type(cause).__name__}"
    frames = TracebackException.from_exception(error).stack
    return f"{kind} in {frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename}" if frames else kind


def text(key: Hashable) -> str:
    return str(key)
