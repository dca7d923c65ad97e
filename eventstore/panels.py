"""What staff want to know of the log and of whoever follows it. All of it costs a few index look-ups, however long the
log has become: nothing counts its rows. Plain data, so that any front end can show it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from psycopg.rows import dict_row

from eventstore import gaps, identity, store
from eventstore.errors import UnknownSubscriber
from eventstore.gaps import Gaps
from eventstore.limits import seconds
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.subscribers import Rank, registry

LATE = 10.0
"""Seconds behind the log after which it is worth saying."""

MOST_COUNTED = 10_000
LONG_AGO = datetime.min.replace(tzinfo=UTC)

_PLACES = """
    SELECT name, subscriber, shard, shards, rank, mode, version, wanted, fingerprint, stale, status, checkpoint,
        processed, failures, last_error, last_error_at, moved_at, fed_by,
        coalesce(extract(epoch FROM clock_timestamp() - (
            SELECT recorded_at FROM eventstore_event WHERE position > row.checkpoint ORDER BY position LIMIT 1
        )), 0)::float AS lag_seconds,
        extract(epoch FROM clock_timestamp() - row.moved_at)::float AS still_seconds
    FROM eventstore_subscriber AS row ORDER BY rank, subscriber, shard"""
_COUNTS = """
    SELECT each.name, failed, retrying, behind, warnings
    FROM (SELECT DISTINCT subscriber FROM eventstore_subscriber) AS each(name), LATERAL (
        SELECT count(*) FILTER (WHERE error <> '') AS failed, count(*) FILTER (WHERE error = '') AS behind,
            count(*) FILTER (WHERE error <> '' AND retry_at IS NOT NULL) AS retrying
        FROM (SELECT error, retry_at FROM eventstore_parked WHERE subscriber = each.name LIMIT %(most)s) AS counted
    ) AS parked, LATERAL (
        SELECT count(*) AS warnings
        FROM (SELECT FROM eventstore_warning WHERE subscriber = each.name LIMIT %(most)s) AS counted
    ) AS warned"""

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
    """One thing that is not as it should be, in words. What is not `grave` needs an eye, not a hand.

    With a `kind` it is told to staff who don't look, and neither `about` nor `text` may hold a person's data.
    """

    about: str
    text: str
    grave: bool = True
    kind: str = ""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one row of a subscriber stands: the whole of it, or one of its shards."""

    name: str
    subscriber: str
    shard: int
    shards: int
    rank: int
    mode: str
    version: int
    wanted: str
    fingerprint: str
    stale: str
    status: str
    checkpoint: int
    processed: int
    failures: int
    last_error: str
    last_error_at: datetime | None
    moved_at: datetime
    fed_by: str
    lag_seconds: float
    still_seconds: float


class SubscriberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one subscriber stands; of one that is split, where its slowest shard does.

    `failed` events are parked for an error, `retrying` of them are tried again by themselves, those `behind` wait for
    their key. `pending` ones it wants and has not been fed yet; `uncounted` says that there are more.
    """

    name: str
    kind: str
    mode: str
    version: int
    status: str
    checkpoint: int
    head: int
    horizon: int
    lag_seconds: float
    still_seconds: float
    processed: int
    failures: int
    failed: int
    retrying: int
    behind: int
    warnings: int
    pending: int
    uncounted: bool
    last_error: str
    last_error_at: datetime | None
    moved_at: datetime
    fed_by: str
    mismatch: str
    stale: str
    places: Sequence[Place]

    @property
    def lag(self) -> int:
        """How many positions of the log lie before it, wanted or not."""
        return max(0, self.head - self.checkpoint)

    @property
    def lag_for(self) -> str:
        return duration(self.lag_seconds)

    @property
    def stalled(self) -> bool:
        """Whether it should move, could move, and has not for a while."""
        running = self.status == SubscriberRow.Status.RUNNING and self.checkpoint < self.horizon
        return running and min(self.lag_seconds, self.still_seconds) > seconds("STALLED")

    @property
    def for_staff(self) -> int:
        """Events that nobody tries again until somebody asks for it."""
        return self.failed - self.retrying

    @property
    def state(self) -> str:
        """One word for how it is, for a badge."""
        if self.status != SubscriberRow.Status.RUNNING:
            return self.status
        if self.failures:
            return "failing"
        if self.mismatch or self.stale:
            return "stale"
        return "behind" if self.lag_seconds > LATE else self.status

    def troubles(self) -> Iterator[Trouble]:
        if self.status == SubscriberRow.Status.HALTED:
            yield Trouble(self.name, f"has halted: {self.last_error or 'no error was recorded'}", kind="halted")
        elif self.status == SubscriberRow.Status.PAUSED:
            yield Trouble(self.name, "is paused", grave=False)
        elif self.failures:
            yield Trouble(self.name, f"has failed {self.failures} times in a row: {self.last_error}")
        waiting = f"; {self.behind:,} more wait behind" if self.behind else ""
        if self.for_staff:
            yield Trouble(self.name, f"could not apply {_many(self.for_staff, 'event')}{waiting}", kind="parked")
        elif self.failed:
            yield Trouble(self.name, f"tries {_many(self.failed, 'event')} again{waiting}", grave=False)
        if self.mismatch:
            yield Trouble(self.name, self.mismatch)
        if self.stale:
            yield Trouble(self.name, f"is stale: {self.stale}", grave=False)
        if self.lag_seconds > LATE or self.stalled:
            kind = "stalled" if self.stalled else ""
            yield Trouble(self.name, f"is {_many(self.lag, 'event')} behind, for {self.lag_for}", kind=kind)


class LogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How long the log is, and up to where it is final. When that is held back, `holder` says by whom and `query` with
    what: statements can hold personal data, so it is shown and never sent. It is `fenced` in a copy, from which nothing
    is sent.
    """

    head: int
    horizon: int
    last_recorded_at: datetime | None
    holder: str = ""
    query: str = ""
    held_seconds: float = 0.0
    fenced: bool = False

    @property
    def last_ago(self) -> str:
        age = timezone.now() - self.last_recorded_at if self.last_recorded_at else timedelta()
        return duration(max(0.0, age.total_seconds()))

    def troubles(self) -> Iterator[Trouble]:
        if self.fenced:
            text = "is a copy, or was moved to another database: nothing is sent from here until somebody lets it act"
            yield Trouble("log", text, kind="fenced")
        if self.held_seconds > LATE / 2:
            text = f"is held back at {self.horizon:,} for {duration(self.held_seconds)} by {self.holder}"
            yield Trouble("log", text, kind="horizon")


def subscribers(*, using: str = DEFAULT_DB_ALIAS) -> list[SubscriberStatus]:
    """Every subscriber that has a row, in the order they are fed."""
    head, horizon = store.head(using=using), store.horizon(using=using)
    counts = {row.pop("name"): row for row in _rows(_COUNTS, using)}
    places = [Place(**row) for row in _rows(_PLACES, using)]
    return [
        _status(name, list(shards), (head, horizon), counts.get(name, {}), using)
        for name, shards in groupby(places, key=lambda place: place.subscriber)
    ]


def log(*, using: str = DEFAULT_DB_ALIAS) -> LogStatus:
    head, horizon = store.head(using=using), store.horizon(using=using)
    last = StoredEvent.objects.using(using).order_by("-position").values_list("recorded_at", flat=True).first()
    fenced = identity.is_fenced(using=using)
    status = LogStatus(head=head, horizon=horizon, last_recorded_at=last, fenced=fenced)
    holders = _rows(_HOLDERS, using) if horizon < head else []
    if not holders:
        return status
    holder = holders[0]
    return msgspec.structs.replace(
        status,
        holder=f"{holder['application'] or 'a session'} (pid {holder['pid']})",
        query=holder["query"][:200],
        held_seconds=holder["seconds"] or 0.0,
    )


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


def _status(
    name: str, places: Sequence[Place], log: tuple[int, int], counts: Mapping[str, int], using: str
) -> SubscriberStatus:
    head, horizon = log
    first, slowest = places[0], min(places, key=lambda place: place.checkpoint)
    failed_last = max(places, key=lambda place: place.last_error_at or LONG_AGO)
    pending = _pending(name, slowest.checkpoint, head, using)
    return SubscriberStatus(
        name=name,
        kind=Rank(first.rank).name.lower(),
        mode=first.mode,
        version=first.version,
        status=max((place.status for place in places), key=SubscriberRow.Status.values.index),
        checkpoint=slowest.checkpoint,
        head=head,
        horizon=horizon,
        lag_seconds=max(place.lag_seconds for place in places),
        still_seconds=slowest.still_seconds,
        processed=sum(place.processed for place in places),
        failures=max(place.failures for place in places),
        failed=counts.get("failed", 0),
        retrying=counts.get("retrying", 0),
        behind=counts.get("behind", 0),
        warnings=counts.get("warnings", 0),
        pending=pending.count,
        uncounted=pending.more,
        last_error=failed_last.last_error,
        last_error_at=failed_last.last_error_at,
        moved_at=max(place.moved_at for place in places),
        fed_by=slowest.fed_by,
        mismatch=_mismatch(first),
        stale=next(filter(None, map(_stale, places)), ""),
        places=places,
    )


def _pending(name: str, checkpoint: int, head: int, using: str) -> Gaps:
    if checkpoint < head and any(subscriber.name == name for subscriber in registry):
        return gaps.pending(name, using=using)
    return Gaps(subscriber=name, ranges=())


def _mismatch(place: Place) -> str:
    """How the code of this process differs from what the checkpoint speaks of, so that it can't feed this row."""
    try:
        subscriber = registry[place.subscriber]
    except UnknownSubscriber:
        return "is unknown to this code"
    if subscriber.version != place.version:
        return f"is at version {subscriber.version} in the code and at {place.version} in the database"
    return "wants other events than it was fed" if subscriber.wanted != place.wanted else ""


def _stale(place: Place) -> str:
    """Why what is there may differ from what this code would make of the log."""
    if place.stale or _mismatch(place):
        return place.stale
    agrees = registry[place.subscriber].agrees_with(place.fingerprint)
    return "" if agrees else "its code has changed since its rows were made"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(query: str, using: str) -> list[dict[str, Any]]:
    with store.cursor(using) as cursor:
        cursor.row_factory = dict_row
        return cursor.execute(query, {"most": MOST_COUNTED}, prepare=True).fetchall()
