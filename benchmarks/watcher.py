"""Who looks when an event can be read: a connection of its own, in READ COMMITTED, that asks again and again.

Each client renames a few customers in turn, so the versions of their rows tell which of its events can be read. All
rows are asked for in one statement, every millisecond; an event counts as readable when the answer has arrived.
"""

import time
from concurrent.futures import Future
from itertools import pairwise
from typing import LiteralString
from uuid import UUID, uuid5

import psycopg

from benchmarks.clients import Done
from benchmarks.errors import BenchmarkFailed
from benchmarks.rounds import percentiles

EACH = 20  # customers of a client
PAUSE = 0.001
PATIENCE = 60.0  # seconds for the last event to be readable

_VERSIONS = "SELECT customer_id, version FROM ordering_customerprofile WHERE customer_id = ANY(%s)"
_RECORDED = "SELECT stream_id, max(version) FROM eventstore_event WHERE stream_id = ANY(%s) GROUP BY stream_id"

_CUSTOMERS = UUID("6f8f3c0e-4a0c-4c86-9d5c-3d6f1f6f2a10")

Versions = dict[UUID, int]


def customer_of(turn: int, client: int, number: int) -> UUID:
    """Whom a client renames with its event of this number, in this turn: no stream grows long."""
    return uuid5(_CUSTOMERS, f"{turn} {client} {number % EACH}")


def version_of(number: int) -> int:
    """The version that the event of this number gives to its customer, whose first one is the registration."""
    return number // EACH + 2


class Watcher:
    """Watches what that many clients do, turn by turn."""

    def __init__(self, url: str, count: int) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._count = count
        self._customers: list[UUID] = []
        self._looked_at: list[float] = []

    def watch(self, number: int, turn: Future[Done]) -> list[float]:
        """Watches until all that a turn recorded can be read; answers how many seconds after its commit each event was.

        Raises `BenchmarkFailed` when something is not readable in time.
        """
        customers = [[customer_of(number, client, each) for each in range(EACH)] for client in range(self._count)]
        self._customers = [customer for some in customers for customer in some]
        versions, readable = self._ask(_VERSIONS), dict[tuple[UUID, int], float]()
        while not turn.done():
            versions = self._look(versions, readable)
        done, recorded = turn.result(), self._ask(_RECORDED)
        deadline = time.monotonic() + PATIENCE
        while versions != recorded:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"Events cannot be read {PATIENCE:.0f} s after they were recorded.")
            versions = self._look(versions, readable)
        lags = list[float]()
        for client, commits in enumerate(done.moments):
            renamed = sum(recorded[customer] - 1 for customer in customers[client])
            for event, committed in enumerate(commits, renamed - len(commits)):
                seen = readable[customer_of(number, client, event), version_of(event)]
                lags.append(max(0.0, seen - committed))  # who waits for the answer to COMMIT may hear of it later
        return lags

    def resolution(self) -> str:
        """How far apart the looks were."""
        p50, p99 = percentiles([after - before for before, after in pairwise(self._looked_at)])
        return f"{p50:.1f} ms, in 1 % of cases more than {p99:.1f} ms"

    def _look(self, before: Versions, readable: dict[tuple[UUID, int], float]) -> Versions:
        """What can be read after a pause; notes this moment for each event that could not be read before."""
        time.sleep(PAUSE)
        versions, now = self._ask(_VERSIONS), time.monotonic()
        self._looked_at.append(now)
        for customer, version in versions.items():
            for each in range(before.get(customer, 0) + 1, version + 1):
                readable[customer, each] = now
        return versions

    def _ask(self, query: LiteralString) -> Versions:
        return dict(self._connection.execute(query, [self._customers], prepare=True).fetchall())
