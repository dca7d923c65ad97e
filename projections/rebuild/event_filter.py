"""A part of a projection's keys, so that several workers fill one table side by side, each with rows of its own.

A key belongs to the range that the MD5 of its text falls into. Python and PostgreSQL agree on it, so that a worker
reads from the log what it folds and hardly anything else.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from msgspec.structs import FieldInfo, fields
from psycopg import sql

from eventstore.codec import stored_names
from eventstore.subscriptions.hash_ranges import ALL, HashRange, holds
from projections.projection import Handler, Projection
from projections.rebuild import queries


def event_condition(
    projection: Projection[Any], part: HashRange, keys: Collection[str] | None = None
) -> sql.Composable:
    """SQL that is true of the events which may concern the keys of a range, or the few `keys` that are asked for.

    It speaks of the keys that are plain fields, whose JSON is the text of the key. It lets pass the events of handlers
    whose key is a function, and those of another schema version or under a former name, whose fields have yet to be
    made: so what it lets pass is for `Slice.holds` to judge again.
    """
    if part == ALL and keys is None:
        return sql.SQL("true")
    alike: dict[tuple[str, int], list[str]] = {}
    for handler in projection.handlers.values():
        field = _field(handler)
        if field is not None:
            alike.setdefault((field.encode_name, handler.event.schema), []).append(handler.event.stored)
    if not alike:
        return sql.SQL("true")
    arms = [
        _arm(schema, types if set(types) != projection.types else [], _within(name, part, keys))
        for (name, schema), types in sorted(alike.items())
    ]
    return sql.SQL(queries.EVENT_CONDITION).format(arms=sql.SQL(" ").join(arms))


def is_exact(projection: Projection[Any]) -> bool:
    """Whether the condition of a range lets nothing pass but the events of its keys, so that nobody has to judge again.

    So it is when every handler's key is a plain field without a default, of an event that never had another schema.
    """
    return all(
        handler.event.schema == 1
        and stored_names(handler.event) == {handler.event.stored}
        and (field := _field(handler)) is not None
        and field.required
        for handler in projection.handlers.values()
    )


def _arm(schema: int, types: list[str], within: sql.Composable) -> sql.Composable:
    """What holds of events in this schema version, of these types or of all that are read."""
    known = sql.SQL(queries.OF_SCHEMA).format(schema=sql.Literal(schema))
    if types:
        listed = sql.SQL(", ").join(map(sql.Literal, sorted(types)))
        known = sql.SQL(queries.OF_TYPES).format(known=known, types=listed)
    return sql.SQL(queries.ARM).format(known=known, within=within)


def _within(field: str, part: HashRange, keys: Collection[str] | None) -> sql.Composable:
    if keys is not None:
        return sql.SQL(queries.OF_KEYS).format(field=sql.Literal(field), keys=sql.Literal(sorted(keys)))
    return holds(sql.SQL("data->>{}").format(sql.Literal(field)), part)


def _field(handler: Handler) -> FieldInfo | None:
    """The field that is the key, if `str` gives what JSON holds: of texts, ids, whole numbers.

    Not so of others: True is `true` in JSON, a moment has a T, a decimal may be written in another way.
    """
    for field in fields(handler.event):
        if field.name == handler.key and field.type in (str, UUID, int):
            return field
    return None
