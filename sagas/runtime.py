"""What a batch of events does to the instances of a saga: their states, what they send, and the story of it.

Everything that one batch decides is written by one statement, where the subscriber's checkpoint is moved.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import dropwhile
from typing import Any, Protocol
from uuid import uuid5

import msgspec
import structlog

from eventstore.aggregates import Command
from eventstore.codec import Recorded, encoder
from eventstore.database import Cursor, Statement
from eventstore.error_texts import misfit
from eventstore.subscriptions.subscriber import Work
from sagas import queries
from sagas.errors import UnreadableState
from sagas.models import Timer
from sagas.steps import NAMESPACE, After, At, Cancel, End, Send, Step

log = structlog.get_logger(__name__)

SOON = timedelta(minutes=1)
"""A timer that is due sooner after its event goes on with the event's chain, and may go in circles with it. After that
a chain begins anew, so that a saga may set itself a timer each day, for years.
"""


class InstanceRow(msgspec.Struct):
    """An instance as it is loaded and saved."""

    saga: str
    key: str
    state: Any
    version: int
    ended: bool
    position: int
    history_begins_after: int = 0


class Rules(Protocol):
    """What one version of a saga says: whose instance an event concerns, and what follows from it."""

    name: str
    version: int
    state: type[Any]

    def begins(self, key: str, recorded: Recorded) -> bool:
        """Whether one of the events that a stored one is read as begins this instance."""

    def rules(self, version: int) -> "Rules":
        """Those under which an instance goes on that was last moved by this version."""

    def key(self, recorded: Recorded) -> str | None:
        """The instance that an event concerns; None if these rules don't want it."""

    def react(self, state: Any, recorded: Recorded) -> Iterable[Step]:
        """What follows from an event in this state, which changes on the way."""


def loading(saga: Rules, work: Sequence[Work]) -> Statement:
    """What a `Batch` asks: the instances that these events concern, each with what it has heard of them."""
    positions = [each.recorded.position for each in work]
    asked = {
        "saga": saga.name,
        "keys": list(dict.fromkeys(str(each.key) for each in work)),
        "first": min(positions, default=0),
        "last": max(positions, default=0),
    }
    return Statement(queries.LOAD_INSTANCES, asked)


def read_state(saga: Rules, state: Any, version: int) -> Any:
    """The state of an instance, as the rules read it that it follows. Raises `UnreadableState`."""
    rules = saga.rules(version)
    try:
        return msgspec.convert(msgspec.json.decode(state) if isinstance(state, str) else state, rules.state)
    except msgspec.ValidationError as error:
        told = f"Version {rules.version} of {saga.name} can't read version {version}: {misfit(error)}"
        raise UnreadableState(told) from error


class Reactions:
    """What events do to the instances that are at hand, and all that follows from it; none of it is saved or done here.

    Whether an instance has heard of an event is asked of its history. Its position would not tell: an event whose key
    could not be told waits under its stream while those of other streams go on, and is heard after them.
    """

    def __init__(self, saga: Rules, rows: dict[str, InstanceRow]) -> None:
        self.saga, self.rows = saga, rows
        self.heard: set[tuple[str, int]] = set()
        self.touched: set[str] = set()
        self.story: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.armed: list[dict[str, Any]] = []
        self.cancelled: list[dict[str, str]] = []

    def react(self, key: str, recorded: Recorded) -> None:
        """Let one instance hear of an event: unless it has, or has ended, or its rules don't want it."""
        row = self._row(key, recorded)
        if row is None or row.ended or self._has_heard(row, recorded.position):
            return
        rules = self.saga.rules(row.version)
        parts = [part for part in recorded.parts if rules.key(part) == key]
        if not row.position:
            parts = list(dropwhile(lambda part: not rules.begins(key, part), parts))
        if not parts:
            return
        steps: list[dict[str, Any]] = []
        for part in parts:
            if not row.ended:
                for step in rules.react(row.state, part):
                    steps.append(self._take(row, step, recorded, len(steps)))
        row.position, row.version = max(row.position, recorded.position), rules.version
        self.heard.add((key, recorded.position))
        self.touched.add(key)
        self.story.append(
            {
                "saga": row.saga,
                "key": key,
                "position": recorded.position,
                "type": recorded.type,
                "version": row.version,
                "state": msgspec.Raw(encoder.encode(row.state)),
                "ended": row.ended,
                "steps": steps,
            }
        )

    def _has_heard(self, row: InstanceRow, position: int) -> bool:
        """Where no history was kept yet, everything counts as heard."""
        return position <= row.history_begins_after or (row.key, position) in self.heard

    def _row(self, key: str, recorded: Recorded) -> InstanceRow | None:
        if key not in self.rows and self.saga.begins(key, recorded):
            self.rows[key] = InstanceRow(
                self.saga.name, key, self.saga.state(), self.saga.version, ended=False, position=0
            )
        return self.rows.get(key)

    def _take(self, row: InstanceRow, step: Step, recorded: Recorded, index: int) -> dict[str, Any]:
        """Note a step, and answer how its story tells it. Its command has an id derived from where it comes from, so
        that a repeat is recognized.
        """
        command_id = uuid5(NAMESPACE, f"{row.saga}/{row.key}/{recorded.event_id}/{index}")
        match step:
            case Send(command):
                origin = self._origin(row, recorded, command_id, command)
                came = recorded.origin
                origin |= {"root": came.root or recorded.event_id, "hops": came.hops + 1}
                self.sent.append(origin)
                return {"step": "send", "command": command.stored, "command_id": command_id}
            case After(delay, command, name):
                return self._arm(row, recorded, command_id, At(recorded.recorded_at + delay, command, name))
            case At():
                return self._arm(row, recorded, command_id, step)
            case Cancel(name):
                self.cancelled.append({"key": row.key, "name": name})
                for timer in self.armed:
                    if (timer["key"], timer["name"]) == (row.key, name):
                        timer["status"] = Timer.Status.CANCELLED
                return {"step": "cancel", "timer": name}
            case End():
                row.ended = True
                return {"step": "end"}

    def _arm(self, row: InstanceRow, recorded: Recorded, command_id: Any, at: At) -> dict[str, Any]:
        origin = self._origin(row, recorded, command_id, at.command)
        hops = recorded.origin.hops + 1 if at.due_at - recorded.recorded_at < SOON else 0
        waiting = {"name": at.name, "due_at": at.due_at, "hops": hops, "status": Timer.Status.WAITING}
        self.armed.append({**origin, **waiting})
        told = {"step": "timer", "timer": at.name, "due_at": at.due_at}
        return {**told, "command": at.command.stored, "command_id": command_id}

    def _origin(self, row: InstanceRow, recorded: Recorded, command_id: Any, command: Command) -> dict[str, Any]:
        return {
            "saga": row.saga,
            "key": row.key,
            "command_id": command_id,
            "type": command.stored,
            "data": command,
            "correlation_id": recorded.correlation_id,
            "causation_id": recorded.event_id,
            "actor": f"saga:{row.saga}",
        }


class Batch(Reactions):
    """The instances that a batch of events concerns, as they are loaded, and everything that they decide."""

    def __init__(self, saga: Rules, cursor: Cursor, work: Sequence[Work]) -> None:
        super().__init__(saga, {})
        self.cursor = cursor
        asked = loading(saga, work)
        for name, key, state, version, *rest, heard in cursor.ask(asked.query, asked.parameters):
            self.rows[key] = InstanceRow(name, key, read_state(saga, state, version), version, *rest)
            self.heard.update((key, position) for position in heard)

    def save(self) -> None:
        """Write down what was decided."""
        if not self.touched:
            return
        rows = {
            "instances": [self.rows[key] for key in self.touched],
            "story": self.story,
            "sent": self.sent,
            "armed": self.armed,
            "cancelled": self.cancelled,
        }
        values = {name: encoder.encode(found).decode() for name, found in rows.items()}
        self.cursor.put_off(queries.SAVE_BATCH, {"saga": self.saga.name, **values})
        log.debug("saga_reacted", saga=self.saga.name, instances=len(self.touched), commands=len(self.sent))
