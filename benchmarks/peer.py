"""The peer: `eventsourcing`, a library for event sourcing in Python, with its own PostgreSQL recorder."""

import os
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from benchmarks.clients import Job
from eventstore.context import new_id


class Order(Aggregate):
    """The same event declared the peer's way, with fields that are plain JSON values already."""

    @event("Placed")
    def __init__(self, placed: dict[str, Any]) -> None:
        self.placed = placed

    @event("PlacedAgain")
    def place_again(self, placed: dict[str, Any]) -> None:
        self.placed = placed


class Orders(Application[UUID]):
    """All defaults: the recorder keeps notifications in order by locking its table until the commit."""


def environment(url: str, *, create_table: bool) -> dict[str, str]:
    """The variables, as its documentation names them, that lead it to the database of this URL."""
    found = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(found["dbname"]),
        "POSTGRES_HOST": str(found.get("host", "")),
        "POSTGRES_PORT": str(found.get("port", 5432)),
        "POSTGRES_USER": str(found.get("user", "")),
        "POSTGRES_PASSWORD": str(found.get("password", "")),
        "CREATE_TABLE": "yes" if create_table else "no",
    }


def application(url: str, *, create_table: bool) -> Orders:
    """The application on the database of this URL."""
    return Orders(env=environment(url, create_table=create_table))


def make_table(url: str) -> None:
    """Its table, made once, by the owner of the database."""
    application(url, create_table=True).close()


class Save(Job):
    """One aggregate, saved with its new events in one transaction."""

    def __init__(self, client: int, events: int) -> None:
        super().__init__(client)
        from benchmarks.writers import placed

        self._application = application(os.environ["DATABASE_OWNER_URL"], create_table=False)
        self._placed: dict[str, Any] = msgspec.to_builtins(placed(new_id()))
        self._again = events - 1

    def once(self) -> None:
        order = Order(placed=self._placed)
        for _ in range(self._again):
            order.place_again(self._placed)
        self._application.save(order)
