"""Events to JSON and back, through upcasters where history is older than the code.

An upcaster is one small function from one schema version to the next, over plain JSON values; they run as a pipeline.
A stored name that no event has any more is a former one: it says as which events of today its events are read, one,
several or none. Each stored event is read from nothing but itself.
Unknown fields are tolerated, so an older process reads a newer event's known part only where the schema version says it
may. (Upcasting as in Greg Young's *Versioning in an Event Sourced System*.)
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from eventstore.error_texts import misfit
from eventstore.errors import InvalidEvent, NewerSchema, UnreadableEvent
from eventstore.events import Event, Meta, catalogue

Fields = dict[str, Any]
Upcaster = Callable[[Fields], Fields]
Reading = Callable[[Fields], Mapping[str, Fields]]

ESCAPED_NUL = b"\\u0000"
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The same, and not behind a backslash that is itself escaped."""

encoder = msgspec.json.Encoder()
_upcasters: dict[tuple[str, int], Upcaster] = {}


class Former(NamedTuple):
    """What is stored under a name that no event has any more, brought up to `version`, is read as the events named in
    `into`, in the schema versions that are said there; `reading` makes their fields, by their names.
    """

    name: str
    version: int
    into: Mapping[str, int]
    reading: Reading


_formers: dict[str, Former] = {}


class Recorded(Meta, kw_only=True):
    """A stored event: what the log knows about it, and its data, decoded when first asked for."""

    data: str | bytes
    decoded: Event | None = None
    read_as: tuple[Any, ...] | None = None

    @property
    def is_newer(self) -> bool:
        """Whether only newer code can read it. Raises `UnknownEvent`."""
        former = _formers.get(self.type)
        return self.schema_version > (former.version if former else catalogue[self.type].schema)

    @property
    def parts(self) -> "tuple[Recorded, ...]":
        """The events that it is read as, each as if it had been stored so: itself, unless its name is a former one. All
        are at its position, with its version, its id and its time. Raises what `event` raises.
        """
        if self.type not in _formers:
            return (self,)
        if self.read_as is None:
            events = _read_former(self.type, self.schema_version, self.data)
            self.read_as = tuple(
                msgspec.structs.replace(
                    self, type=event.stored, schema_version=event.schema, data=encoder.encode(event), decoded=event
                )
                for event in events
            )
        return self.read_as

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


def former(name: str, *, version: int = 1, into: Mapping[str, int]) -> Callable[[Reading], Reading]:
    """Declare that no event has this stored name any more. The last of them had this version, and are read as the
    events named in `into`, which are given in the schema versions that are said there, and go through their upcasters
    from then on. The function answers the fields of each, by its name; it may leave some out. Raises `ValueError` for a
    name that would be read as itself in the end.
    """

    def declare(reading: Reading) -> Reading:
        if name in _read_in_the_end(into):
            raise ValueError(f"{name!r} would be read as itself in the end.")
        _formers[name] = Former(name, version, dict(into), reading)
        return reading

    return declare


def _read_in_the_end(names: Iterable[str]) -> set[str]:
    """These names, and all that they are read as, by however many steps."""
    found = set(names)
    while more := {each for name in found & _formers.keys() for each in _formers[name].into} - found:
        found |= more
    return found


def formers() -> list[Former]:
    """Every stored name that no event has any more."""
    return list(_formers.values())


def forget_upcasters(name: str) -> None:
    """Forget the steps of a stored event, and what it is read as if its name is a former one."""
    _formers.pop(name, None)
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
    if ESCAPED_NUL in data and NUL.search(data):
        raise InvalidEvent(f"{event.stored} holds a NUL character, which PostgreSQL doesn't store.")
    return data


def decode(name: str, schema_version: int, data: str | bytes) -> Event:
    """The event that was stored under this name, brought up to the schema of the running code."""
    declared = catalogue[name]
    if schema_version > declared.schema:
        raise NewerSchema(f"{name} has schema version {schema_version}; this code knows {declared.schema}.")
    try:
        if schema_version == declared.schema:
            return decoder(declared).decode(data)
        return msgspec.convert(_upcast(name, schema_version, declared.schema, msgspec.json.decode(data)), declared)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise UnreadableEvent(f"{name}, schema version {schema_version}: {misfit(error)}") from error


def read(name: str, schema_version: int, data: str | bytes) -> list[Event]:
    """The events that what was stored under this name is read as: one, unless the name is a former one."""
    if name in _formers:
        return _read_former(name, schema_version, data)
    return [decode(name, schema_version, data)]


def _read_former(name: str, schema_version: int, data: str | bytes) -> list[Event]:
    try:
        return list(_today(name, schema_version, msgspec.json.decode(data)))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise UnreadableEvent(f"{name}, schema version {schema_version}: {misfit(error)}") from error


def _today(name: str, schema_version: int, value: Fields) -> Iterator[Event]:
    """What a former event, or one that it is read as, is today."""
    past = _formers.get(name)
    known = past.version if past else catalogue[name].schema
    if schema_version > known:
        raise NewerSchema(f"{name} has schema version {schema_version}; this code knows {known}.")
    value = _upcast(name, schema_version, known, value)
    if past is None:
        yield msgspec.convert(value, catalogue[name])
        return
    for each, fields in past.reading(value).items():
        yield from _today(each, past.into[each], fields)


def _upcast(name: str, schema_version: int, upto: int, value: Fields) -> Fields:
    for version in range(schema_version, upto):
        value = _upcasters[name, version](value)
    return value


def stored_names(declared: type[Event]) -> frozenset[str]:
    """The names under which events are stored that may be read as this one: its own, and former ones."""
    names = {declared.stored}
    while more := {each.name for each in _formers.values() if not names.isdisjoint(each.into)} - names:
        names |= more
    return frozenset(names)


def upcasters_of(declared: type[Event]) -> dict[int, Upcaster]:
    """The steps that lead to the schema of the running code, by the version that they begin with."""
    versions = range(1, declared.schema)
    return {version: _upcasters[step] for version in versions if (step := (declared.stored, version)) in _upcasters}


def steps_of(past: Former) -> dict[int, Upcaster]:
    """The steps of a former event up to its last version, by the version that they begin with."""
    versions = range(1, past.version)
    return {version: _upcasters[step] for version in versions if (step := (past.name, version)) in _upcasters}


def missing_upcasters() -> list[tuple[str, int]]:
    """Steps that some stored event would need and nobody declared."""
    return [
        (declared.stored, version)
        for declared in catalogue
        for version in range(1, declared.schema)
        if (declared.stored, version) not in _upcasters
    ] + [
        (each.name, version)
        for each in _formers.values()
        for version in range(1, each.version)
        if (each.name, version) not in _upcasters
    ]


@cache
def decoder(declared: type[Event]) -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(declared)
