"""Read models as of a position that are kept: whoever reads them reads the same rows each time."""

from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from psycopg import sql
from psycopg.rows import dict_row

from eventstore import database
from projections.models import Generation
from projections.rebuild import queries
from projections.rebuild.generations import projection_named


def rows(generation: Generation, most: int, *, using: str = DEFAULT_DB_ALIAS) -> list[dict[str, Any]]:
    """The first of the rows that are kept, in the order of their keys, by the names of their columns."""
    with database.session(using).cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_query(generation, "{} LIMIT %s"), [most]).fetchall()


def count(generation: Generation, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """How many rows are kept."""
    with database.cursor(using) as cursor:
        found = cursor.execute(_query(generation, "SELECT count(*) FROM ({}) AS kept")).fetchone()
    return found[0] if found else 0


def as_csv(generation: Generation, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[bytes]:
    """All of them as a file of CSV with a line of names, piece by piece."""
    query = _query(generation, "COPY ({}) TO STDOUT WITH (FORMAT csv, HEADER)")
    with database.session(using).cursor() as cursor, cursor.copy(query) as copy:
        for piece in copy:
            yield bytes(piece)


def _query(generation: Generation, around: str) -> sql.Composed:
    meta = projection_named(generation.projection).model._meta
    table, key = sql.Identifier(generation.schema, meta.db_table), sql.Identifier(str(meta.pk.column))
    return sql.SQL(around).format(sql.SQL(queries.KEPT_ROWS).format(table=table, key=key))
