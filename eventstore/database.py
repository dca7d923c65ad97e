"""The database beneath Django's connections: statements of our own, prepared once and sent together."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, NamedTuple, Self, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import atomic
from psycopg.abc import PQGen
from psycopg.generators import send
from psycopg.pq import TransactionStatus
from psycopg.rows import RowFactory, tuple_row

T = TypeVar("T")

AWAKE = 0.25
"""Seconds after which a session that is at work is heard of: a fraction of what a transaction may be idle."""


class Statement(NamedTuple):
    """A statement with its parameters, and what becomes of its rows."""

    query: str
    parameters: Sequence[Any] | Mapping[str, Any] = ()
    rows: RowFactory[Any] = tuple_row


BEGIN, COMMIT = Statement("BEGIN"), Statement("COMMIT")


class Question:
    """A statement that waits to be sent, and the rows that it is answered with."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.rows: list[Any] | None = None


class Cursor(psycopg.Cursor[Any]):
    """A cursor of psycopg, which binds on the server, and can put off what nobody waits for."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self._ahead: list[Question] = []

    def ask(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """The rows of a prepared statement."""
        statement = Statement(query, parameters)
        for question in self._ahead:
            if question.statement == statement:
                self._ahead.remove(question)
                return self._answer(question)
        return _ask(self.connection, [statement])[0]

    def _answer(self, question: Question) -> list[Any]:
        if question.rows is None:
            self.send()
        assert question.rows is not None
        return question.rows

    def ask_ahead(self, statements: Iterable[Statement]) -> None:
        """Ask what will be asked soon, so that it travels with whatever is sent next. The answers are kept until then;
        they know nothing of what is written in between. Does nothing outside of `transaction`.
        """
        if self.connection in _open:
            questions = [Question(statement) for statement in statements]
            self._ahead += questions
            _open[self.connection] += questions

    def put_off(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
        """Execute a prepared statement whose answer nobody needs: within `transaction` together with whatever comes
        next, at the latest with the COMMIT, and it may be there that it fails; elsewhere at once.
        """
        if self.connection in _open:
            _open[self.connection].append(Question(Statement(query, parameters)))
        else:
            self.ask(query, parameters)

    def send(self) -> None:
        """Execute what was put off."""
        _ask(self.connection, [])

    def awake(self, items: Iterable[T]) -> Iterator[T]:
        """These, one by one. While the caller is busy with them the session is heard of now and then, or else it would
        seem to have left its transaction.
        """
        spoken = time.monotonic()
        for item in items:
            if time.monotonic() - spoken > AWAKE:
                self.ask("SELECT 1")
                spoken = time.monotonic()
            yield item

    def execute(self, *args: Any, **kwargs: Any) -> Self:
        """As psycopg does, after what was put off."""
        self.send()
        return super().execute(*args, **kwargs)


def session(using: str = DEFAULT_DB_ALIAS) -> psycopg.Connection[Any]:
    """The psycopg connection beneath Django's, ready to prepare what asks for it.

    Django switches preparing off as a whole. Its own cursors bind on the client and never prepare, so with a threshold
    out of reach nothing changes for them, and a statement of ours that says `prepare=True` is planned once.
    """
    return session_of(connections[using])


def session_of(connection: BaseDatabaseWrapper) -> psycopg.Connection[Any]:
    """The same of a connection that Django's registry doesn't know, such as a copy of one."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    if raw.prepare_threshold is None:
        raw.prepare_threshold = sys.maxsize
    return raw


@contextmanager
def cursor(using: str = DEFAULT_DB_ALIAS) -> Iterator[Cursor]:
    """A cursor over the connection beneath Django's."""
    with Cursor(session(using)) as raw:
        yield raw


def clock(using: str = DEFAULT_DB_ALIAS) -> datetime:
    """The time by the database's clock."""
    (((now,),),) = pipeline(Statement("SELECT clock_timestamp()"), using=using)
    assert isinstance(now, datetime)
    return now


def array(values: Iterable[UUID | int | str]) -> str:
    """An array as PostgreSQL writes it: quicker than psycopg's own, which looks at every element."""
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: UUID | int | str) -> str:
    if not isinstance(value, str):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@contextmanager
def transaction(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """A durable transaction of Django's, in which BEGIN is sent with the first statements and COMMIT with the last.

    Only `pipeline` and a `Cursor` may ask first. In a test that is one transaction, this is a savepoint of it.
    """
    with atomic(using, durable=True):
        raw = session(using)
        if raw.info.transaction_status is not TransactionStatus.IDLE:
            yield
            return
        raw.autocommit = True  # so that BEGIN is left to us; Django sets it itself when its block is over
        _open[raw] = [Question(BEGIN)]
        try:
            yield
            commit(using=using)
        finally:
            _open.pop(raw, None)


def commit(*last: Statement, then: Sequence[Statement] = (), using: str = DEFAULT_DB_ALIAS) -> list[list[Any]]:
    """End a `transaction`: run its last statements, COMMIT, and ask something right after, in one round trip. Answers
    the rows of the last ones and of what is asked `then`. What else its block does is in no transaction.
    """
    raw = session(using)
    unsent = _open.pop(raw, None)
    waiting = [question.statement for question in unsent or ()]
    if unsent is None or (waiting == [BEGIN] and not last):
        return _run(raw, [*last, *then])
    found = _run(raw, [*waiting, *last, COMMIT, *then])[len(waiting) :]
    del found[len(last)]
    return found


def pipeline(*statements: Statement, using: str = DEFAULT_DB_ALIAS) -> list[list[Any]]:
    """Run statements one after the other in one round trip; answers the rows of each. Each sees its own moment."""
    return _ask(session(using), statements)


_open: WeakKeyDictionary[psycopg.Connection[Any], list[Question]] = WeakKeyDictionary()
"""The connections in a `transaction`, each with what it has yet to send: BEGIN at first, later what was put off."""

_cursors: WeakKeyDictionary[psycopg.Connection[Any], dict[str, psycopg.Cursor[Any]]] = WeakKeyDictionary()
"""The cursors that are kept of each connection, by query: to make one, and to learn what its parameters and columns
are, costs as much as encoding and checking an event.
"""


def _ask(raw: psycopg.Connection[Any], statements: Sequence[Statement]) -> list[list[Any]]:
    """Send statements after what was put off."""
    waiting = _open.get(raw)
    if not waiting:
        return _run(raw, statements)
    sent = [*waiting]
    waiting.clear()
    found = _run(raw, [*(question.statement for question in sent), *statements])
    for question, rows in zip(sent, found, strict=False):
        question.rows = rows
    return found[len(sent) :]


def _run(raw: psycopg.Connection[Any], statements: Sequence[Statement]) -> list[list[Any]]:
    if not statements:
        return []
    kept = _cursors.setdefault(raw, {})
    cursors = [
        kept.pop(statement.query) if statement.query in kept else psycopg.Cursor(raw) for statement in statements
    ]
    with _pipelined(raw) if len(statements) > 1 else nullcontext():
        for cursor, statement in zip(cursors, statements, strict=True):
            cursor.row_factory = statement.rows
            cursor.execute(statement.query, statement.parameters, prepare=True)
    kept.update({statement.query: cursor for cursor, statement in zip(cursors, statements, strict=True)})
    return [cursor.fetchall() if cursor.rownumber is not None else [] for cursor in cursors]


class _Pipeline(psycopg.Pipeline):
    """Ends with its Sync. After that psycopg's own sends a Flush, which makes PostgreSQL forget for how long a
    transaction may be idle: a process that froze would keep its locks for good.
    """

    def _exit_gen(self) -> PQGen[None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
        finally:
            if self.result_queue:
                yield from send(self.pgconn)  # what didn't fit into the socket, or both sides would wait for ever
            yield from self._fetch_gen(flush=False)


@contextmanager
def _pipelined(raw: psycopg.Connection[Any]) -> Iterator[None]:
    """`psycopg.Connection.pipeline`, with a pipeline of this kind."""
    raw._pipeline = _Pipeline(raw)
    try:
        with raw._pipeline:
            yield
    finally:
        raw._pipeline = None
