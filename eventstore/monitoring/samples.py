"""Samples of how the system does, one a minute, kept for a day: what a small chart of the last hour is drawn from.

Workers and beat take them beside their heartbeats. Whoever comes first in a minute takes the sample of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import database
from eventstore.database import Statement
from eventstore.monitoring import queries

MINUTE = timedelta(minutes=1)

_figures: dict[str, str] = {"lag": queries.LAG_FIGURE, "parked": queries.PARKED_FIGURE}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """How it was in one minute: how many positions the log grew by since the sample before, how many `seconds` that was
    ago, and the figures by name.
    """

    minute: datetime
    seconds: float
    events: int
    figures: Mapping[str, float]


def register(**figures: str) -> None:
    """Keep these as well: each is a query of one number, and bounded. It may speak of `last.position` and
    `now.position`, between which lies what came since the sample before.
    """
    _figures.update(figures)


def take() -> None:
    """Take the sample of this minute, unless that was done, and drop what is older than a day and an hour."""
    pairs = ", ".join(f"'{name}', ({query})" for name, query in sorted(_figures.items()))
    database.pipeline(Statement(queries.TAKE_SAMPLE.format(figures=pairs)))


def last_hour(*, using: str = DEFAULT_DB_ALIAS) -> Sequence[Sample]:
    """The samples of the last 60 minutes, in order; minutes in which nobody took one are missing."""
    rows = database.pipeline(Statement(queries.SAMPLES), using=using)[0]
    return [
        Sample(
            minute=minute, seconds=seconds, events=events, figures=msgspec.json.decode(figures, type=dict[str, float])
        )
        for minute, seconds, events, figures in rows
    ]


def by_minute(samples: Sequence[Sample], now: datetime) -> list[Sample | None]:
    """One for each of the last 60 full minutes, the oldest first; None where there is none."""
    found = {each.minute: each for each in samples}
    newest = now.replace(second=0, microsecond=0)
    return [found.get(newest - MINUTE * ago) for ago in range(59, -1, -1)]
