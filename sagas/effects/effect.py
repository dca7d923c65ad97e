"""Side effects: functions that act on the world, each with a delivery guarantee. The log only makes them a row in the
ledger; `delivery` carries the rows out. They have no replay: whatever is rebuilt, no effect hears of it.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, get_args, get_type_hints
from uuid import UUID, uuid5

from eventstore import doorbell, handler_guard, repository
from eventstore.aggregates import Aggregate
from eventstore.codec import Recorded, stored_names
from eventstore.database import Cursor
from eventstore.events import Event, Meta
from eventstore.models import SubscriberRow
from eventstore.subscriptions.subscriber import Rank, Subscriber, Work
from sagas import conf
from sagas.effects import queries

A = TypeVar("A", bound=Aggregate)
E = TypeVar("E", bound=Event)

NAMESPACE = UUID("0a3c9c0e-7d3b-5f0a-8a55-1f1d7a0e6b41")
DELIVER_TASK = "sagas.tasks.deliver"


Done = Event | Sequence[Event] | None
"""What a side effect may answer: events that tell what it did."""


class DeliveryGuarantee(StrEnum):
    """Whether a duplicate or a loss is worse when a process dies while it acts."""

    AT_LEAST_ONCE = "at least once"
    AT_MOST_ONCE = "at most once"


AT_LEAST_ONCE, AT_MOST_ONCE = DeliveryGuarantee.AT_LEAST_ONCE, DeliveryGuarantee.AT_MOST_ONCE


class Effect(Subscriber):
    """One function with its event, its delivery guarantee, and the read models that must have the event before it acts.

    `queue` is the one whose workers carry it out, `at_once` how many of them at a time, so that one whose provider is
    slow leaves the others to the rest. `rate` is how often it acts in a second at most, all workers together.
    """

    rank, by_cursor = Rank.EFFECT, True

    def __init__(
        self,
        name: str,
        event: type[Event],
        act: Callable[[Any, Meta], Done],
        *,
        after: Sequence[str],
        delivery: DeliveryGuarantee,
        retries: int,
        queue: str | None,
        at_once: int,
        rate: float | None,
        version: int = 1,
        when: Callable[[Any], bool] | None = None,
    ) -> None:
        self.name, self.event, self._act, self.version, self._when = name, event, act, version, when
        self.after, self.delivery, self.retries = tuple(after), delivery, retries
        self._queue, self.at_once, self._rate = queue, at_once, rate

    def act(self, event: Event, meta: Meta) -> Done:
        """Act, once. Raises whatever the function raises; `ActsWhileApplying` within a handler that applies events."""
        handler_guard.refuse_to("carry out side effects")
        return self._act(event, meta)

    @cached_property
    def types(self) -> frozenset[str]:
        """That of its event, and former ones that are read as it."""
        return stored_names(self.event)

    @property
    def records(self) -> Collection[type[Event]]:
        """What its function is annotated to answer."""
        answer = get_type_hints(self._act).get("return")
        parts = [answer, *get_args(answer)]
        return [each for each in parts if isinstance(each, type) and issubclass(each, Event)]

    @property
    def queue(self) -> str | None:
        """As `EFFECTS_QUEUES` says, else as declared; None for the one that all share."""
        return conf.QUEUES.get().get(self.name, self._queue)

    @property
    def rate(self) -> float | None:
        """How often a second it acts at most, as `EFFECTS_RATES` says, else as declared; None for no bound."""
        rates: Mapping[str, float | str | None] = conf.RATES.get()
        return float(rates.get(self.name, self._rate) or 0) or None

    @property
    def bell(self) -> str:
        return f"effect {self.name}"

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        """An event that asks for nothing makes no row in the ledger."""
        part = self.part(recorded)
        asked = part is not None and (self._when is None or self._when(part.event))
        return (recorded.stream_id,) if asked else ()

    def part(self, recorded: Recorded) -> Recorded | None:
        """Its event as a stored one is read; None where one of a former name is read as others."""
        return next((part for part in recorded.parts if part.type == self.event.stored), None)

    def begins_at(self, head: int) -> int:
        return head

    def can_upgrade(self, row: SubscriberRow) -> bool:
        """Another event is followed by a higher version only: not by whichever process started last."""
        return self.version > row.version

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        cursor.put_off(queries.ENTER_DELIVERIES, [self.name, [each.recorded.position for each in work]])
        doorbell.remind_on_commit(self.bell, DELIVER_TASK, self.name, queue=self.queue)

    def ring(self) -> None:
        """Let a worker look at the ledger of this effect."""
        doorbell.ring(self.bell, DELIVER_TASK, self.name, queue=self.queue)

    def idempotency_key(self, meta: Meta) -> UUID:
        """The same for every attempt at one event: for a Message-ID, or for a provider that recognizes repeats.

        When staff have it done once more, deliberately, it is another one.
        """
        copy = _copy.get()
        return uuid5(NAMESPACE, f"{self.name}/{meta.event_id}" + (f"/{copy.number}" if copy else ""))

    def requested_at(self, meta: Meta) -> datetime:
        """The same for every attempt at one event: when it was recorded, for whatever is sent that holds a time.

        When staff have it done once more, deliberately, it is when they did.
        """
        copy = _copy.get()
        return copy.requested_at if copy else meta.recorded_at

    def look_up(self, kind: type[A], stream_id: UUID, meta: Meta, *, only: Collection[type[Event]] = ()) -> A:
        """An aggregate as it was when the event was recorded, the same for every attempt at it: what is sent again says
        the same. When staff have it done once more, deliberately, it is as it was when they did. Of a long stream
        `only` some events may be read: then it is no more than these tell.

        Raises `StreamNotFound`.
        """
        copy = _copy.get()

        def later(recorded: Recorded) -> bool:
            return recorded.position > meta.position and not (copy and recorded.recorded_at <= copy.requested_at)

        return repository.get_before(kind, stream_id, later, only=only)


def effect(
    name: str,
    *,
    on: type[E],
    after: Sequence[str] = (),
    delivery: DeliveryGuarantee = AT_LEAST_ONCE,
    retries: int = 8,
    queue: str | None = None,
    at_once: int = 1,
    rate: float | None = None,
    version: int = 1,
    when: Callable[[E], bool] | None = None,
) -> Callable[[Callable[[E, Meta], Done]], Effect]:
    """Declare a side effect of an event. It uses what the event says, never a read model's data.

    `after` names projections that must have the event first; `retries` bounds the attempts after the first, with
    back-off, and counts those in which a process died; `version` is raised with a change of the event that it follows;
    `when` tells, from what an event says, whether it asks for the effect at all. It raises `PermanentFailure` when
    trying again is no use, `TemporaryFailure` when it is and certainly nothing has happened; of any other error nobody
    knows whether it has. Events that it answers are recorded once, with what became of it.
    """

    def declare(act: Callable[[E, Meta], Done]) -> Effect:
        return Effect(
            name,
            on,
            act,
            after=after,
            delivery=delivery,
            retries=retries,
            queue=queue,
            at_once=at_once,
            rate=rate,
            version=version,
            when=when,
        )

    return declare


class Copy(NamedTuple):
    """What staff had done once more, counted from 1, and when they did."""

    number: int
    requested_at: datetime


_copy: ContextVar[Copy | None] = ContextVar("sagas_copy", default=None)


@contextmanager
def delivering(copy: Copy | None) -> Iterator[None]:
    """Which of its copies is being delivered; None for the first delivery, which nobody had to ask for."""
    token = _copy.set(copy)
    try:
        yield
    finally:
        _copy.reset(token)
