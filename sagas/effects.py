"""Side effects: functions that act on the world, each with a delivery promise. The log only makes them a row in the
ledger; `delivery` carries the rows out. They have no replay: whatever is rebuilt, no effect hears of it.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID, uuid5

import psycopg

from eventstore import doorbell
from eventstore.codec import Recorded
from eventstore.events import Event, Meta
from eventstore.models import SubscriberRow
from eventstore.subscribers import Rank, Subscriber, Work

E = TypeVar("E", bound=Event)

NAMESPACE = UUID("0a3c9c0e-7d3b-5f0a-8a55-1f1d7a0e6b41")
BELL = "effects"
TASK = "sagas.tasks.deliver"

_LEDGER = """INSERT INTO sagas_delivery (effect, position)
    SELECT %s, * FROM unnest(%s::bigint[]) ON CONFLICT DO NOTHING"""


class Promise(StrEnum):
    """Whether a duplicate or a loss is worse when a process dies while it acts."""

    AT_LEAST_ONCE = "at least once"
    AT_MOST_ONCE = "at most once"


AT_LEAST_ONCE, AT_MOST_ONCE = Promise.AT_LEAST_ONCE, Promise.AT_MOST_ONCE


class Effect(Subscriber):
    """One function with its event, its promise, and the read models that must have the event before it acts."""

    rank = Rank.EFFECT

    def __init__(
        self,
        name: str,
        event: type[Event],
        act: Callable[[Any, Meta], None],
        *,
        after: Sequence[str],
        delivery: Promise,
        retries: int,
    ) -> None:
        self.name, self.event, self.act = name, event, act
        self.after, self.delivery, self.retries = tuple(after), delivery, retries

    @property
    def types(self) -> frozenset[str]:
        return frozenset({self.event.stored})

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        return (recorded.stream_id,)

    def begins_at(self, head: int) -> int:
        return head

    def adopts(self, row: SubscriberRow) -> bool:
        return True

    def apply(self, cursor: psycopg.Cursor[Any], work: Sequence[Work]) -> None:
        cursor.execute(_LEDGER, [self.name, [each.recorded.position for each in work]], prepare=True)
        doorbell.remind_on_commit(BELL, TASK)

    def idempotency_key(self, meta: Meta) -> UUID:
        """The same for every attempt at one event: for a Message-ID, or for a provider that recognizes repeats."""
        return uuid5(NAMESPACE, f"{self.name}/{meta.event_id}")


def effect(
    name: str,
    *,
    on: type[E],
    after: Sequence[str] = (),
    delivery: Promise = AT_LEAST_ONCE,
    retries: int = 8,
) -> Callable[[Callable[[E, Meta], None]], Effect]:
    """Declare a side effect of an event. `after` names projections that must have the event first; `retries` bounds the
    attempts after the first, with back-off. It uses what the event says, never a read model's data.
    """

    def declare(act: Callable[[E, Meta], None]) -> Effect:
        return Effect(name, on, act, after=after, delivery=delivery, retries=retries)

    return declare
