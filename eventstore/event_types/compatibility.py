"""Whether whatever one schema allows can be read as another one says: of the JSON Schemas that msgspec makes of types.

What isn't understood counts as unreadable unless it is the same in both.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from eventstore.event_types.schemas import ROOT, Schema

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SAME = ("pattern", "multipleOf", "format", "contentEncoding")
TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Side(NamedTuple):
    """A schema, with the values that it refers to by name."""

    schema: Schema
    values: Mapping[str, Schema]

    def at(self, schema: Schema) -> "Side":
        """A part of it; what that refers to is looked up."""
        while "$ref" in schema:
            schema = self.values[schema["$ref"].removeprefix(ROOT)]
        return Side(schema, self.values)

    @property
    def options(self) -> list["Side"]:
        """What it may be, one by one."""
        several = self.schema.get("anyOf") or self.schema.get("oneOf")
        return [option for each in several for option in self.at(each).options] if several else [self]

    @property
    def always_there(self) -> set[str]:
        """The fields that whoever has this type writes: those with a default as well."""
        properties = self.schema.get("properties", {})
        return {name for name, said in properties.items() if "default" in said} | {*self.schema.get("required", ())}


def misfits(written: Side, read: Side, *, stored: bool) -> list[str]:
    """Where something that is written by one of these types can't be read as the other: sentences, none when all fits.

    What is `stored` may lack the fields that aren't required, from before they were there. What is written from now on
    has those with a default.
    """
    return _Comparison(stored).of(written, read, "")


class _Comparison:
    def __init__(self, stored: bool) -> None:
        self._stored = stored
        self._within: set[tuple[int, int]] = set()

    def of(self, written: Side, read: Side, path: str) -> list[str]:
        written, read = written.at(written.schema), read.at(read.schema)
        pair = id(written.schema), id(read.schema)
        if pair in self._within:
            return []  # of a type that contains itself
        self._within.add(pair)
        found: list[str] = []
        for option in written.options:
            tried = [list(self._one(option, each, path)) for each in read.options]
            if all(tried):
                found += tried[0] if len(tried) == 1 else [f"{_at(path)} can be what was never expected there."]
        self._within.discard(pair)
        return found

    def _one(self, written: Side, read: Side, path: str) -> Iterator[str]:
        ours, theirs = written.schema, read.schema
        if "enum" in theirs:
            unknown = [value for value in ours["enum"] if value not in theirs["enum"]] if "enum" in ours else ["others"]
            if unknown:
                yield f"{_at(path)} can be {', '.join(map(str, unknown))}."
            return
        if "enum" in ours:
            kinds = {TYPES.get(type(value)) for value in ours["enum"]}
            fits = kinds <= {theirs.get("type")} and not any(name in theirs for name in SAME)
        else:
            fits = _is_narrower(ours, theirs)
        if not fits:
            yield f"{_at(path)} is of another type."
        elif theirs.get("type") == "object":
            yield from self._objects(written, read, path)
        elif theirs.get("type") == "array":
            yield from self._lists(written, read, path)

    def _objects(self, written: Side, read: Side, path: str) -> Iterator[str]:
        ours, theirs = written.schema, read.schema
        there = {*ours.get("required", ())} if self._stored else written.always_there
        for name in theirs.get("required", ()):
            if name not in there:
                yield f"{_at(f'{path}.{name}')} is required, and may be missing."
        for name, said in theirs.get("properties", {}).items():
            if name in ours.get("properties", {}):
                yield from self.of(written.at(ours["properties"][name]), read.at(said), f"{path}.{name}")
        values = [each.get("additionalProperties") for each in (ours, theirs)]
        if isinstance(values[0], dict) and isinstance(values[1], dict):
            yield from self.of(written.at(values[0]), read.at(values[1]), f"{path}.*")

    def _lists(self, written: Side, read: Side, path: str) -> Iterator[str]:
        ours, theirs = written.schema, read.schema
        first, second = ours.get("prefixItems", []), theirs.get("prefixItems", [])
        if len(first) != len(second):
            yield f"{_at(path)} has another length."
            return
        for number, (item, other) in enumerate(zip(first, second, strict=True)):
            yield from self.of(written.at(item), read.at(other), f"{path}[{number}]")
        items = [each.get("items") for each in (ours, theirs)]
        if isinstance(items[0], dict) and isinstance(items[1], dict):
            yield from self.of(written.at(items[0]), read.at(items[1]), f"{path}[]")


def _is_narrower(ours: Schema, theirs: Schema) -> bool:
    """Whether a plain type, with its bounds, has no value that the other hasn't."""
    kinds = ours.get("type"), theirs.get("type")
    if kinds[0] != kinds[1] and kinds != ("integer", "number") and kinds[1] is not None:
        return False
    return (
        all(name not in theirs or ours.get(name) == theirs[name] for name in SAME)
        and all(name not in theirs or (name in ours and ours[name] >= theirs[name]) for name in LOWER_BOUNDS)
        and all(name not in theirs or (name in ours and ours[name] <= theirs[name]) for name in UPPER_BOUNDS)
    )


def _at(path: str) -> str:
    return f"`{path.removeprefix('.')}`" if path else "it"


def bare(schema: Schema) -> Schema:
    """A schema without what only people read: titles and descriptions."""
    return {
        name: {field: bare(each) for field, each in said.items()} if name == "properties" else _bare(said)
        for name, said in schema.items()
        if name not in {"title", "description"}
    }


def _bare(said: Any) -> Any:
    if isinstance(said, list):
        return [_bare(each) for each in said]
    return bare(said) if isinstance(said, dict) else said
