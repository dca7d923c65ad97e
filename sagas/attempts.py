"""What was tried in vain, and what staff had tried again: kept beside commands and deliveries, which themselves only
know how they stand.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from eventstore import context, database
from sagas import queries
from sagas.models import Attempt

SHOWN = 100
"""Attempts that are told of one row, the last ones."""


class LastRetry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows that staff had tried again in the last go; those that are neither `done` nor `open` have
    failed again.
    """

    batch: UUID
    at: datetime
    by: str
    asked: int
    done: int
    open: int

    @property
    def closed(self) -> int:
        return self.asked - self.open

    @property
    def failed(self) -> int:
        return self.asked - self.done - self.open


def note_retry(field: str, ids: Iterable[int], *, by: str) -> None:
    """Note beside commands or deliveries, as the `field` says, that somebody has them tried again, all in one go."""
    batch = context.new_id()
    Attempt.objects.bulk_create([Attempt(**{f"{field}_id": id_}, batch=batch, by=by) for id_ in ids], batch_size=1000)


def last_retry(field: str) -> LastRetry | None:
    """The last go with commands or deliveries, as the `field` says; None where there never was one."""
    query = queries.LAST_RETRY_OF_COMMANDS if field == "command" else queries.LAST_RETRY_OF_DELIVERIES
    with database.cursor() as cursor:
        return cursor.connection.cursor(row_factory=class_row(LastRetry)).execute(query).fetchone()


def attempts_of(field: str, id_: int) -> list[Attempt]:
    """The last attempts at one command or delivery, and what staff did about it, in the order of time."""
    return list(Attempt.objects.filter(**{field: id_}).order_by("-id")[:SHOWN])[::-1]
