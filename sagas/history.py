"""The histories of sagas: what an instance heard of, what it made of that, and what became of it.

Plain data, so that any front end can tell it. Nothing here costs more for the number of instances.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db.models import BooleanField, Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from eventstore import database
from eventstore.codec import encoder
from eventstore.models import ParkedEvent
from eventstore.monitoring.health import duration
from eventstore.subscriptions import parking
from eventstore.subscriptions.registry import registry
from sagas import descriptions, queries
from sagas.errors import UnknownInstance
from sagas.models import Attempt, Instance, OutboxCommand, Timer, Transition
from sagas.saga import Saga

SHOWN = 100
"""Transitions that are told at a time, and commands and timers that wait."""

MOST_TRIES = 500
"""Attempts in vain that are told of all the commands on a page."""

FEW = 2_000
"""Unfinished commands, or timers, up to which their instances are looked up from them."""

PENDING, PARKED = OutboxCommand.Status.PENDING, OutboxCommand.Status.PARKED


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt in vain, or that it was tried again, `by` somebody of the staff."""

    number: int
    at: datetime
    error: str
    by: str


class Field(NamedTuple):
    """A field of a state, as it is shown; `was` is what it was, if it has changed."""

    name: str
    value: str
    was: str | None

    @property
    def former(self) -> str:
        """What it was, where that was something."""
        return "" if self.was in {None, "", "null", "[]", "{}"} else str(self.was)


class SentCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command, and what became of it; `result` is the last position that it appended. `tries` are those in vain, and
    what staff had tried again.
    """

    id: int
    type: str
    status: str
    attempts: int
    error: str
    due_at: datetime
    created_at: datetime
    finished_at: datetime | None
    result: int | None
    data: dict[str, Any]
    tries: Sequence["Try"] = ()

    @property
    def fields(self) -> list[Field]:
        """What it says."""
        return [Field(name, plain(value), None) for name, value in self.data.items()]

    @property
    def took(self) -> str:
        """How long it was from when it was decided until it was through, in words."""
        seconds = (self.finished_at - self.created_at).total_seconds() if self.finished_at else 0.0
        return duration(seconds) if seconds >= 1 else ""


class ScheduledTimer(msgspec.Struct, frozen=True, kw_only=True):
    """A timer, and what became of it. Staff may have moved it since."""

    id: int
    name: str
    type: str
    status: str
    due_at: datetime
    fired_at: datetime | None


class HistoryStep(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a transition led to: a command `sent`, a timer `scheduled` (whose command is sent once
    it has fired), timers of a name that were cancelled, or the end.
    """

    step: str
    command: str = ""
    command_id: UUID | None = None
    timer: str = ""
    due_at: datetime | None = None
    sent: SentCommand | None = None
    scheduled: ScheduledTimer | None = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An event, the state that it led to, and what was to follow. `changed` has the former values of what changed, and
    `elapsed` the seconds since the entry before it, if there is one.
    """

    position: int
    type: str
    at: datetime
    version: int
    ended: bool
    state: dict[str, Any]
    changed: dict[str, Any]
    steps: Sequence[HistoryStep]
    elapsed: float | None = None

    @property
    def pause(self) -> str:
        """How long it was since the entry before it, in words; empty where that is not worth saying."""
        return duration(self.elapsed) if self.elapsed is not None and self.elapsed >= 1 else ""

    @property
    def fields(self) -> list[Field]:
        return [
            Field(name, plain(value), plain(self.changed[name]) if name in self.changed else None)
            for name, value in self.state.items()
        ]


class InstanceHistory(msgspec.Struct, frozen=True, kw_only=True):
    """An instance, as it is and as it came to be so. `commands` are those that are not through, `timers` those that
    wait, `parked` events it could not apply or has waiting behind one, `awaits` the types of events that it goes on
    with, as far as its saga says. There may be `earlier` entries.
    """

    id: int
    saga: str
    key: str
    version: int
    ended: bool
    position: int
    started_at: datetime
    moved_at: datetime
    state: dict[str, Any]
    commands: Sequence[SentCommand]
    timers: Sequence[ScheduledTimer]
    parked: int
    entries: Sequence[HistoryEntry]
    earlier: bool
    awaits: Sequence[str] = ()


def instances() -> QuerySet[Any]:
    """All of them, each with how many commands are `parked` and `pending` and how many `timers` wait."""
    return Instance.objects.annotate(
        parked=_many(OutboxCommand.objects.filter(status=PARKED)),
        pending=_many(OutboxCommand.objects.filter(status=PENDING)),
        timers=_many(Timer.objects.filter(status=Timer.Status.WAITING)),
    )


def unfinished(found: QuerySet[Any]) -> QuerySet[Any]:
    """Those of these instances that have something left to do: a command to send, or a timer that waits. Where very
    many have, the newest of them are soon found one by one.
    """
    with database.cursor() as cursor:
        many = cursor.execute(queries.MANY_OPEN, {"few": FEW}).fetchone() == (True,)
    condition = queries.IS_OPEN if many else queries.AMONG_OPEN
    return found.filter(RawSQL(condition, [], output_field=BooleanField()))  # noqa: S611 - a constant


def held_up(found: QuerySet[Any]) -> QuerySet[Any]:
    """Those of these instances that a parked command holds up."""
    return found.filter(Exists(_of_instance(OutboxCommand.objects.filter(status=PARKED))))


def instance_history(saga: str, key: str, *, before: int | None = None, most: int = SHOWN) -> InstanceHistory:
    """The last entries of an instance in the order in which it heard of the events, which after a retry is not that of
    the log; if a position is said, of what it heard before the event there, or before the next. Raises
    `UnknownInstance`.
    """
    instance = Instance.objects.filter(saga=saga, key=key).first()
    if instance is None:
        raise UnknownInstance(f"{saga} has no instance {key!r}.")
    of_it = {"saga": saga, "key": key}
    told = Transition.objects.filter(**of_it).order_by("-id")
    if before is not None and (later := told.filter(position__gte=before).order_by("position").first()):
        told = told.filter(id__lt=later.pk)
    # One more than is shown, for what has changed since then.
    found = list(told[: most + 1])[::-1]
    commands = OutboxCommand.objects.filter(**of_it, status__in=[PENDING, PARKED]).order_by("id")
    timers = Timer.objects.filter(**of_it, status=Timer.Status.WAITING).order_by("due_at", "id")
    found_commands = list(commands[:SHOWN])
    tries = _tries([row.pk for row in found_commands])
    names = ("id", *of_it, "version", "ended", "position", "started_at", "moved_at")
    return InstanceHistory(
        **{name: getattr(instance, name) for name in names},
        state=ordered(saga, instance.state),
        commands=[_sent(row, tries) for row in found_commands],
        timers=[_read(row, ScheduledTimer) for row in timers[:SHOWN]],
        parked=ParkedEvent.objects.filter(subscriber=saga, key=parking.text(key))[:SHOWN].count(),
        entries=_entries(found, most),
        earlier=len(found) > most,
        awaits=[] if instance.ended else _awaited(saga, instance.state),
    )


def ordered(saga: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state with its fields as the saga declares them; the database forgets their order."""
    declared = [name for name in _beginning(saga) if name in state]
    return {name: state[name] for name in dict.fromkeys((*declared, *state))}


def brief(state: Mapping[str, Any]) -> str:
    """A state in one line, without what is empty."""
    said = {name: value for name, value in state.items() if value not in (None, False, "", [], {})}
    return ", ".join(f"{name}={plain(value)}" for name, value in said.items())


def plain(value: Any) -> str:
    """A value as people read it in a line: text as it is, all else as JSON."""
    return value if isinstance(value, str) else encoder.encode(value).decode()


def _entries(found: Sequence[Transition], most: int) -> Sequence[HistoryEntry]:
    ids = {step["command_id"] for each in found for step in each.steps if "command_id" in step}
    rows = list(OutboxCommand.objects.filter(command_id__in=ids))
    tries = _tries([row.pk for row in rows])
    sent = {str(row.command_id): _sent(row, tries) for row in rows}
    scheduled = {str(row.command_id): _read(row, ScheduledTimer) for row in Timer.objects.filter(command_id__in=ids)}
    entries = []
    before = found[0].state if len(found) > most else _beginning(found[0].saga) if found else {}
    last = found[0].at if len(found) > most else None
    for each in found[-most:]:
        steps = [_step(step, sent, scheduled) for step in each.steps]
        kept = {name: getattr(each, name) for name in ("position", "type", "at", "version", "ended")}
        state = ordered(each.saga, each.state)
        elapsed = None if last is None else (each.at - last).total_seconds()
        entries.append(HistoryEntry(**kept, state=state, changed=_changed(before, state), steps=steps, elapsed=elapsed))
        before, last = state, each.at
    return entries


def _tries(ids: Sequence[int]) -> dict[int, list[Try]]:
    """The attempts in vain at commands, by the id of each."""
    found: dict[int, list[Try]] = {}
    told = Attempt.objects.filter(command__in=ids).order_by("-id")[:MOST_TRIES] if ids else []
    for each in reversed(list(told)):
        found.setdefault(each.command_id or 0, []).append(_read(each, Try))
    return found


def _sent(row: OutboxCommand, tries: Mapping[int, Sequence[Try]]) -> SentCommand:
    sent: SentCommand = _read(row, SentCommand)
    return msgspec.structs.replace(sent, tries=tries.get(row.pk, ()))


def _awaited(name: str, state: Mapping[str, Any]) -> list[str]:
    """Nothing where this code doesn't know the saga, or can't read the state."""
    saga = next((each for each in registry if each.name == name), None)
    if not isinstance(saga, Saga):
        return []
    try:
        return descriptions.awaited(name, msgspec.convert(state, saga.state, strict=False))
    except msgspec.ValidationError:
        return []


def _step(
    said: dict[str, Any], sent: Mapping[str, SentCommand], scheduled: Mapping[str, ScheduledTimer]
) -> HistoryStep:
    id_ = said.get("command_id", "")
    return msgspec.structs.replace(msgspec.convert(said, HistoryStep), sent=sent.get(id_), scheduled=scheduled.get(id_))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: before.get(name) for name, value in after.items() if name not in before or before[name] != value}


def _beginning(name: str) -> dict[str, Any]:
    """The state that an instance begins with, if this code knows its saga."""
    saga = next((each for each in registry if each.name == name), None)
    if not isinstance(saga, Saga):
        return {}
    state: dict[str, Any] = msgspec.json.decode(encoder.encode(saga.state()))
    return state


def _read(row: Any, shape: Any) -> Any:
    return msgspec.convert(row, shape, from_attributes=True)


def _of_instance(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.filter(saga=OuterRef("saga"), key=OuterRef("key"))


def _many(rows: QuerySet[Any]) -> Coalesce:
    counted = _of_instance(rows).order_by().values("saga").annotate(many=Count("pk")).values("many")
    return Coalesce(Subquery(counted), 0, output_field=IntegerField())
