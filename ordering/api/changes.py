"""What differs between two versions of the contract, and whether clients of the former can break on it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

METHODS = {"get", "put", "post", "patch", "delete"}
LOWEST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
HIGHEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = ("pattern", "format", "const")


class Change(NamedTuple):
    """Where, what, and whether it is breaking."""

    where: str
    what: str
    breaking: bool

    def __str__(self) -> str:
        return f"{'BREAKING' if self.breaking else 'addition'}  {self.where}: {self.what}"


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """All of them but those of words, in the order of the paths."""
    return list(dict.fromkeys(_Comparison(old, new).paths()))


class _Comparison:
    """`asked` of a schema says whether clients send it; what may be sent must not narrow, what is told not widen."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self.old, self.new = old, new
        self.under_way: set[tuple[str, str, bool]] = set()

    def paths(self) -> Iterator[Change]:
        calls = [
            {
                f"{method.upper()} {path}": call
                for path, methods in contract["paths"].items()
                for method, call in methods.items()
                if method in METHODS
            }
            for contract in (self.old, self.new)
        ]
        yield from _named("call", "", *calls)
        for where in sorted(calls[0].keys() & calls[1].keys()):
            yield from self.call(where, calls[0][where], calls[1][where])

    def call(self, where: str, old: Any, new: Any) -> Iterator[Change]:
        if old["operationId"] != new["operationId"]:
            yield Change(where, f"operation {old['operationId']} is called {new['operationId']}", True)
        yield from _deprecated(where, old, new)
        yield from self.parameters(where, old, new)
        before, after = old.get("requestBody", {}), new.get("requestBody", {})
        if after.get("required") and not before.get("required"):
            yield Change(where, "a body is required", True)
        yield from self.contents(f"{where} body", before, after, asked=True)
        yield from _named("status", where, old["responses"], new["responses"], more_breaks=True)
        for status in sorted(old["responses"].keys() & new["responses"].keys()):
            answers = old["responses"][status], new["responses"][status]
            yield from _named("header", f"{where} {status}", *(each.get("headers", {}) for each in answers))
            yield from self.contents(f"{where} {status}", *answers, asked=False)

    def parameters(self, where: str, old: Any, new: Any) -> Iterator[Change]:
        before, after = (
            {f"{each['name']} in {each['in']}": each for each in call.get("parameters", [])} for call in (old, new)
        )
        required = {name for name, each in after.items() if each.get("required")}
        yield from _named("parameter", where, before, after, needed=required)
        for name in sorted(before.keys() & after.keys()):
            if name in required and not before[name].get("required"):
                yield Change(where, f"parameter {name} is required", True)
            yield from self.schema(f"{where} {name}", before[name]["schema"], after[name]["schema"], asked=True)

    def contents(self, where: str, old: Any, new: Any, *, asked: bool) -> Iterator[Change]:
        before, after = (each.get("content", {}) for each in (old, new))
        yield from _named("media type", where, before, after)
        for name in sorted(before.keys() & after.keys()):
            yield from self.schema(where, before[name]["schema"], after[name]["schema"], asked=asked)

    def schema(self, where: str, old: Any, new: Any, *, asked: bool) -> Iterator[Change]:
        visit = (old.get("$ref", ""), new.get("$ref", ""), asked)
        if any(visit[:2]):
            if visit in self.under_way:
                return
            self.under_way.add(visit)
        before, after = _resolved(self.old, old), _resolved(self.new, new)
        yield from _deprecated(where, before, after)
        yield from _bounds(where, before, after, asked=asked)
        yield from _values(where, before, after, asked=asked)
        yield from self.fields(where, before, after, asked=asked)
        if "items" in before and "items" in after:
            yield from self.schema(f"{where}[]", before["items"], after["items"], asked=asked)
        self.under_way.discard(visit)

    def fields(self, where: str, old: Any, new: Any, *, asked: bool) -> Iterator[Change]:
        before, after = (each.get("properties", {}) for each in (old, new))
        needed, promised = set(new.get("required", ())), set(old.get("required", ()))
        yield from _named("field", where, before, after, needed=needed if asked else set())
        for name in sorted(before.keys() & after.keys()):
            if name in needed - promised:
                yield Change(where, f"field {name} is required" if asked else f"field {name} is always there", asked)
            if name in promised - needed:
                yield Change(where, f"field {name} may be missing", not asked)
            yield from self.schema(f"{where}.{name}", before[name], after[name], asked=asked)


def _resolved(contract: Mapping[str, Any], schema: Any) -> dict[str, Any]:
    """One schema: what is referred to, with what is said beside it; alternatives with null are what may be null."""
    if "$ref" in schema:
        _, _, kind, name = schema["$ref"].split("/")
        return _resolved(contract, contract["components"][kind][name])
    parts = [_resolved(contract, each) for each in schema.get("allOf", ())]
    alternatives = [_resolved(contract, each) for key in ("oneOf", "anyOf") for each in schema.get(key, ())]
    real = [each for each in alternatives if each.get("type") != "null"]
    found = dict(schema)
    for each in (*parts, *(real if len(real) == 1 else ())):
        found = {**each, **found}
    if len(real) == 1 and len(alternatives) > 1:
        found["type"] = [found.get("type", "object"), "null"]
    elif real and all("enum" in each for each in real):
        found["enum"] = [value for each in alternatives for value in each.get("enum", [None])]
    elif len(real) > 1:
        found["properties"] = {f"{number + 1}": each for number, each in enumerate(real)}
    return found


def _deprecated(where: str, old: Any, new: Any) -> Iterator[Change]:
    """Whoever uses it goes on being served."""
    before, after = bool(old.get("deprecated")), bool(new.get("deprecated"))
    if before != after:
        yield Change(where, "deprecated" if after else "no longer deprecated", False)


def _bounds(where: str, old: Any, new: Any, *, asked: bool) -> Iterator[Change]:
    types = [set(each["type"] if isinstance(each.get("type"), list) else [each.get("type")]) for each in (old, new)]
    lost, more = types[0] - types[1], types[1] - types[0]
    if lost or more:
        yield Change(where, f"type {_list(types[0])} is {_list(types[1])}", bool(lost if asked else more))
    for name in (*LOWEST, *HIGHEST):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        grows = after is not None and (before is None or after > before)
        narrower = (after is not None) if before is None else after is not None and grows == (name in LOWEST)
        yield Change(where, f"{name} {before} is {after}", narrower if asked else not narrower)
    for name in EXACT:
        before, after = old.get(name), new.get(name)
        if before != after:
            widened = after is None if asked else before is None
            yield Change(where, f"{name} {before} is {after}", not widened)


def _values(where: str, old: Any, new: Any, *, asked: bool) -> Iterator[Change]:
    """Of a closed set. Clients are told of a new value that may be answered, as they are of a new code of a problem:
    one that they don't know counts as any other.
    """
    if "enum" not in old and "enum" not in new:
        return
    if "enum" not in old or "enum" not in new:
        yield Change(where, "values are closed" if "enum" in new else "values are open", asked == ("enum" in new))
        return
    for value in old["enum"]:
        if value not in new["enum"]:
            yield Change(where, f"value {value!r} is gone", True)
    for value in new["enum"]:
        if value not in old["enum"]:
            yield Change(where, f"value {value!r} is new", False)


def _named(
    kind: str, where: str, old: Any, new: Any, *, needed: set[str] | None = None, more_breaks: bool = False
) -> Iterator[Change]:
    """What has a name and is there no more, or is new; new ones that are `needed` break, and `more_breaks` where a
    success is answered that clients don't know.
    """
    for name in sorted(old.keys() - new.keys()):
        yield Change(where or name, f"{kind} {name} is gone", True)
    for name in sorted(new.keys() - old.keys()):
        success = more_breaks and name.startswith("2")
        yield Change(where or name, f"{kind} {name} is new", name in (needed or ()) or success)


def _list(names: set[Any]) -> str:
    return " or ".join(sorted(map(str, names)))
