"""What happened lately: incidents, and what operators did."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from psycopg.rows import class_row

from eventstore import database
from eventstore.database import Statement
from eventstore.monitoring import queries
from eventstore.monitoring.health import duration

SHOWN = 8
"""Incidents, and actions of operators, that are told of."""

MOST_OPEN = 200


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """An incident, with its kind as `word`, or an action, with its operation; what it is about is the `target`."""

    what: str
    id: int
    word: str
    target: str
    text: str
    by: str
    reason: str
    refused: bool
    at: datetime
    raised_at: datetime | None
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it is an incident that staff were told of and that lasts."""
        return self.raised_at is not None and self.ended_at is None

    @property
    def lasted(self) -> str:
        """How long an incident took that is over."""
        return duration((self.ended_at - self.at).total_seconds()) if self.ended_at else ""


def recent(paused: Sequence[str] = ()) -> list[Happening]:
    """The incidents that last, what happened last, and who paused these subscribers last; the latest first."""
    asked = {"open": MOST_OPEN, "most": SHOWN, "paused": list(paused)}
    rows: list[Happening] = database.pipeline(Statement(queries.RECENT, asked, class_row(Happening)))[0]
    return rows
