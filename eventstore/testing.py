"""Given events, when a command, then events: the domain is tested without a database."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from eventstore.aggregates import Aggregate, Command
from eventstore.errors import StreamExists, StreamNotFound
from eventstore.events import Event

A = TypeVar("A", bound=Aggregate)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class StandIn:
    """Facts as a test states them: a time, and the aggregates there are."""

    def __init__(self, now: datetime, others: Iterable[Aggregate]) -> None:
        self.now = now
        self._others = {(type(other), other.id): other for other in others}

    def look_up(self, kind: type[A], stream_id: UUID) -> A:
        found = self._others.get((kind, stream_id))
        if not isinstance(found, kind):
            raise StreamNotFound
        return found


def given(kind: type[A], stream_id: UUID, *events: Event) -> A:
    """An aggregate as these events left it."""
    aggregate = kind(stream_id)
    for event in events:
        aggregate.evolve(event)
    return aggregate


def when(
    aggregate: Aggregate, command: Command, *, now: datetime = NOON, others: Iterable[Aggregate] = ()
) -> list[Event]:
    """The events that a command records; raises what the aggregate refuses with."""
    if aggregate.handlers[type(command)].creates and aggregate.exists:
        raise StreamExists
    if not aggregate.handlers[type(command)].creates and not aggregate.exists:
        raise StreamNotFound
    aggregate.decide(command, StandIn(now, others))
    return aggregate.recorded
