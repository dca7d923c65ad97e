"""What a type checker can't see about sagas and effects, judged at start-up."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, register

from eventstore.subscribers import Rank, registry
from sagas.effects import Effect
from sagas.saga import Saga


@register()
def sagas(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for subscriber in registry:
        if isinstance(subscriber, Saga):
            found.extend(_saga(subscriber))
        if isinstance(subscriber, Effect):
            found.extend(_effect(subscriber))
    return found


def _saga(saga: Saga[Any]) -> Iterable[CheckMessage]:
    if not any(handler.starts for handler in saga.handlers.values()):
        yield Error(f"No event starts the saga {saga.name}.", id="sagas.E001")
    for event, count in Counter(handler.event for handler in saga.declared_handlers()).items():
        if count > 1:
            yield Error(f"{saga.name} has {count} handlers of {event.__name__}.", id="sagas.E002")
    for handler in saga.handlers.values():
        if handler.key not in handler.event.__struct_fields__:
            yield Error(f"{saga.name}: {handler.key!r} is no field of {handler.event.__name__}.", id="sagas.E003")


def _effect(effect: Effect) -> Iterable[CheckMessage]:
    projections = {subscriber.name for subscriber in registry if subscriber.rank is Rank.PROJECTION}
    for name in effect.after:
        if name not in projections:
            yield Error(f"{effect.name} waits for {name!r}, which is no projection.", id="sagas.E004")
