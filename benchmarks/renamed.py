"""Whether customers really were renamed, compared in the database: the read table says what the events say, and every
sync subscriber has seen them.
"""

import psycopg

from benchmarks.clients import Done
from benchmarks.errors import promise
from benchmarks.rounds import Run

_RECORDED = """SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM eventstore_command
        WHERE id = event.causation_id AND first_position = position AND last_position = position))
    FROM eventstore_event AS event WHERE type = 'customer.renamed'"""

_DIFFERING = """SELECT count(*) FROM (
        SELECT DISTINCT ON (stream_id) stream_id, version, position, data->>'name' AS name FROM eventstore_event
        WHERE type IN ('customer.registered', 'customer.renamed') ORDER BY stream_id, version DESC) AS event
    FULL JOIN ordering_customerprofile AS row ON row.customer_id = event.stream_id
    WHERE (row.name, row.version, row.as_of) IS DISTINCT FROM (event.name, event.version, event.position)"""

_BEHIND = """SELECT count(*) FROM eventstore_subscriber
    WHERE mode = 'sync' AND checkpoint < (SELECT max(position) FROM eventstore_event)"""


class Judge:
    """Judges each turn of those who rename. Raises `BenchmarkFailed` unless what they did is recorded and readable."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._recorded, _ = self._count(_RECORDED)

    def __call__(self, run: Run, done: Done) -> None:
        """Clients warm up before a turn, so more may be recorded than was counted."""
        recorded, noted = self._count(_RECORDED)
        made, new = len(done.seconds), recorded - self._recorded
        promise(new >= made, f"{run.figure}: {made} commands were carried out, and {new} events recorded.")
        promise(recorded == noted, f"{run.figure}: of {recorded} events only {noted} have their command's id noted.")
        (differing,) = self._count(_DIFFERING)
        promise(not differing, f"{run.figure}: {differing} rows are not what their events say.")
        (behind,) = self._count(_BEHIND)
        promise(not behind, f"{run.figure}: {behind} sync subscribers have not seen all events.")
        self._recorded = recorded

    def _count(self, query: str) -> tuple[int, ...]:
        found = self._connection.execute(query).fetchone()
        assert found
        return tuple(found)
