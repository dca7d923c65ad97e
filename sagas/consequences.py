"""What followed from events in the hands of sagas and effects, for the page of an event."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.db.models import Q

from eventstore.browsing.chain import ChainEvent, Consequence
from eventstore.codec import Recorded
from eventstore.errors import EventstoreError
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas.models import Delivery, OutboxCommand, Transition
from sagas.saga import Saga

MOST = 200


def heard(event: Recorded, chain: Sequence[ChainEvent]) -> Iterator[Consequence]:
    """The instances of sagas that heard of it, and what each of them made of it."""
    asked = [
        Q(saga=saga.name, key=str(key), position=event.position)
        for saga in registry
        if isinstance(saga, Saga) and event.type in saga.types
        for key in _keys(saga, event)
    ]
    if not asked:
        return
    for row in Transition.objects.filter(Q(*asked, _connector=Q.OR)).order_by("id")[:MOST]:
        steps = ", ".join(map(_words, row.steps)) or "nothing to do"
        yield Consequence(
            event_id=event.event_id,
            text=f"saga {row.saga} {row.key}: {steps}",
            page="sagas_history",
            args=(row.saga, row.key),
        )


def sent(event: Recorded, chain: Sequence[ChainEvent]) -> Iterator[Consequence]:
    """The commands that sagas sent in this chain, and what became of them."""
    roots = {each.root for each in chain if each.root}
    for row in OutboxCommand.objects.filter(root__in=roots).order_by("id")[:MOST]:
        yield Consequence(
            event_id=row.causation_id,
            text=f"{row.type} by saga {row.saga}",
            status=row.status,
            page="sagas_outboxcommand_change",
            args=(row.pk,),
            command_id=row.command_id,
        )


def delivered(event: Recorded, chain: Sequence[ChainEvent]) -> Iterator[Consequence]:
    """The deliveries of effects, and what became of them."""
    ids = {each.position: each.event_id for each in chain}
    wanted = Delivery.objects.filter(effect__in=registry.names(Rank.EFFECT), position__in=list(ids))
    for row in wanted.order_by("id")[:MOST]:
        yield Consequence(
            event_id=ids[row.position],
            text=f"effect {row.effect}{f', copy {row.copy}' if row.copy else ''}",
            status=row.status,
            page="sagas_delivery_change",
            args=(row.pk,),
        )


def _keys(saga: Saga[Any], event: Recorded) -> list[str]:
    """None of an event that can't be read."""
    with suppress(EventstoreError):
        return [str(key) for key in saga.keys(event)]
    return []


def _words(step: dict[str, Any]) -> str:
    return " ".join(str(step[name]) for name in ("step", "timer", "command") if step.get(name))
