"""The installation that the drill is about: a log, a read model that a worker feeds, and ways to wait for them.

Imported once Django knows the database.
"""

import time
from collections.abc import Callable
from random import Random
from typing import Any, LiteralString, NamedTuple

import psycopg

from benchmarks.environment import Environment, Variables
from benchmarks.errors import promise
from benchmarks.history import EVENTS_AN_ORDER, events_of
from eventstore import store
from eventstore.models import SubscriberRow
from eventstore.operations.base import Operation, perform
from projections.models import Generation

NAME = "order-summaries"
BY = "drill"


class Site(NamedTuple):
    """Its servers, and the variables with which a process gets to its database."""

    environment: Environment
    variables: Variables

    def as_owner(self) -> psycopg.Connection:
        return psycopg.connect(self.variables["DATABASE_OWNER_URL"], autocommit=True)

    def as_application(self) -> psycopg.Connection:
        return psycopg.connect(self.variables["DATABASE_URL"], autocommit=True)


def until(condition: Callable[[], bool], seconds: float, broken: str, *, pause: float = 0.005) -> None:
    """Waits for a condition, looking every `pause` seconds.

    Raises `BenchmarkFailed` with these words when it is not met in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        promise(time.monotonic() < deadline, f"Not within {seconds:.0f} s: {broken}")
        time.sleep(pause)


def select(connection: psycopg.Connection, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
    return connection.execute(query, parameters).fetchall()


def row() -> SubscriberRow:
    return SubscriberRow.objects.get(pk=NAME)


def caught_up() -> bool:
    return row().checkpoint >= store.head()


def fold(asked: Operation, status: str) -> tuple[Generation, float]:
    """Ask for a generation as staff do; answers it and the seconds it took, once workers have brought it so far."""
    began = time.monotonic()
    perform(asked, by=BY)
    generation = Generation.objects.filter(projection=asked.target).latest("id")
    while generation.status == Generation.Status.BUILDING:
        time.sleep(0.01)
        generation.refresh_from_db()
    seconds = time.monotonic() - began
    promise(generation.status == status, f"{generation} is {generation.status}, not {status}: {generation.error}")
    return generation, seconds


def sell(events: int, random: Random) -> None:
    """Record what happens to new orders, an event at a time."""
    for number in range(events // EVENTS_AN_ORDER):
        for category, stream_id, version, event in events_of(number, random):
            store.append(store.Changes(stream_id=stream_id, category=category, expected=version - 1, events=[event]))
