"""What the code says of each event: its versions and fields, who records it, who wants it."""

import inspect
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from eventstore.codec import Former, Upcaster, formers, steps_of, stored_names, upcasters_of
from eventstore.commands import routes
from eventstore.event_types import examples, schemas
from eventstore.event_types.schemas import Schema, Schemas
from eventstore.events import Event, catalogue
from eventstore.subscriptions.registry import registry

Stored = dict[tuple[str, int], list[dict[str, Any]]]
"""Stored examples, by type and version."""


class Party(NamedTuple):
    """Who records an event or wants it: an aggregate by its category, or a subscriber."""

    kind: str
    name: str


class Field(NamedTuple):
    """What an event says; `type` in a few words. What isn't `required` may be missing in stored events."""

    name: str
    type: str
    required: bool
    meaning: str


class Version(NamedTuple):
    """A schema version, with what its upcaster says about it, and examples of what is stored."""

    number: int
    says: str
    examples: list[dict[str, Any]]


class Value(NamedTuple):
    """What several events say, such as an amount of money, by the name of its class."""

    name: str
    meaning: str
    fields: list[Field]


class EventType(msgspec.Struct, frozen=True):
    """One event of the catalogue. `channel` is the category of the streams that it is in; under `former_names` events
    are stored that are read as it. A former name has no fields, and says as which events it is read, if any: for an
    event of today `read_as` is None.
    """

    name: str
    version: int
    channel: str
    meaning: str
    fields: list[Field]
    versions: list[Version]
    former_names: list[str]
    recorded_by: list[Party]
    wanted_by: list[Party]
    read_as: list[str] | None = None


def describe() -> list[EventType]:
    """Every event and every former name, by name. Raises `UnreadableFile`."""
    stored: Stored = {}
    for example in examples.read() or ():
        stored.setdefault((example.type, example.version), []).append(example.data)
    found = schemas.schemas()
    today = [_described(catalogue[name], found, stored) for name in found.events]
    return sorted(today + [_former(past, stored) for past in formers()], key=attrgetter("name"))


def values() -> list[Value]:
    """Every value that has fields of its own and that an event says, by name."""
    found = schemas.schemas()
    return [
        Value(name, schema.get("description", ""), _fields(schema, found))
        for name, schema in found.values.items()
        if "properties" in schema
    ]


def asyncapi() -> dict[str, Any]:
    """The same as an AsyncAPI document. Raises `UnreadableFile`."""
    described = [each for each in describe() if each.read_as is None]
    channels: dict[str, list[str]] = {}
    receivers: dict[str, list[str]] = {}
    for each in described:
        channels.setdefault(each.channel, []).append(each.name)
        for party in each.wanted_by:
            receivers.setdefault(f"{party.kind}-{party.name}", []).append(each.name)
    shown = {each.name: each.versions[-1].examples for each in described}
    return schemas.asyncapi(dict(sorted(channels.items())), dict(sorted(receivers.items())), shown)


def _described(declared: type[Event], found: Schemas, stored: Stored) -> EventType:
    name, schema = declared.stored, found.events[declared.stored]
    recorded_by = list(_recorders(declared))
    return EventType(
        name=name,
        version=declared.schema,
        channel=next((party.name for party in recorded_by if party.kind == "aggregate"), name.partition(".")[0]),
        meaning=schema.get("description", ""),
        fields=_fields(schema, found),
        versions=_versions(name, declared.schema, upcasters_of(declared), stored),
        former_names=sorted(stored_names(declared) - {name}),
        recorded_by=recorded_by,
        wanted_by=_subscribers(name),
    )


def _former(past: Former, stored: Stored) -> EventType:
    return EventType(
        name=past.name,
        version=past.version,
        channel=past.name.partition(".")[0],
        meaning=_says(past.reading),
        fields=[],
        versions=_versions(past.name, past.version, steps_of(past), stored),
        former_names=[],
        recorded_by=[],
        wanted_by=_subscribers(past.name),
        read_as=list(past.into),
    )


def _versions(name: str, last: int, steps: Mapping[int, Upcaster], stored: Stored) -> list[Version]:
    numbers = range(1, last + 1)
    return [Version(number, _says(steps.get(number)), stored.get((name, number), [])) for number in numbers]


def _subscribers(name: str) -> list[Party]:
    wanting = sorted((each for each in registry if name in each.types), key=attrgetter("rank", "name"))
    return [Party(each.rank.name.lower(), each.name) for each in wanting]


def _fields(schema: Schema, found: Schemas) -> list[Field]:
    return [
        Field(name, found.words(said), name in schema.get("required", ()), said.get("description", ""))
        for name, said in schema["properties"].items()
    ]


def _says(step: object) -> str:
    return (inspect.getdoc(step) or "") if step else ""


def _recorders(declared: type[Event]) -> Iterator[Party]:
    for kind in sorted(routes.aggregates, key=lambda kind: kind.category):
        if declared in kind.evolvers:
            yield Party("aggregate", kind.category)
    for subscriber in registry:
        if declared in subscriber.records:
            yield Party(subscriber.rank.name.lower(), subscriber.name)
