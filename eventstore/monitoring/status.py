"""What staff want to know of the log and of whoever follows it. All of it costs a few index look-ups, however long the
log has become: nothing counts its rows. Plain data, so that any front end can show it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone
from psycopg.rows import dict_row

from eventstore import advisory_locks, conf, database, identity, store
from eventstore.errors import UnknownSubscriber
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.monitoring import queries
from eventstore.monitoring.health import LATE, MOST_COUNTED, HealthIssue, duration
from eventstore.subscriptions import gaps
from eventstore.subscriptions.gaps import Gaps
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank

_SEVERITY = (SubscriberRow.Status.RUNNING, SubscriberRow.Status.PAUSED, SubscriberRow.Status.HALTED)
"""Of a subscriber whose shards differ the worst status is shown, which is the last of these."""

UNKNOWN = "is unknown to this code"

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ShardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one row of a subscriber stands: the whole of it, or one of its shards."""

    name: str
    subscriber: str
    shard: int
    shards: int
    rank: int
    mode: str
    version: int
    types_hash: str
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
    shards: Sequence[ShardStatus]

    @property
    def lag(self) -> int:
        """How many positions of the log lie before it, wanted or not."""
        return max(0, self.head - self.checkpoint)

    @property
    def unknown(self) -> bool:
        """Whether this code doesn't have it, so that nobody here can tell what it wants and has missed."""
        return self.mismatch == UNKNOWN

    @property
    def lag_for(self) -> str:
        return duration(self.lag_seconds)

    @property
    def stalled(self) -> bool:
        """Whether it should move, could move, and has not for a while."""
        running = self.status == SubscriberRow.Status.RUNNING and self.checkpoint < self.horizon
        return running and min(self.lag_seconds, self.still_seconds) > conf.STALLED_AFTER_SECONDS.get()

    @property
    def needs_attention(self) -> int:
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

    def health_issues(self) -> Iterator[HealthIssue]:
        if self.status == SubscriberRow.Status.HALTED:
            yield HealthIssue(self.name, f"has halted: {self.last_error or 'no error was recorded'}", kind="halted")
        elif self.status == SubscriberRow.Status.PAUSED:
            yield HealthIssue(self.name, "is paused", grave=False)
        elif self.failures:
            yield HealthIssue(self.name, f"has failed {self.failures} times in a row: {self.last_error}")
        waiting = f"; {self.behind:,} more wait behind" if self.behind else ""
        if self.needs_attention:
            yield HealthIssue(
                self.name, f"could not apply {_many(self.needs_attention, 'event')}{waiting}", kind="parked"
            )
        elif self.failed:
            yield HealthIssue(self.name, f"tries {_many(self.failed, 'event')} again{waiting}", grave=False)
        if self.mismatch:
            yield HealthIssue(self.name, self.mismatch)
        if self.stale:
            yield HealthIssue(self.name, f"is stale: {self.stale}", grave=False)
        if self.lag_seconds > LATE or self.stalled:
            kind = "stalled" if self.stalled else ""
            yield HealthIssue(self.name, f"is {_many(self.lag, 'event')} behind, for {self.lag_for}", kind=kind)


class LogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How long the log is, and up to where it is final. When that is held back, `holder` says by whom and `query` with
    what: statements can hold personal data, so it is shown and never sent. It is `fenced` in a copy, from which nothing
    is sent. `set_back` says what is wrong where its sequence stands below what is used.
    """

    head: int
    horizon: int
    last_recorded_at: datetime | None
    holder: str = ""
    query: str = ""
    held_seconds: float = 0.0
    fenced: bool = False
    set_back: str = ""

    @property
    def last_ago(self) -> str:
        age = timezone.now() - self.last_recorded_at if self.last_recorded_at else timedelta()
        return duration(max(0.0, age.total_seconds()))

    def health_issues(self) -> Iterator[HealthIssue]:
        if self.fenced:
            text = "is a copy, or was moved to another database: nothing is sent from here until somebody lets it act"
            yield HealthIssue("log", text, kind="fenced")
        if self.set_back:
            yield HealthIssue("log", f"can't be written: {self.set_back}", kind="sequence")
        if self.held_seconds > LATE / 2:
            text = f"is held back at {self.horizon:,} for {duration(self.held_seconds)} by {self.holder}"
            yield HealthIssue("log", text, kind="horizon")


def subscriber_statuses(*, using: str = DEFAULT_DB_ALIAS) -> list[SubscriberStatus]:
    """Every subscriber that has a row, in the order they are fed."""
    head, horizon = store.head(using=using), store.horizon(using=using)
    counts = {row.pop("name"): row for row in _rows(queries.COUNTS, using)}
    shards = [ShardStatus(**row) for row in _rows(queries.SHARDS, using)]
    return [
        _status(name, list(shards), (head, horizon), counts.get(name, {}), using)
        for name, shards in groupby(shards, key=lambda shard: shard.subscriber)
    ]


def log_status(*, using: str = DEFAULT_DB_ALIAS) -> LogStatus:
    head, horizon = store.head(using=using), store.horizon(using=using)
    last = StoredEvent.objects.using(using).order_by("-position").values_list("recorded_at", flat=True).first()
    fenced = identity.is_fenced(using=using)
    status = LogStatus(
        head=head, horizon=horizon, last_recorded_at=last, fenced=fenced, set_back=store.set_back(using=using)
    )
    holders = _rows(queries.HOLDERS, using) if horizon < head else []
    if not holders:
        return status
    holder = holders[0]
    return msgspec.structs.replace(
        status,
        holder=holder["holder"],
        query=holder["query"][:200],
        held_seconds=holder["seconds"] or 0.0,
    )


def unstarted(known: list[SubscriberStatus]) -> list[str]:
    """Subscribers of this code that have no row yet: they get one when a process first appends or follows."""
    names = {status.name for status in known}
    return [subscriber.name for subscriber in registry if subscriber.name not in names]


def _status(
    name: str, shards: Sequence[ShardStatus], log: tuple[int, int], counts: Mapping[str, int], using: str
) -> SubscriberStatus:
    head, horizon = log
    first, slowest = shards[0], min(shards, key=lambda shard: shard.checkpoint)
    failed_last = max(shards, key=lambda shard: shard.last_error_at or LONG_AGO)
    pending = _pending(name, slowest.checkpoint, head, using)
    return SubscriberStatus(
        name=name,
        kind=Rank(first.rank).name.lower(),
        mode=first.mode,
        version=first.version,
        status=max((shard.status for shard in shards), key=_SEVERITY.index),
        checkpoint=slowest.checkpoint,
        head=head,
        horizon=horizon,
        lag_seconds=max(shard.lag_seconds for shard in shards),
        still_seconds=slowest.still_seconds,
        processed=sum(shard.processed for shard in shards),
        failures=max(shard.failures for shard in shards),
        failed=counts.get("failed", 0),
        retrying=counts.get("retrying", 0),
        behind=counts.get("behind", 0),
        warnings=counts.get("warnings", 0),
        pending=pending.count,
        uncounted=pending.more,
        last_error=failed_last.last_error,
        last_error_at=failed_last.last_error_at,
        moved_at=max(shard.moved_at for shard in shards),
        fed_by=slowest.fed_by,
        mismatch=_mismatch(first),
        stale=next(filter(None, map(_stale, shards)), ""),
        shards=shards,
    )


def _pending(name: str, checkpoint: int, head: int, using: str) -> Gaps:
    if checkpoint < head and any(subscriber.name == name for subscriber in registry):
        return gaps.pending(name, using=using)
    return Gaps(subscriber=name, ranges=())


def _mismatch(shard: ShardStatus) -> str:
    """How the code of this process differs from what the checkpoint speaks of, so that it can't feed this row."""
    try:
        subscriber = registry[shard.subscriber]
    except UnknownSubscriber:
        return UNKNOWN
    if subscriber.version != shard.version:
        return f"is at version {subscriber.version} in the code and at {shard.version} in the database"
    return "wants other events than it was fed" if subscriber.types_hash != shard.types_hash else ""


def _stale(shard: ShardStatus) -> str:
    """Why what is there may differ from what this code would make of the log."""
    if shard.stale or _mismatch(shard):
        return shard.stale
    agrees = registry[shard.subscriber].agrees_with(shard.fingerprint)
    return "" if agrees else "its code has changed since its rows were made"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(query: str, using: str) -> list[dict[str, Any]]:
    with database.cursor(using) as cursor:
        cursor.row_factory = dict_row
        asked = {"most": MOST_COUNTED, "announce": advisory_locks.ANNOUNCE}
        return cursor.execute(query, asked, prepare=True).fetchall()
