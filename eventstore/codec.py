"""Events to JSON and back, through upcasters where history is older than the code.

An upcaster is one small function from one schema version to the next, over plain JSON values; they run as a pipeline.
Unknown fields are tolerated, so an older process reads a newer event's known part only where the schema version says it
may. (Upcasting as in Greg Young's *Versioning in an Event Sourced System*.)
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from eventstore.error_texts import misfit
from eventstore.errors import InvalidEvent, NewerSchema, UnreadableEvent
from eventstore.events import Event, Meta, catalogue

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

encoder = msgspec.json.Encoder()
_upcasters: dict[tuple[str, int], Upcaster] = {}


class Recorded(Meta, kw_only=True):
    """A stored event: what the log knows about it, and its data, decoded when first asked for."""

    data: str | bytes
    decoded: Event | None = None

    @property
    def is_newer(self) -> bool:
        """Whether only newer code can read it. Raises `UnknownEvent`."""
        return self.schema_version > catalogue[self.type].schema

    @property
    def event(self) -> Event:
        """The event itself. Raises `UnknownEvent`, `NewerSchema` or `UnreadableEvent`."""
        if self.decoded is None:
            self.decoded = decode(self.type, self.schema_version, self.data)
        return self.decoded


def upcaster(name: str, version: int) -> Callable[[Upcaster], Upcaster]:
    """Declare the step from `version` of a stored event to the next one."""

    def declare(step: Upcaster) -> Upcaster:
        _upcasters[name, version] = step
        return step

    return declare


def forget_upcasters(name: str) -> None:
    """Forget the steps of a stored event."""
    for step in [step for step in _upcasters if step[0] == name]:
        del _upcasters[step]


def encode(event: Event) -> bytes:
    """JSON of an event, checked to read back as the same value. Raises `InvalidEvent`.

    Values are not validated when an event is made, so this is where a wrong one is stopped: before it is history.
    """
    try:
        data = encoder.encode(event)
        same = decoder(type(event)).decode(data) == event
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise InvalidEvent(f"{event.stored}: {misfit(error)}") from error
    if not same:
        raise InvalidEvent(f"{event.stored} reads back as another value than was recorded.")
    return data


def decode(name: str, schema_version: int, data: str | bytes) -> Event:
    """The event that was stored under this name, brought up to the schema of the running code."""
    declared = catalogue[name]
    if schema_version > declared.schema:
        raise NewerSchema(f"{name} has schema version {schema_version}; this code knows {declared.schema}.")
    try:
        if schema_version == declared.schema:
            return decoder(declared).decode(data)
        value = msgspec.json.decode(data)
        for version in range(schema_version, declared.schema):
            value = _upcasters[name, version](value)
        return msgspec.convert(value, declared)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise UnreadableEvent(f"{name}, schema version {schema_version}: {misfit(error)}") from error


def upcasters_of(declared: type[Event]) -> dict[int, Upcaster]:
    """The steps that lead to the schema of the running code, by the version that they begin with."""
    versions = range(1, declared.schema)
    return {version: _upcasters[step] for version in versions if (step := (declared.stored, version)) in _upcasters}


def missing_upcasters() -> list[tuple[str, int]]:
    """Steps that some stored event would need and nobody declared."""
    return [
        (declared.stored, version)
        for declared in catalogue
        for version in range(1, declared.schema)
        if (declared.stored, version) not in _upcasters
    ]


@cache
def decoder(declared: type[Event]) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(declared)
