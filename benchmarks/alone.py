"""What one client takes when nobody disturbs it: time, the work of both processes, and what they say to each other."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import psutil
import psycopg

from benchmarks.clients import Job
from benchmarks.wire import Trip, traced

Connection = psycopg.Connection[Any]


class Passed(NamedTuple):
    """What it took to do a job so many times in a row, and what was said to the database meanwhile, if that was written
    down.
    """

    times: int
    seconds: float
    cpu: float
    server_cpu: float | None
    trips: Sequence[Trip] = ()

    def each(self) -> dict[str, float]:
        """Milliseconds that one time took, and that this process and that of PostgreSQL worked on it."""
        took = {"ms": self.seconds, "cpu_ms": self.cpu}
        if self.server_cpu is not None:
            took["server_cpu_ms"] = self.server_cpu
        return {name: seconds * 1e3 / self.times for name, seconds in took.items()}

    @property
    def statements(self) -> float:
        """Of one time, BEGIN and COMMIT among them."""
        return sum(len(trip.statements) for trip in self.trips) / self.times

    @property
    def round_trips(self) -> float:
        """Of one time."""
        return len(self.trips) / self.times

    @property
    def transactions(self) -> float:
        """That ended, of one time."""
        return sum(trip.ended for trip in self.trips) / self.times


def repeat(job: Job, times: int, connection: Connection) -> Passed:
    """Do a job that uses this connection, so many times."""
    server, cpu, began = _server_cpu(connection), time.process_time(), time.monotonic()
    for _ in range(times):
        job.once()
    seconds, cpu, later = time.monotonic() - began, time.process_time() - cpu, _server_cpu(connection)
    return Passed(times, seconds, cpu, later - server if server is not None and later is not None else None)


def trace(job: Job, times: int, connection: Connection) -> Passed:
    """The same, with what is said over the connection, which takes longer."""
    trips = list[Trip]()
    with traced(connection, trips):
        passed = repeat(job, times, connection)
    return passed._replace(trips=trips)


def _server_cpu(connection: Connection) -> float | None:
    """Seconds that the process at the other end has worked, if that is on this machine."""
    with suppress(psutil.Error):
        server = psutil.Process(connection.info.backend_pid)
        if server.name() == "postgres":
            return float(sum(server.cpu_times()[:2]))
    return None
