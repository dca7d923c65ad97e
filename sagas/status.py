"""What waits and what went wrong among sagas, timers and side effects. Counts go by partial indexes of what is
unfinished, and stop at a bound, so they cost the same however much was done before.
"""

import msgspec
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row

from eventstore import database
from eventstore.monitoring.health import LATE, MOST_COUNTED, HealthIssue, duration

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


# The conditions are those of the partial indexes, spelled so that the planner sees it.
_PROCESSES = """
    WITH commands AS (
        SELECT status, due_at FROM sagas_outbox WHERE status IN ('pending', 'parked') LIMIT %(most)s
    ), open AS (
        SELECT due_at FROM sagas_delivery WHERE status IN ('pending', 'waiting', 'running')
        ORDER BY due_at LIMIT %(most)s
    ), wrong AS (
        SELECT status FROM sagas_delivery WHERE status IN ('failed', 'in doubt') LIMIT %(most)s
    ), timers AS (
        SELECT due_at FROM sagas_timer WHERE status = 'waiting' ORDER BY due_at LIMIT %(most)s
    )
    SELECT
        (SELECT count(*) FROM commands WHERE status = 'pending') AS commands_pending,
        (SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float FROM commands WHERE status = 'pending')
            AS commands_age,
        (SELECT count(*) FROM commands WHERE status = 'parked') AS commands_parked,
        (SELECT count(*) FROM open) AS deliveries_waiting,
        (SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float FROM open) AS deliveries_age,
        (SELECT count(*) FROM wrong WHERE status = 'failed') AS deliveries_failed,
        (SELECT count(*) FROM wrong WHERE status = 'in doubt') AS deliveries_in_doubt,
        (SELECT count(*) FROM timers) AS timers_waiting,
        (SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float FROM timers) AS timers_next"""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One error, and how many commands of a saga, or deliveries of an effect, it has in this state."""

    subscriber: str
    status: str
    error: str
    rows: int


_FAULTS = """SELECT subscriber, status, error, count(*) AS rows FROM ({rows} LIMIT %(most)s) AS faults
    GROUP BY subscriber, status, error ORDER BY count(*) DESC, subscriber, status, error LIMIT %(shown)s"""
_PARKED = _FAULTS.format(rows="SELECT saga AS subscriber, status, error FROM sagas_outbox WHERE status = 'parked'")
_TROUBLED = _FAULTS.format(
    rows="SELECT effect AS subscriber, status, error FROM sagas_delivery WHERE status IN ('failed', 'in doubt')"
)


def parked_commands() -> list[Fault]:
    """The most frequent errors of commands that are parked."""
    return _faults(_PARKED)


def failed_deliveries() -> list[Fault]:
    """The most frequent errors of deliveries that have failed or are in doubt."""
    return _faults(_TROUBLED)


def process_status(*, using: str = DEFAULT_DB_ALIAS) -> ProcessStatus:
    with database.cursor(using) as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(ProcessStatus))
        found = counting.execute(_PROCESSES, {"most": MOST_COUNTED}).fetchone()
    assert found is not None, "the statement always answers one row"
    return found


def process_issues() -> list[HealthIssue]:
    return process_status().health_issues()


def _faults(query: str) -> list[Fault]:
    with database.cursor() as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(Fault))
        return counting.execute(query, {"most": MOST_COUNTED, "shown": SHOWN}).fetchall()
