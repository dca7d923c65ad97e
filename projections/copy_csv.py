"""Rows as the CSV format of COPY has them.

Values arrive by way of JSON, which is how the live table is written too, and PostgreSQL reads the same text. A line of
CSV is nearly an array of JSON: quotes and backslashes are escaped alike, and `null` is what an empty value is said to
be. Where JSON has other escapes, such as that of a line feed, the line is written again.
"""

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Generic, TypeVar

import msgspec
from django.db import connection, models

R = TypeVar("R", bound=models.Model)

_encode = msgspec.json.Encoder().encode
_other_escape = re.compile(rb'\\[^"\\]').search


class Lines(Generic[R]):
    """How rows of a model become lines: `lines(row)`."""

    def __init__(self, model: type[R]) -> None:
        fields = model._meta.concrete_fields
        self._values = itemgetter(*(field.attname for field in fields))
        self._composed = [(place, way) for place, field in enumerate(fields) if (way := _way(field))]

    def __call__(self, row: R) -> bytes:
        values = [*self._values(row.__dict__)]
        for place, way in self._composed:
            values[place] = way(values[place])
        line = _encode(values)
        if _other_escape(line):
            line = b"[%s]" % b",".join(map(_cell, msgspec.json.decode(line)))
        return line[1:-1] + b"\n"


def _way(field: "models.Field[Any, Any]") -> Callable[[Any], str | None] | None:
    """What makes a text of the values of a column which aren't scalars in JSON."""
    if isinstance(field, models.JSONField):
        return _json
    return _array if str(field.db_type(connection)).endswith("[]") else None


def _json(value: object) -> str | None:
    text = _encode(value).decode()
    return None if text == "null" else text


def _array(value: object) -> str | None:
    return None if value is None else _elements(msgspec.json.decode(_encode(value)))


def _elements(value: object) -> str:
    """An array or an element of one, as PostgreSQL writes them."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"{{{','.join(map(_elements, value))}}}"
    return _quoted(value if isinstance(value, str) else _encode(value).decode())


def _cell(value: object) -> bytes:
    return _quoted(value).encode() if isinstance(value, str) else _encode(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
