"""What the fields of events may hold, as JSON Schema: of all events together, and as an AsyncAPI document."""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from eventstore.events import Event, catalogue
from eventstore.fingerprint.name_resolution import parse

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "3.0.0"
ROOT = "#/$defs/"
WORDS = {
    "uuid": "id",
    "date-time": "time",
    "date": "date",
    "time": "time of day",
    "duration": "duration",
    "decimal": "decimal",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
    "object": "object",
    "array": "list",
}


class Schemas(NamedTuple):
    """The schema of the fields of each event, by stored name, and of the values that they refer to, by name."""

    events: dict[str, Schema]
    values: dict[str, Schema]

    def words(self, schema: Schema) -> str:
        """A schema in a few words, as a table has room for."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(ROOT)
            return " or ".join(map(_quoted, self.values[name]["enum"])) if "enum" in self.values[name] else name
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return " or ".join(map(self.words, schema[several]))
        if "enum" in schema:
            return " or ".join(map(_quoted, schema["enum"]))
        if schema.get("items"):
            return f"list of {self.words(schema['items'])}"
        kind = schema.get("format") or schema.get("type", "anything")
        return WORDS.get(kind, str(kind))


def schemas(*, root: str = ROOT) -> Schemas:
    """Of every event that is declared, with the meaning of fields that say one. References begin with `root`."""
    declared = [catalogue[name] for name in sorted({event.stored for event in catalogue})]
    references, components = msgspec.json.schema_components(declared, ref_template=root + "{name}")
    names = [reference["$ref"].removeprefix(root) for reference in references]
    events = {event.stored: _told(event, components[name]) for event, name in zip(declared, names, strict=True)}
    values = {name: _cleaned(schema) for name, schema in sorted(components.items()) if name not in names}
    return Schemas(events, values)


def meanings(declared: type[msgspec.Struct]) -> dict[str, str]:
    """What each field means, where it says so: by the text below it in the class, else by the description of its type
    (`Annotated[int, msgspec.Meta(description="minutes")]`).
    """
    written = _texts_below(declared)
    hints = get_type_hints(declared, include_extras=True)
    found = {name: written.get(name) or _described(hints[name]) for name in declared.__struct_fields__}
    return {name: meaning for name, meaning in found.items() if meaning}


def json_schema() -> Schema:
    """One schema for all stored events: an object with `type`, `schema_version` and `data`."""
    found = schemas()
    return {
        "$schema": DIALECT,
        "title": "Events",
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "type": {"const": name},
                    "schema_version": {"const": catalogue[name].schema},
                    "data": {"$ref": ROOT + name},
                },
                "required": ["type", "schema_version", "data"],
            }
            for name in found.events
        ],
        "$defs": found.values | found.events,
    }


def asyncapi(
    channels: Mapping[str, Iterable[str]],
    receivers: Mapping[str, Iterable[str]],
    examples: Mapping[str, Sequence[Any]],
) -> Schema:
    """An AsyncAPI document: a channel for each category of streams, to which the application sends its events, and
    which subscribers receive. `channels` and `receivers` name their events; `examples` are data of events, by name.
    """
    found = schemas(root="#/components/schemas/")
    version = sha256(msgspec.json.encode(found, order="sorted")).hexdigest()[:16]
    of = {name: channel for channel, names in channels.items() for name in names}
    operations: Schema = {
        f"record-{channel}": _operation("send", channel, names) for channel, names in channels.items()
    }
    for receiver, wanted in receivers.items():
        by_channel: dict[str, list[str]] = {}
        for name in wanted:
            by_channel.setdefault(of[name], []).append(name)
        for channel, names in sorted(by_channel.items()):
            operations[f"{receiver}-{channel}"] = _operation("receive", channel, names)
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": "Events", "version": version},
        "defaultContentType": "application/json",
        "channels": {
            channel: {
                "address": channel,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            }
            for channel, names in channels.items()
        },
        "operations": operations,
        "components": {
            "messages": {name: _message(name, schema, examples) for name, schema in found.events.items()},
            "schemas": found.values | found.events,
        },
    }


def references(part: Any) -> Iterator[str]:
    """The names of the values that a schema refers to."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"].removeprefix(ROOT)
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        yield from references(each)


def _message(name: str, schema: Schema, examples: Mapping[str, Sequence[Any]]) -> Schema:
    message: Schema = {"name": name, "title": schema["title"], "contentType": "application/json"}
    if "description" in schema:
        message["description"] = schema["description"]
    if examples.get(name):
        message["examples"] = [{"payload": data} for data in examples[name]]
    return {**message, "payload": {"$ref": f"#/components/schemas/{name}"}}


def _operation(action: str, channel: str, names: Iterable[str]) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _told(declared: type[Event], schema: Schema) -> Schema:
    properties = dict(schema["properties"])
    for name, meaning in meanings(declared).items():
        properties[name] = {**properties[name], "description": meaning}
    return {**_cleaned(schema), "properties": properties}


def _cleaned(schema: Schema) -> Schema:
    """With its description as one would read it, not as the source has it indented."""
    told = inspect.cleandoc(schema.get("description", ""))
    return {**schema, "description": told} if told else dict(schema)


def _described(hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    notes = [note for note in get_args(hint)[1:] if isinstance(note, msgspec.Meta)]
    return next((note.description for note in notes if note.description), "")


def _texts_below(declared: type[Any]) -> dict[str, str]:
    """The texts that stand below the fields of a class and of those that it inherits from, where there is source."""
    found: dict[str, str] = {}
    for each in reversed(declared.__mro__):
        found |= _texts_in(each.__module__).get(each.__qualname__, {})
    return found


@cache
def _texts_in(module: str) -> dict[str, dict[str, str]]:
    """The texts below fields, by class, in a module; none where its source isn't there."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        return {}
    return dict(_texts_of(parse(source)))


def _texts_of(node: ast.AST, within: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    for inner in ast.iter_child_nodes(node):
        match inner:
            case ast.ClassDef(name=name, body=body):
                yield f"{within}{name}", dict(_texts(body))
                yield from _texts_of(inner, f"{within}{name}.")
            case ast.FunctionDef(name=name):
                yield from _texts_of(inner, f"{within}{name}.<locals>.")


def _texts(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as said)):
                yield name, inspect.cleandoc(said)


def _quoted(value: Any) -> str:
    return f'"{value}"'
