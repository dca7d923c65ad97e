"""Everything about one subscriber that its page shows. What may be long is cut off, and says so; nothing here costs
more for the length of the log.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row

from eventstore import database
from eventstore.errors import UnknownSubscriber
from eventstore.models import DiscardedEvent, OperatorAction, SkippedRange
from eventstore.monitoring import queries
from eventstore.monitoring.status import SubscriberStatus, subscriber_statuses
from eventstore.subscriptions.gaps import SOME, Gaps, Range, gaps

SHOWN = 20
"""How long each list may be."""

T = TypeVar("T")


class Excerpt(msgspec.Struct, Generic[T], frozen=True):
    """The first rows of a list, and whether there are more."""

    rows: Sequence[T]
    more: bool


class ParkedError(msgspec.Struct, frozen=True, kw_only=True):
    """One error, with how many events and keys it holds up; `retry_at` is the next try; those that need attention
    have none."""

    error: str
    events: int
    keys: int
    needs_attention: int
    retry_at: datetime | None


class ParkedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, with the event of it that failed and how many it has in its queue, that one included."""

    key: str
    position: int
    error: str
    traceback: str
    attempts: int
    retry_at: datetime | None
    parked_at: datetime
    queue: int


class WarningCount(msgspec.Struct, frozen=True, kw_only=True):
    """One warning, of how many events, and the last of them."""

    text: str
    events: int
    last: int


class SubscriberDetail(msgspec.Struct, frozen=True, kw_only=True):
    """`gaps` is None where they can't be told, because this code doesn't know what the subscriber wants."""

    status: SubscriberStatus
    gaps: Gaps | None
    ranges: Excerpt[Range]
    errors: Excerpt[ParkedError]
    keys: Excerpt[ParkedKey]
    warnings: Excerpt[WarningCount]
    discarded: Excerpt[DiscardedEvent]
    skipped: Excerpt[SkippedRange]
    actions: Excerpt[OperatorAction]


def subscriber_detail(name: str) -> SubscriberDetail:
    """Raises `UnknownSubscriber` when it has no row."""
    found = [status for status in subscriber_statuses() if status.name == name]
    if not found:
        raise UnknownSubscriber(f"{name} has no row.")
    missing = _gaps(name)
    return SubscriberDetail(
        status=found[0],
        gaps=missing,
        ranges=_some(missing.ranges if missing else ()),
        errors=parked_errors(name),
        keys=_few(queries.FAILED_KEYS, ParkedKey, name),
        warnings=_few(queries.WARNINGS, WarningCount, name),
        discarded=_some(DiscardedEvent.objects.filter(subscriber=name).order_by("-id")[: SHOWN + 1]),
        skipped=_some(SkippedRange.objects.filter(subscriber=name).order_by("-id")[: SHOWN + 1]),
        actions=_some(OperatorAction.objects.filter(target=name).order_by("-id")[: SHOWN + 1]),
    )


def parked_errors(name: str | None = None) -> Excerpt[ParkedError]:
    """The most frequent errors among the parked events, of one subscriber or of all."""
    return _few(queries.PARKED_ERRORS, ParkedError, name)


def _gaps(name: str) -> Gaps | None:
    try:
        return gaps(name, most=SOME)
    except UnknownSubscriber:
        return None


def _few(query: Any, shape: type[T], name: str | None) -> Excerpt[T]:
    asked = {"subscriber": name, "some": SOME, "most": SHOWN + 1}
    with database.cursor(DEFAULT_DB_ALIAS) as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(shape))
        return _some(counting.execute(query, asked).fetchall())


def _some(rows: Iterable[T]) -> Excerpt[T]:
    found = list(islice(rows, SHOWN + 1))
    return Excerpt(found[:SHOWN], len(found) > SHOWN)
