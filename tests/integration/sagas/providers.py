"""Whom an effect calls, as a test wants it to answer."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from eventstore.events import Event, Meta
from eventstore.subscriptions import feeding
from sagas.effects import preconditions
from sagas.effects.delivery import deliver_one
from sagas.effects.effect import Done, Effect, effect
from sagas.models import Delivery
from tests.integration.sagas.parcels import following


class Provider:
    """Notes the idempotency key of every call, and answers or raises what it is told to."""

    def __init__(self, on: type[Event], **declared: Any) -> None:
        self.calls: list[UUID] = []
        self.times: list[float] = []
        self.answer: Any = None
        self.effect: Effect = effect("notify", on=on, **declared)(self._act)

    def attempt(self) -> bool:
        """One attempt at what there is, whenever it is due."""
        feeding.catch_up([self.effect])
        Delivery.objects.exclude(due_at=preconditions.FAR).update(due_at="2000-01-01T00:00:00Z")
        return deliver_one(self.effect)

    def _act(self, event: Event, meta: Meta) -> Done:
        self.calls.append(self.effect.idempotency_key(meta))
        self.times.append(time.monotonic())
        answer: Any = self.answer(event) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class Refusing(BaseEmailBackend):
    """A mail server that says whom it doesn't know."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        raise OSError(f"550 {email_messages[0].to[0]} is unknown")


class Deploying:
    """Deploys effects as a test declares them, until it is over."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, on: type[Event], **declared: Any) -> Provider:
        provider = Provider(on, **declared)
        self._stack.enter_context(following(provider.effect))
        return provider


@contextmanager
def deploying() -> Iterator[Deploying]:
    with ExitStack() as stack:
        yield Deploying(stack)


def the_one() -> Delivery:
    """The only row of the ledger."""
    return Delivery.objects.get()


def window(begins: timedelta, ends: timedelta) -> str:
    """As it is configured, from now on."""
    now = timezone.now()
    return f"{now + begins:%H:%M}-{now + ends:%H:%M}"
