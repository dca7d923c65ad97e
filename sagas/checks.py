"""What a type checker can't see about sagas and effects, judged at start-up."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, register

from eventstore.conf import Setting, faults
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas import conf
from sagas.effects import send_windows
from sagas.effects.effect import Effect
from sagas.refusal import CommandRefused
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
    yield from _refusals(saga)
    yield from _former(saga)
    for handler in saga.handlers.values():
        if handler.key not in handler.event.__struct_fields__:
            yield Error(f"{saga.name}: {handler.key!r} is no field of {handler.event.__name__}.", id="sagas.E003")


def _refusals(saga: Saga[Any]) -> Iterable[CheckMessage]:
    for kind, count in Counter(kind for kind, _ in saga.declared_refusals()).items():
        if count > 1:
            yield Error(f"{saga.name} answers the refusal of {kind.__name__} {count} times.", id="sagas.E002")
    if any(handler.event is CommandRefused for handler in saga.declared_handlers()):
        yield Error(f"{saga.name} has a handler of CommandRefused; on_refusal names the commands.", id="sagas.E011")


def _former(saga: Saga[Any]) -> Iterable[CheckMessage]:
    versions = [saga.version, *(kind.version for kind in saga.former)]
    if len(set(versions)) < len(versions) or max(versions) > saga.version:
        yield Error(f"The former versions of {saga.name} are not each another one below its own.", id="sagas.E005")
    if any(kind.name != saga.name for kind in saga.former):
        yield Error(f"A former version of {saga.name} has another name.", id="sagas.E006")


@register()
def configured(**_: Any) -> list[CheckMessage]:
    """What settings say of effects and sagas means something."""
    found: list[CheckMessage] = [Error(fault, id="sagas.E010") for fault in faults(conf.SETTINGS)]
    if found:
        return found
    saga_names, effect_names = _names(Rank.SAGA), _names(Rank.EFFECT)
    found += [
        Error(f"{setting.name} names {name!r}, which is no {kind}.", id="sagas.E007")
        for setting, kind, names in (
            (conf.BEGIN_AFTER, "saga", saga_names),
            (conf.QUEUES, "effect", effect_names),
            (conf.RATES, "effect", effect_names),
        )
        for name in setting.get()
        if name not in names
    ]
    found += [
        Error(f"EFFECTS_WINDOWS names {pattern!r}, which fits no effect.", id="sagas.E007")
        for pattern in conf.WINDOWS.get()
        if not any(send_windows.fits(pattern, name) for name in effect_names)
    ]
    numbers: tuple[tuple[Setting[Any], type[int] | type[float]], ...] = ((conf.BEGIN_AFTER, int), (conf.RATES, float))
    found += [
        Error(f"{setting.name} says {name}={value}, which is no number.", id="sagas.E008")
        for setting, number in numbers
        for name, value in setting.get().items()
        if not _is_number(value, number)
    ]
    for pattern, text in conf.WINDOWS.get().items():
        try:
            send_windows.parse(text)
        except ValueError:
            found.append(
                Error(f"EFFECTS_WINDOWS says {pattern}={text}; a window is such as 08:00-21:00.", id="sagas.E009")
            )
    return found


def _names(rank: Rank) -> set[str]:
    return {subscriber.name for subscriber in registry if subscriber.rank is rank}


def _is_number(value: object, kind: type[int] | type[float]) -> bool:
    try:
        return kind(str(value)) >= 0
    except ValueError:
        return False


def _effect(effect: Effect) -> Iterable[CheckMessage]:
    projections = _names(Rank.PROJECTION)
    for name in effect.after:
        if name not in projections:
            yield Error(f"{effect.name} waits for {name!r}, which is no projection.", id="sagas.E004")
