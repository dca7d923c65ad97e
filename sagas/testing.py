"""Given events, then steps: a saga is tested without a database. And with one, time that passes, and everything that
follows brought to its end in this process, without workers.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

import msgspec
from django.db.models import F

from eventstore.codec import Recorded
from eventstore.events import Event
from eventstore.handler_guard import applying
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.testing import as_recorded
from sagas import outbox, timers
from sagas.effects import delivery, preconditions
from sagas.models import Delivery, OutboxCommand, RateLimit, Timer
from sagas.saga import Saga
from sagas.steps import End, Step

S = TypeVar("S", bound=msgspec.Struct)

__all__ = ["Told", "bring_to_rest", "let_pass", "tell"]


class Told(msgspec.Struct, Generic[S], frozen=True):
    """What became of one instance: its state, and the steps that each event led to, none if it passed it by."""

    state: S
    steps: Sequence[Sequence[Step]]

    @property
    def ended(self) -> bool:
        return any(isinstance(step, End) for steps in self.steps for step in steps)

    @property
    def last(self) -> Sequence[Step]:
        """The steps that the last event led to."""
        return self.steps[-1]


def tell(saga: type[Saga[S]], *events: Event | Recorded) -> Told[S]:
    """Let one instance hear of these events, all of which concern it, one after the other.

    As in earnest, those that the saga doesn't want pass it by, and so do all before one that starts it and after its
    end; and a handler may not act. What it raises gets out.
    """
    one, state, steps = saga(), saga.state(), list[list[Step]]()
    begun = ended = False
    for recorded in as_recorded(*events):
        steps.append([])
        for part in recorded.parts:
            handler = one.handlers.get(part.type) if one.key(part) is not None else None
            begun = begun or (handler is not None and handler.starts)
            with applying():
                steps[-1] += one.react(state, part) if handler and begun and not ended else []
            ended = ended or any(isinstance(step, End) for step in steps[-1])
    return Told(state, steps)


def let_pass(time: timedelta) -> None:
    """As if so much time had passed for timers, for commands that wait to be sent again, and for side effects: what is
    due by then is due now. The clock that aggregates are told is another matter: it shows the same time.
    """
    Timer.objects.filter(status=Timer.Status.WAITING).update(due_at=F("due_at") - time)
    OutboxCommand.objects.filter(status=OutboxCommand.Status.PENDING).update(due_at=F("due_at") - time)
    unfinished = Delivery.objects.filter(status__in=["pending", "waiting", "running"]).exclude(due_at=preconditions.FAR)
    unfinished.update(due_at=F("due_at") - time, lease_until=F("lease_until") - time)
    RateLimit.objects.update(free_at=F("free_at") - time)


def bring_to_rest(*, deliver: bool = True) -> None:
    """Feed, fire, send and, unless told otherwise, carry out whatever is due, until nothing is left, in this process.

    Only what this process runs: see `eventstore.testing.only_handlers`.
    """
    registry.make_rows()
    while _once(deliver):
        pass


def _once(deliver: bool) -> bool:
    """Everything once; whether there was anything to do."""
    moved: list[Any] = [feeding.feed([subscriber]).moved for subscriber in registry.here()]
    moved += [timers.fire_all(), outbox.send_next()]
    if deliver:
        moved += [delivery.deliver_one(effect) for effect in delivery.effects_here()]
    return any(moved)
