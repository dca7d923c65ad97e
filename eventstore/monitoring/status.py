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
from eventstore.database import Statement, array
from eventstore.errors import UnknownSubscriber
from eventstore.models import SubscriberRow
from eventstore.monitoring import queries
from eventstore.monitoring.health import LATE, MOST_COUNTED, HealthIssue, duration
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank

_SEVERITY = (SubscriberRow.Status.RUNNING, SubscriberRow.Status.PAUSED, SubscriberRow.Status.HALTED)
"""Of a subscriber whose shards differ the worst status is shown, which is the last of these."""

UNKNOWN = "is unknown to this code"

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ShardStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one row of a subscriber stands: the whole of it, or one of its shards. What is counted is counted for all
    of its shards together.
    """

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
    failed: int
    retrying: int
    behind: int
    parked_since: datetime | None
    warnings: int
    pending: int


class SubscriberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one subscriber stands; of one that is split, where its slowest shard does.

    `failed` events are parked for an error, `retrying` of them are tried again by themselves, those `behind` wait for
    their key; the oldest was parked at `parked_since`. `pending` ones it wants lie above its slowest row; `uncounted`
    says that there are more.
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
    parked_since: datetime | None
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
    def late_since(self) -> datetime:
        """When the first event was recorded that it has yet to pass."""
        return timezone.now() - timedelta(seconds=self.lag_seconds)

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
        if self.needs_attention:
            return "parked"
        if self.mismatch or self.stale:
            return "stale"
        return "behind" if self.lag_seconds > LATE else self.status

    def health_issues(self) -> Iterator[HealthIssue]:
        if self.status == SubscriberRow.Status.HALTED:
            text = f"has halted: {self.last_error or 'no error was recorded'}"
            yield HealthIssue(self.name, text, kind="halted", since=self.last_error_at, sign="halted")
        elif self.status == SubscriberRow.Status.PAUSED:
            yield HealthIssue(self.name, "is paused", grave=False, sign="paused")
        elif self.failures:
            text = f"has failed {self.failures} times in a row: {self.last_error}"
            yield HealthIssue(self.name, text, since=self.moved_at, sign="failing")
        waiting = f"; {self.behind:,} more wait behind" if self.behind else ""
        if self.needs_attention:
            text = f"failed on {_many(self.needs_attention, 'event')}{waiting}"
            yield HealthIssue(self.name, text, kind="parked", since=self.parked_since, sign="parked")
        elif self.failed:
            text = f"tries {_many(self.failed, 'event')} again{waiting}"
            yield HealthIssue(self.name, text, grave=False, since=self.parked_since, sign="parked")
        if self.mismatch:
            yield HealthIssue(self.name, self.mismatch)
        if self.stale:
            yield HealthIssue(self.name, f"is stale: {self.stale}", grave=False)
        if self.lag_seconds > LATE or self.stalled:
            kind = "stalled" if self.stalled else ""
            text = f"is {self._how_far()} behind, for {self.lag_for}"
            yield HealthIssue(self.name, text, kind=kind, since=self.late_since, sign="behind")

    def _how_far(self) -> str:
        if self.pending:
            return f"{'over ' if self.uncounted else ''}{_many(self.pending, 'event')}"
        return _many(self.lag, "position")


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
    held_since: datetime | None = None
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
            yield HealthIssue("log", text, kind="horizon", since=self.held_since)


def subscriber_statuses(log: LogStatus | None = None, *, using: str = DEFAULT_DB_ALIAS) -> list[SubscriberStatus]:
    """Every subscriber that has a row, in the order they are fed. Who knows how the log stands says so."""
    head, horizon = (log.head, log.horizon) if log else (store.head(using=using), store.horizon(using=using))
    wanted = {subscriber.name: array(sorted(subscriber.types)) for subscriber in registry}
    asked = {"names": array(wanted), "types": list(wanted.values()), "horizon": horizon, "most": MOST_COUNTED}
    shards = [ShardStatus(**row) for row in _rows(queries.SUBSCRIBERS, asked, using)]
    return [
        _status(name, list(shards), head, horizon)
        for name, shards in groupby(shards, key=lambda shard: shard.subscriber)
    ]


def log_status(*, using: str = DEFAULT_DB_ALIAS) -> LogStatus:
    fenced = identity.is_fenced(using=using)
    (found,) = _rows(queries.LOG, {"announce": advisory_locks.ANNOUNCE}, using)
    wrong = store.set_back_text(found["head"], found.pop("highest"))
    return LogStatus(**found, fenced=fenced, set_back=wrong)


def unstarted(known: list[SubscriberStatus]) -> list[str]:
    """Subscribers of this code that have no row yet: they get one when a process first appends or follows."""
    names = {status.name for status in known}
    return [subscriber.name for subscriber in registry if subscriber.name not in names]


def _status(name: str, shards: Sequence[ShardStatus], head: int, horizon: int) -> SubscriberStatus:
    first, slowest = shards[0], min(shards, key=lambda shard: shard.checkpoint)
    failed_last = max(shards, key=lambda shard: shard.last_error_at or LONG_AGO)
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
        failed=first.failed,
        retrying=first.retrying,
        behind=first.behind,
        parked_since=first.parked_since,
        warnings=first.warnings,
        pending=min(first.pending, MOST_COUNTED),
        uncounted=first.pending > MOST_COUNTED,
        last_error=failed_last.last_error,
        last_error_at=failed_last.last_error_at,
        moved_at=max(shard.moved_at for shard in shards),
        fed_by=slowest.fed_by,
        mismatch=_mismatch(first),
        stale=next(filter(None, map(_stale, shards)), ""),
        shards=shards,
    )


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


def _rows(query: str, asked: Mapping[str, Any], using: str) -> list[dict[str, Any]]:
    return database.pipeline(Statement(query, asked, dict_row), using=using)[0]
