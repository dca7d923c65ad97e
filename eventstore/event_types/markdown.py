"""The catalogue as a page in Markdown."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from eventstore.event_types.description import EventType, Field, Party, Value

HEAD = """# Events

Every event that the code declares: what it says, who records it and who wants it. `required` fields are in every stored
event of today's version; others may be missing there.

This page is written by `python manage.py events catalogue --markdown`, from the code and the stored examples.
"""


def page(described: Sequence[EventType], values: Sequence[Value]) -> str:
    """The whole catalogue, by category of the streams, and the values that events say."""
    by_channel: dict[str, list[EventType]] = {}
    for each in described:
        by_channel.setdefault(each.channel, []).append(each)
    parts = [HEAD]
    for channel, events in sorted(by_channel.items()):
        parts.append(f"## {channel}\n")
        parts += ["\n".join(_event(each)) for each in events]
    if values:
        parts.append("## Values\n")
        parts += ["\n".join(_value(each)) for each in values]
    return "\n".join(parts)


def _event(each: EventType) -> Iterator[str]:
    yield f"### {each.name}\n"
    if each.meaning:
        yield f"{each.meaning}\n"
    if each.former_names:
        yield f"Once stored as {', '.join(f'`{name}`' for name in each.former_names)}.\n"
    if each.read_as is None:
        by, wanted = _parties(each.recorded_by), _parties(each.wanted_by)
        yield f"Version {each.version}. Recorded by {by}. Wanted by {wanted}.\n"
        yield from _fields(each.fields)
    else:
        names = ", ".join(f"`{name}`" for name in each.read_as) or "nothing"
        yield f"No event has this name any more. What is stored, up to version {each.version}, is read as {names}.\n"
    for version in each.versions:
        if version.says:
            yield f"From version {version.number}: {version.says}\n"
        for example in version.examples[:1]:
            text = msgspec.json.format(msgspec.json.encode(example)).decode()
            yield f"Stored in version {version.number}:\n\n```json\n{text}\n```\n"


def _value(each: Value) -> Iterator[str]:
    yield f"### {each.name}\n"
    if each.meaning:
        yield f"{each.meaning}\n"
    yield from _fields(each.fields)


def _fields(fields: Sequence[Field]) -> Iterator[str]:
    explained = any(field.meaning for field in fields)
    yield _line("field", "type", "required", *["meaning"] * explained)
    yield _line(*["---"] * (3 + explained))
    for field in fields:
        told = (f"`{field.name}`", field.type, "yes" if field.required else "no")
        yield _line(*told, *[" ".join(field.meaning.split())] * explained)
    yield ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _parties(parties: Iterable[Party]) -> str:
    return ", ".join(f"{party.kind} `{party.name}`" for party in parties) or "nobody"
