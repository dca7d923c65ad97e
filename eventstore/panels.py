"""What staff want to know of the log and of whoever follows it. All of it costs a few index look-ups, however long the
log has become: nothing counts its rows. Plain data, so that any front end can show it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from psycopg.rows import dict_row

from eventstore import store
from eventstore.errors import UnknownSubscriber
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.subscribers import Rank, registry

LATE = 10.0
"""Seconds behind the log after which it is worth saying."""

MOST_COUNTED = 10_000

_SUBSCRIBERS = """
    SELECT row.name, row.rank, row.mode, row.version, row.wanted, row.status, row.checkpoint, row.processed,
        row.failures, row.last_error, row.last_error_at, row.moved_at, row.fed_by, parked.failed, parked.behind,
        extract(epoch FROM clock_timestamp() - (
            SELECT recorded_at FROM eventstore_event WHERE position > row.checkpoint ORDER BY position LIMIT 1
        ))::float AS lag_seconds
    FROM eventstore_subscriber AS row, LATERAL (
        SELECT count(*) FILTER (WHERE error <> '') AS failed, count(*) FILTER (WHERE error = '') AS behind
        FROM (SELECT error FROM eventstore_parked WHERE subscriber_id = row.name LIMIT %(most)s) AS counted
    ) AS parked
    ORDER BY row.rank, row.name"""

# The announce lock of `sql/append_v1.sql`: who holds one keeps every reader back.
_HOLDERS = """
    SELECT pid, application_name AS application, query,
        extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds
    FROM pg_stat_activity WHERE pid IN (
        SELECT pid FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND (classid::bigint >> 16) = 20037
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    ORDER BY xact_start LIMIT 1"""


class Trouble(msgspec.Struct, frozen=True):
    """One thing that is not as it should be, in words. What is not `grave` needs an eye, not a hand."""

    about: str
    text: str
    grave: bool = True


class SubscriberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one subscriber stands. `failed` events are parked for an error, those `behind` wait for their key."""

    name: str
    kind: str
    mode: str
    version: int
    status: str
    checkpoint: int
    head: int
    lag_seconds: float
    processed: int
    failures: int
    failed: int
    behind: int
    last_error: str
    last_error_at: datetime | None
    moved_at: datetime
    fed_by: str
    mismatch: str

    @property
    def lag(self) -> int:
        """How many positions of the log lie before it, wanted or not."""
        return max(0, self.head - self.checkpoint)

    @property
    def lag_for(self) -> str:
        return duration(self.lag_seconds)

    @property
    def state(self) -> str:
        """One word for how it is, for a badge."""
        if self.status != SubscriberRow.Status.RUNNING:
            return self.status
        if self.failures:
            return "failing"
        if self.mismatch:
            return "stale"
        return "behind" if self.lag_seconds > LATE else self.status

    def troubles(self) -> Iterator[Trouble]:
        if self.status == SubscriberRow.Status.HALTED:
            yield Trouble(self.name, f"has halted: {self.last_error or 'no error was recorded'}")
        elif self.status == SubscriberRow.Status.PAUSED:
            yield Trouble(self.name, "is paused", grave=False)
        elif self.failures:
            yield Trouble(self.name, f"has failed {self.failures} times in a row: {self.last_error}")
        if self.failed:
            waiting = f"; {self.behind:,} more wait behind" if self.behind else ""
            yield Trouble(self.name, f"could not apply {_many(self.failed, 'event')}{waiting}")
        if self.mismatch:
            yield Trouble(self.name, self.mismatch)
        if self.lag_seconds > LATE:
            yield Trouble(self.name, f"is {_many(self.lag, 'event')} behind, for {self.lag_for}")


class LogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How long the log is, and up to where it is final. When that is held back, `holder` says by whom."""

    head: int
    horizon: int
    last_recorded_at: datetime | None
    holder: str = ""
    held_seconds: float = 0.0

    @property
    def last_ago(self) -> str:
        age = timezone.now() - self.last_recorded_at if self.last_recorded_at else timedelta()
        return duration(max(0.0, age.total_seconds()))

    def troubles(self) -> Iterator[Trouble]:
        if self.held_seconds > LATE / 5:
            yield Trouble("log", f"is held back at {self.horizon:,} for {duration(self.held_seconds)} by {self.holder}")


def subscribers(*, using: str = DEFAULT_DB_ALIAS) -> list[SubscriberStatus]:
    """Every subscriber that has a row, in the order they are fed."""
    head = store.head(using=using)
    return [
        SubscriberStatus(
            kind=Rank(row.pop("rank")).name.lower(),
            head=head,
            mismatch=_mismatch(row["name"], row["version"], row.pop("wanted")),
            lag_seconds=row.pop("lag_seconds") or 0.0,
            **row,
        )
        for row in _rows(_SUBSCRIBERS, using)
    ]


def log(*, using: str = DEFAULT_DB_ALIAS) -> LogStatus:
    head, horizon = store.head(using=using), store.horizon(using=using)
    last = StoredEvent.objects.using(using).order_by("-position").values_list("recorded_at", flat=True).first()
    status = LogStatus(head=head, horizon=horizon, last_recorded_at=last)
    holders = _rows(_HOLDERS, using) if horizon < head else []
    if not holders:
        return status
    holder = holders[0]
    said = f"{holder['application'] or 'a session'} (pid {holder['pid']}): {holder['query'][:200]}"
    return msgspec.structs.replace(status, holder=said, held_seconds=holder["seconds"] or 0.0)


def unstarted(known: list[SubscriberStatus]) -> list[str]:
    """Subscribers of this code that have no row yet: they get one when a process first appends or follows."""
    names = {status.name for status in known}
    return [subscriber.name for subscriber in registry if subscriber.name not in names]


def history(stream_id: UUID, most: int = 100) -> list[StoredEvent]:
    """The last events of a stream, in order."""
    newest = StoredEvent.objects.filter(stream_id=stream_id).defer("sealed").order_by("-version")[:most]
    return list(newest)[::-1]


def duration(seconds: float) -> str:
    """A length of time as people say it: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, size, until in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _mismatch(name: str, version: int, wanted: str) -> str:
    """How the code of this process differs from what its checkpoint speaks of; empty if it doesn't."""
    try:
        subscriber = registry[name]
    except UnknownSubscriber:
        return "is unknown to this code"
    if subscriber.version != version:
        return f"is at version {subscriber.version} in the code and at {version} in the database"
    return "wants other events than it was fed" if subscriber.wanted != wanted else ""


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(query: str, using: str) -> list[dict[str, Any]]:
    with store.cursor(using) as cursor:
        cursor.row_factory = dict_row
        return cursor.execute(query, {"most": MOST_COUNTED}, prepare=True).fetchall()
