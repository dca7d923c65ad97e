"""The database beneath Django's connections: statements of our own, prepared once and sent together."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.rows import RowFactory, tuple_row


class Statement(NamedTuple):
    """A statement with its parameters, and what becomes of its rows."""

    query: str
    parameters: Sequence[Any] | Mapping[str, Any] = ()
    rows: RowFactory[Any] = tuple_row


def session(using: str = DEFAULT_DB_ALIAS) -> psycopg.Connection[Any]:
    """The psycopg connection beneath Django's, ready to prepare what asks for it.

    Django switches preparing off as a whole. Its own cursors bind on the client and never prepare, so with a threshold
    out of reach nothing changes for them, and a statement of ours that says `prepare=True` is planned once.
    """
    return session_of(connections[using])


def session_of(connection: BaseDatabaseWrapper) -> psycopg.Connection[Any]:
    """The same of a connection that Django's registry doesn't know, such as a copy of one."""
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    if raw.prepare_threshold is None:
        raw.prepare_threshold = sys.maxsize
    return raw


@contextmanager
def cursor(using: str = DEFAULT_DB_ALIAS) -> Iterator[psycopg.Cursor[Any]]:
    """A cursor of psycopg, which binds on the server."""
    with psycopg.Cursor(session(using)) as raw:
        yield raw


def clock(using: str = DEFAULT_DB_ALIAS) -> datetime:
    """The time by the database's clock."""
    (((now,),),) = pipeline(Statement("SELECT clock_timestamp()"), using=using)
    assert isinstance(now, datetime)
    return now


def pipeline(*statements: Statement, using: str = DEFAULT_DB_ALIAS) -> list[list[Any]]:
    """Run statements one after the other in one round trip; answers the rows of each. Each sees its own moment."""
    raw = session(using)
    with raw.pipeline() if len(statements) > 1 else nullcontext():
        cursors = [_run(raw, index, statement) for index, statement in enumerate(statements)]
    return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


_cursors: WeakKeyDictionary[psycopg.Connection[Any], list[psycopg.Cursor[Any]]] = WeakKeyDictionary()
"""The cursors that `pipeline` keeps of each connection: making one costs as much as encoding and checking an event."""


def _run(raw: psycopg.Connection[Any], index: int, statement: Statement) -> psycopg.Cursor[Any]:
    kept = _cursors.get(raw)
    if kept is None:
        kept = _cursors[raw] = []
    while len(kept) <= index:
        kept.append(psycopg.Cursor(raw))
    kept[index].row_factory = statement.rows
    return kept[index].execute(statement.query, statement.parameters, prepare=True)
