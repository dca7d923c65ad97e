"""Consumers of the feed in other systems, as they report where they are."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from eventstore import conf, database, identity, store
from eventstore.monitoring import queries
from eventstore.monitoring.health import LATE, HealthIssue, duration

ADVICE = {
    "consumer errors": "Look at them under Consumers, and mend the cause in that system.",
    "consumer stalled": "Look whether it runs, and whether it can reach the site. If it shall be gone for good, delete "
    "it under Consumers.",
    "consumer epoch": "Find out which events it has dealt with, and have it go on from there in this log.",
}
"""What staff are advised to do about these, by kind."""


class ConsumerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one consumer stands. `lag_seconds` is the age of the first event that it has yet to deal with. Unless its
    position is `of_this_log`, it says nothing about this one. `errors` are texts of the other system, which can hold
    personal data: they are shown and never sent.
    """

    name: str
    by: str
    position: int
    horizon: int
    of_this_log: bool
    lag_seconds: float
    still_seconds: float
    silent_seconds: float
    errors: Sequence[str]
    reported_at: datetime
    moved_at: datetime

    @property
    def lag(self) -> int:
        """How many positions of the log lie before it, up to where that is final."""
        return max(0, self.horizon - self.position)

    @property
    def lag_for(self) -> str:
        return duration(self.lag_seconds)

    @property
    def silent_for(self) -> str:
        return duration(self.silent_seconds)

    @property
    def stalled(self) -> bool:
        """Whether it should move and has not for a while, or has not said so."""
        return min(self.lag_seconds, self.still_seconds) > conf.STALLED_AFTER_SECONDS.get()

    @property
    def state(self) -> str:
        """One word for how it is, for a badge."""
        if self.errors:
            return "failing"
        if not self.of_this_log:
            return "stale"
        return "behind" if self.lag_seconds > LATE else "running"

    def health_issues(self) -> Iterator[HealthIssue]:
        if self.errors:
            number = len(self.errors)
            yield HealthIssue(self.name, f"reports {number} error{'' if number == 1 else 's'}", kind="consumer errors")
        if not self.of_this_log:
            yield HealthIssue(self.name, "is at a position of another log than this one", kind="consumer epoch")
        elif self.stalled or self.lag_seconds > LATE:
            kind = "consumer stalled" if self.stalled else ""
            behind = f"is {self.lag:,} event{'' if self.lag == 1 else 's'} behind, for {self.lag_for}"
            yield HealthIssue(self.name, f"{behind}, and reported {self.silent_for} ago", kind=kind)


def report(name: str, position: int, epoch: UUID, errors: Sequence[str], *, by: str) -> datetime | None:
    """Note where a consumer is, and answer the time; None where it is somebody else's, and nothing is noted."""
    with database.cursor() as cursor:
        row = cursor.execute(queries.REPORT, [name, by, position, epoch, Jsonb(list(errors))]).fetchone()
    return row[0] if row else None


def consumer_statuses(*, horizon: int | None = None, using: str = DEFAULT_DB_ALIAS) -> list[ConsumerStatus]:
    """Every consumer that has reported. Who knows up to where the log is final says so."""
    if horizon is None:
        horizon = store.horizon(using=using)
    with database.cursor(using) as cursor:
        reading = cursor.connection.cursor(row_factory=class_row(ConsumerStatus))
        return reading.execute(queries.CONSUMERS, {"horizon": horizon}).fetchall()


def consumer_issues(*, horizon: int | None = None) -> Iterator[HealthIssue]:
    """Of a copy of the log nothing can be told, for consumers report to the original."""
    if not identity.is_fenced():
        for status in consumer_statuses(horizon=horizon):
            yield from status.health_issues()
