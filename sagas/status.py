"""What waits and what went wrong among sagas, timers and side effects. Counts go by partial indexes of what is
unfinished, and stop at a bound, so they cost the same however much was done before.
"""

import msgspec
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row

from eventstore import database
from eventstore.monitoring.health import LATE, MOST_COUNTED, HealthIssue, duration
from sagas import queries

SHOWN = 20
"""Errors that are told apart."""

ADVICE = {
    "commands": "Look at the error under Commands and mend the cause, then let them be sent again.",
    "in doubt": "Find out under Deliveries whether they happened, and say so.",
    "failed": "Look at the error under Deliveries and mend the cause, then let them be tried again.",
}
"""What staff are advised to do about these, by kind."""


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits. Ages are in seconds, of the oldest; None where there is nothing."""

    commands_pending: int
    commands_age: float | None
    commands_parked: int
    deliveries_waiting: int
    deliveries_age: float | None
    deliveries_failed: int
    deliveries_in_doubt: int
    timers_waiting: int
    timers_next: float | None

    def health_issues(self) -> list[HealthIssue]:
        found = []
        if self.commands_parked:
            text = f"{self.commands_parked:,} parked: each holds up its saga"
            found.append(HealthIssue("commands", text, kind="commands"))
        if (self.commands_age or 0) > LATE:
            found.append(
                HealthIssue("commands", f"the oldest has waited {duration(self.commands_age or 0)} to be sent")
            )
        if self.deliveries_in_doubt:
            text = f"{self.deliveries_in_doubt:,} in doubt: did they happen or not?"
            found.append(HealthIssue("deliveries", text, kind="in doubt"))
        if self.deliveries_failed:
            found.append(HealthIssue("deliveries", f"{self.deliveries_failed:,} failed for good", kind="failed"))
        if (self.deliveries_age or 0) > 6 * LATE:
            found.append(HealthIssue("deliveries", f"the oldest is overdue by {duration(self.deliveries_age or 0)}"))
        if (self.timers_next or 0) < -LATE:
            found.append(HealthIssue("timers", f"one should have fired {duration(-(self.timers_next or 0))} ago"))
        return found


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One error, and how many commands of a saga, or deliveries of an effect, it has in this state."""

    subscriber: str
    status: str
    error: str
    rows: int


def parked_commands() -> list[Fault]:
    """The most frequent errors of commands that are parked."""
    return _faults(queries.PARKED_COMMANDS)


def failed_deliveries() -> list[Fault]:
    """The most frequent errors of deliveries that have failed or are in doubt."""
    return _faults(queries.TROUBLED_DELIVERIES)


def process_status(*, using: str = DEFAULT_DB_ALIAS) -> ProcessStatus:
    with database.cursor(using) as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(ProcessStatus))
        found = counting.execute(queries.PROCESSES, {"most": MOST_COUNTED}).fetchone()
    assert found is not None, "the statement always answers one row"
    return found


def process_issues() -> list[HealthIssue]:
    return process_status().health_issues()


def _faults(query: str) -> list[Fault]:
    with database.cursor() as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(Fault))
        return counting.execute(query, {"most": MOST_COUNTED, "shown": SHOWN}).fetchall()
