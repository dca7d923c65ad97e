"""The SQL of a read table, compiled once from its model: load the rows of a batch, write them, delete them.

Rows are instances of the model, so the author's handlers are typed, but they are made and stored without the ORM. The
schema is named in every statement; no `search_path` decides where a row goes.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Generic, LiteralString, TypeVar

import msgspec
from django.db import connection, models
from django.db.models.base import ModelState
from psycopg import sql

from eventstore.database import Cursor, Statement
from projections import conf, queries
from projections.copy_csv import Lines
from projections.models import ReadModel

R = TypeVar("R", bound=ReadModel)


BLOCK = 1_000

_encoder = msgspec.json.Encoder()


class Table(Generic[R]):
    """The rows of one read model in one schema: the live one, or that of a generation."""

    def __init__(self, model: type[R], schema: str | None = None) -> None:
        self.model = model
        fields = model._meta.concrete_fields
        self._names = [field.attname for field in fields]
        self._json = [field.attname for field in fields if isinstance(field, models.JSONField)]
        given = [field for field in fields if field.has_default() or field.null]
        self._made: dict[str, Callable[[], Any]] = {
            field.attname: field.get_default for field in given if callable(field.default)
        }
        constant = [field for field in given if field.attname not in self._made]
        # Nothing of the ORM's will save the rows, so they share the state that it would note in each.
        self._state = {"_state": ModelState()}
        self._constant = [
            *self._state.items(),
            ("as_of", 0),
            *((field.attname, field.get_default()) for field in constant),
        ]
        key = model._meta.pk
        self.key = key.attname
        columns = {field: sql.Identifier(field.column or field.attname) for field in fields}
        replaced: list[sql.Composable] = [
            sql.SQL("{0} = excluded.{0}").format(column) for field, column in columns.items() if field is not key
        ]
        parts: dict[str, sql.Composable] = {
            "table": sql.Identifier(schema or conf.SCHEMA.get(), model._meta.db_table),
            "key": columns[key],
            "key_type": sql.SQL(str(key.db_type(connection))),
            "columns": sql.SQL(", ").join(columns.values()),
            "replaced": sql.SQL(", ").join(replaced),
        }
        self._load = _compile(queries.LOAD_ROWS, parts)
        self._write = _compile(queries.WRITE_ROWS, parts)
        self._copy = _compile(queries.COPY_ROWS, parts)
        self._line = Lines(model)
        self._delete = _compile(queries.DELETE_ROWS, parts)

    def load(self, cursor: Cursor, keys: Collection[Hashable]) -> dict[Hashable, R]:
        """The rows that exist of these keys."""
        asked = self.loading(keys)
        found = cursor.ask(asked.query, asked.parameters)
        rows = (self._row(dict(zip(self._names, values, strict=True))) for values in found)
        return {getattr(row, self.key): row for row in rows}

    def loading(self, keys: Collection[Hashable]) -> Statement:
        """What `load` asks."""
        return Statement(self._load, [list(keys)])

    def new(self, key: Hashable) -> R:
        """A row that does not exist yet, with the defaults of its fields."""
        row = self.model.__new__(self.model)
        # One by one, for so their names are kept once for all rows, and the values of a row fit in fewer cache lines.
        for name, value in self._constant:
            setattr(row, name, value)
        setattr(row, self.key, key)
        for name, make in self._made.items():
            setattr(row, name, make())
        return row

    def write(self, cursor: Cursor, rows: Iterable[R]) -> None:
        """Insert or replace rows, in one statement."""
        values = [{name: row.__dict__[name] for name in self._names} for row in rows]
        if values:
            cursor.put_off(self._write, [_encoder.encode(values).decode()])

    def copy(self, cursor: Cursor, rows: Sequence[R]) -> None:
        """Insert rows that the table doesn't have, the fastest way."""
        if not rows:
            return
        with cursor.copy(self._copy) as copy:
            for begin in range(0, len(rows), BLOCK):
                copy.write(b"".join(map(self._line, rows[begin : begin + BLOCK])))

    def delete(self, cursor: Cursor, keys: Collection[Hashable]) -> None:
        if keys:
            cursor.put_off(self._delete, [list(keys)])

    def _row(self, values: dict[str, Any]) -> R:
        for name in self._json:
            if values[name] is not None:
                values[name] = msgspec.json.decode(values[name])
        row = self.model.__new__(self.model)
        row.__dict__.update(self._state, **values)
        return row


def _compile(template: LiteralString, parts: dict[str, sql.Composable]) -> str:
    return sql.SQL(template).format(**parts).as_string()
