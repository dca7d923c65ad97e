"""What waits and what went wrong among sagas, timers and side effects. Counts go by partial indexes of what is
unfinished, and stop at a bound, so they cost the same however much was done before.
"""

import msgspec
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row

from eventstore import store
from eventstore.panels import LATE, MOST_COUNTED, Trouble, duration


class Processes(msgspec.Struct, frozen=True, kw_only=True):
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

    def troubles(self) -> list[Trouble]:
        found = []
        if self.commands_parked:
            found.append(Trouble("commands", f"{self.commands_parked:,} parked: each holds up its saga"))
        if (self.commands_age or 0) > LATE:
            found.append(Trouble("commands", f"the oldest has waited {duration(self.commands_age or 0)} to be sent"))
        if self.deliveries_in_doubt:
            found.append(Trouble("deliveries", f"{self.deliveries_in_doubt:,} in doubt: did they happen or not?"))
        if self.deliveries_failed:
            found.append(Trouble("deliveries", f"{self.deliveries_failed:,} failed for good"))
        if (self.deliveries_age or 0) > 6 * LATE:
            found.append(Trouble("deliveries", f"the oldest is overdue by {duration(self.deliveries_age or 0)}"))
        if (self.timers_next or 0) < -LATE:
            found.append(Trouble("timers", f"one should have fired {duration(-(self.timers_next or 0))} ago"))
        return found


# The conditions are those of the partial indexes, spelled so that the planner sees it.
_PROCESSES = """
    WITH commands AS (
        SELECT status, due_at FROM sagas_outgoing WHERE status IN ('pending', 'parked') LIMIT %(most)s
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


def processes(*, using: str = DEFAULT_DB_ALIAS) -> Processes:
    with store.cursor(using) as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(Processes))
        found = counting.execute(_PROCESSES, {"most": MOST_COUNTED}).fetchone()
    assert found is not None, "the statement always answers one row"
    return found
