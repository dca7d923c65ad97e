"""Failed events wait under their key, with all that come after them for the same key; every other key goes on.

Parked rows are read and written only under the lock of the subscriber's row.
"""

import random
from collections.abc import Hashable, Iterable, Sequence
from hashlib import sha256
from traceback import TracebackException
from typing import Any, NamedTuple

import psycopg

from eventstore import conf, error_texts
from eventstore.codec import Recorded
from eventstore.errors import TooManyFailures
from eventstore.subscriptions import queries
from eventstore.subscriptions.subscriber import Work

STREAM = "stream "
FIRST_RETRY = 1.0
RETRIES = 5
LONGEST_KEY = 2000
"""Bytes of a key that surely fit into a row of PostgreSQL's indexes, beside the name of a subscriber."""

READABLE = 100
"""Characters that are kept of a key that can't be."""


class Parking(NamedTuple):
    """One event of one key; without an error it only waits behind another, of its key or of a stream."""

    key: str
    position: int
    error: str = ""
    traceback: str = ""


def park(
    cursor: psycopg.Cursor[Any], subscriber: str, parked: Sequence[Parking], *, retry_in: float | None = None
) -> None:
    """Park events; failed ones are tried again in so many seconds, or when somebody asks for it."""
    if parked:
        cursor.execute(queries.PARK, [subscriber, retry_in, *map(list, zip(*parked, strict=True))])


def refuse_too_many(keys: int, told: str) -> None:
    """When so many different keys fail the fault is hardly theirs. Raises `TooManyFailures`."""
    if keys >= conf.HALT_AT.get():
        raise TooManyFailures(f"{keys} different keys {told}")


def retry_in(attempts: int) -> float | None:
    """Seconds until the next try after so many in vain: 1, 2, 4, 8, 16 with jitter, then it needs attention (None)."""
    return FIRST_RETRY * 2 ** (attempts - 1) * random.uniform(0.9, 1.1) if attempts <= RETRIES else None


def behind(works: Iterable[Work]) -> list[Parking]:
    """Events that wait because an earlier one of their key does."""
    return [Parking(text(work.key), work.recorded.position) for work in works]


def failed(work: Work, error: Exception) -> Parking:
    """An event that could not be applied. The traceback names places, never values, which may be personal."""
    places = TracebackException.from_exception(error).stack.format()
    return Parking(text(work.key), work.recorded.position, describe(error), "".join(places))


def describe(error: BaseException) -> str:
    """What may be kept of an error, as PostgreSQL can store it; see `error_texts`."""
    return _storable(error_texts.describe(error))


def text(key: Hashable) -> str:
    """The text under which a key is parked, and found again; the text of a text is itself.

    One that PostgreSQL can't store or index (too long, with a NUL or half a surrogate pair) goes by its beginning and a
    hash of the whole: a bad event stops its own key, whatever the key is. `queries.KEY_TEXT` is the same in SQL.
    """
    whole = str(key)
    if whole.isascii() and len(whole) <= LONGEST_KEY and "\0" not in whole:  # as nearly all
        return whole
    encoded = whole.encode(errors="surrogatepass")
    if len(encoded) <= LONGEST_KEY and _storable(whole) == whole:
        return whole
    return f"{_storable(whole[:READABLE])} (sha256 {sha256(encoded).hexdigest()})"


def stream_key(recorded: Recorded) -> str:
    """Stands for the key of an event whose key can't be told: it holds back the rest of its stream."""
    return f"{STREAM}{recorded.stream_id}"


def is_stream(key: str) -> bool:
    """Whether a key that is parked stands for a stream."""
    return key.startswith(STREAM)


def _storable(told: str) -> str:
    """A text with what PostgreSQL has no room for in a text written out."""
    return told.replace("\0", "\\x00").encode(errors="backslashreplace").decode()
