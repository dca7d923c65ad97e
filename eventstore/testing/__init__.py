"""Given events, when a command, then events: the domain is tested without a database."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid5

from eventstore.aggregates import Aggregate, Command
from eventstore.codec import Recorded, encode
from eventstore.errors import StreamExists, StreamNotFound
from eventstore.events import Event
from eventstore.testing import queries

A = TypeVar("A", bound=Aggregate)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
STREAM = UUID(int=0)

LARGE = 2**18
"""Bytes of a table from which on it takes longer to delete its rows, and to read past the dead ones each time, than to
truncate it, which costs several milliseconds however few they are.
"""


class StandIn:
    """Facts as a test states them: a time, the aggregates there are, and what is drawn by chance."""

    def __init__(self, now: datetime, others: Iterable[Aggregate], drawn: int) -> None:
        self.now = now
        self._drawn = drawn
        self._others = {(type(other), other.id): other for other in others}

    def look_up(self, kind: type[A], stream_id: UUID, *, guarded: bool = False) -> A:
        found = self._others.get((kind, stream_id))
        if not isinstance(found, kind):
            raise StreamNotFound
        return found

    def random_bits(self, bits: int) -> int:
        return self._drawn


def given(kind: type[A], stream_id: UUID, *events: Event) -> A:
    """An aggregate as these events left it."""
    aggregate = kind(stream_id)
    for event in events:
        aggregate.evolve(event)
    return aggregate


def when(
    aggregate: Aggregate, command: Command, *, now: datetime = NOON, others: Iterable[Aggregate] = (), drawn: int = 0
) -> list[Event]:
    """The events that a command records; raises what the aggregate refuses with."""
    if aggregate.handlers[type(command)].creates and aggregate.exists:
        raise StreamExists
    if aggregate.handlers[type(command)].creates is False and not aggregate.exists:
        raise StreamNotFound
    aggregate.decide(command, StandIn(now, others, drawn))
    return aggregate.recorded


def as_recorded(*events: Event | Recorded) -> list[Recorded]:
    """Events as the log would tell them, one after the other; those that `recorded` made stay as they are."""
    return [
        each if isinstance(each, Recorded) else recorded(each, position=position)
        for position, each in enumerate(events, 1)
    ]


def recorded(event: Event, **meta: Any) -> Recorded:
    """An event with what the log knows of it, where a test wants that otherwise: the first of its stream, at noon."""
    position: int = meta.get("position", 1)
    identity = uuid5(STREAM, str(position))
    known: dict[str, Any] = {
        "position": position,
        "stream_id": STREAM,
        "category": "",
        "version": position,
        "type": event.stored,
        "schema_version": event.schema,
        "event_id": identity,
        "correlation_id": identity,
        "causation_id": None,
        "actor": "",
        "recorded_at": NOON,
    }
    return Recorded(data=encode(event), **known | meta)


@contextmanager
def only_handlers(*names: str) -> Iterator[None]:
    """Nobody but these subscribers follows the log in this process: projections, sagas and effects by their names.

    Whoever is left out is not fed, and goes on from where it stood; programs that a test starts are told by
    `EVENTSTORE_ONLY`. Raises `UnknownSubscriber`.
    """
    from django.test import override_settings

    from eventstore.subscriptions.registry import registry

    for name in names:
        registry[name]
    with override_settings(EVENTSTORE_ONLY=list(names)):
        yield


def reset() -> None:
    """Empty the tables of every app, the log too, as the owner: nobody else may, which is the point of the log.

    Leaves what migrations made (content types, permissions, where the log is), drops what rebuilds made. For tests
    alone.
    """
    from django.db import connections, transaction
    from psycopg import sql

    from eventstore import doorbell, repository
    from eventstore.roles import owner_alias
    from eventstore.subscriptions import read_your_writes
    from eventstore.subscriptions.pace import pace
    from eventstore.subscriptions.registry import registry

    using = owner_alias()
    kept = {"django_content_type", "auth_permission", "eventstore_identity"}
    tables = [name for name in connections[using].introspection.django_table_names() if name not in kept]
    with transaction.atomic(using), connections[using].cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '(^|_)generation_[0-9]+$'")
        for (schema,) in cursor.fetchall():
            cursor.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)).as_string())
        cursor.execute(queries.SIZES, [tables])
        sizes = dict(cursor.fetchall())
        cursor.execute("ALTER TABLE eventstore_event DISABLE TRIGGER eventstore_append_only")
        if large := [sql.Identifier(name) for name, size in sizes.items() if size > LARGE]:
            cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(large)).as_string())
        for name in sizes:
            cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)).as_string())
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE eventstore_event ENABLE TRIGGER eventstore_append_only")
        cursor.execute(queries.RESTART, [tables])
    registry.forget_rows()
    repository.aggregate_cache.forget()
    doorbell.forget()
    read_your_writes.bound.forget()
    pace.forget()
