"""Show the events that the code declares: what they say, who records them, who wants them."""

from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper

from eventstore.errors import Refused
from eventstore.event_types import description, markdown, schemas
from eventstore.event_types.description import EventType, Party
from eventstore.management.terminal import Row, add_json, console, facts, show, write_json

TITLES = ("event", "version", "recorded by", "wanted by")
FIELDS = ("field", "type", "required", "meaning")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("event", nargs="*", help="only these, each with its fields and examples")
    how = parser.add_mutually_exclusive_group()
    add_json(how)
    how.add_argument("--schema", action="store_true", help="as a JSON Schema of stored events")
    how.add_argument("--asyncapi", action="store_true", help="as an AsyncAPI 3 document")
    how.add_argument("--markdown", action="store_true", help="as a page in Markdown")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Raises `Refused` for an event that isn't declared, or that is named where the whole catalogue is asked for."""
    described = description.describe()
    names = options["event"]
    if unknown := sorted({*names} - {each.name for each in described}):
        raise Refused(f"No event is declared as {', '.join(unknown)}.")
    if names and (options["schema"] or options["asyncapi"] or options["markdown"]):
        raise Refused("--schema, --asyncapi and --markdown are of all events together.")
    chosen = [each for each in described if not names or each.name in names]
    if options["json"]:
        write_json(stdout, chosen)
    elif options["schema"]:
        write_json(stdout, schemas.json_schema())
    elif options["asyncapi"]:
        write_json(stdout, description.asyncapi())
    elif options["markdown"]:
        stdout.write(markdown.page(described, description.values()), ending="")
    elif names:
        for each in chosen:
            _tell(each, stdout)
    else:
        show(stdout, TITLES, map(_row, chosen), numbers={"version"}, empty="No event is declared.")


def _row(each: EventType) -> Row:
    return {
        "event": each.name,
        "version": str(each.version),
        "recorded by": _recorded(each),
        "wanted by": _parties(each.wanted_by),
    }


def _recorded(each: EventType) -> str:
    if each.read_as is None:
        return _parties(each.recorded_by)
    return f"nobody any more: read as {', '.join(each.read_as) or 'nothing'}"


def _tell(each: EventType, stdout: OutputWrapper) -> None:
    said = {"event": each.name, "meaning": " ".join(each.meaning.split()), **dict(_row(each))}
    said["once stored as"] = ", ".join(each.former_names)
    console(stdout).print(facts((name, value) for name, value in said.items() if value))
    rows = [
        {
            "field": field.name,
            "type": field.type,
            "required": "yes" if field.required else "no",
            "meaning": field.meaning,
        }
        for field in each.fields
    ]
    show(stdout, FIELDS, rows, numbers=(), empty="It has no fields." if each.read_as is None else "")
    for version in each.versions:
        if version.says:
            stdout.write(f"from version {version.number}: {' '.join(version.says.split())}")
        _examples(version.examples, version.number, stdout)


def _examples(stored: Sequence[dict[str, Any]], version: int, stdout: OutputWrapper) -> None:
    for data in stored:
        stdout.write(f"version {version}, stored: {msgspec.json.encode(data).decode()}")


def _parties(parties: Iterable[Party]) -> str:
    return ", ".join(f"{party.kind} {party.name}" for party in parties) or "nobody"
