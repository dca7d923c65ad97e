"""What a connection says to PostgreSQL and what it waits for, from the trace that libpq itself writes of its messages.

So nothing is counted that isn't sent: statements that share a round trip are one trip, and BEGIN is one of its own.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import NamedTuple

import psycopg

_MESSAGE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})\t([FB])\t\d+\t(\w+)\t? ?")
_BOUND = re.compile(r'"[^"]*" "([^"]*)"')
_PARSED = re.compile(r'"([^"]*)" "(.*)" \d+.*', re.DOTALL)
_OBJECT = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+(?:"?\w+"?\.)?"?(\w+)', re.IGNORECASE)
_FUNCTION = re.compile(r"\b(\w+)\(")
_PREPARED = "SELECT name, statement FROM pg_prepared_statements"


@dataclass(frozen=True)
class Trip:
    """Something was sent and its answer waited for: which statements, how long, and whether a transaction ended."""

    statements: tuple[str, ...]
    waited: float  # seconds from when the last of it was sent
    ended: bool

    @property
    def what(self) -> str:
        """Verbs and the tables that come first, the same for what is the same."""
        return " + ".join(dict.fromkeys(map(_brief, self.statements)))


class _Message(NamedTuple):
    at: datetime
    ours: bool
    kind: str
    content: str


@contextmanager
def traced(connection: psycopg.Connection, trips: list[Trip]) -> Iterator[None]:
    """Until the block ends; then adds what passed over this connection meanwhile. It slows each message a little."""
    known: dict[str, str] = dict(connection.execute(_PREPARED).fetchall())
    with TemporaryFile() as file:
        connection.pgconn.trace(file.fileno())
        try:
            yield
        finally:
            connection.pgconn.untrace()
        file.seek(0)
        trips += _trips(_messages(file.read().decode(errors="replace")), known)


def _messages(trace: str) -> Iterator[_Message]:
    """A message begins with its moment; what it says may have lines of its own."""
    begins = list(_MESSAGE.finditer(trace))
    for number, begin in enumerate(begins):
        end = begins[number + 1].start() if number + 1 < len(begins) else len(trace)
        moment, direction, kind = begin.groups()
        yield _Message(datetime.fromisoformat(moment), direction == "F", kind, trace[begin.end() : end].strip())


def _trips(messages: Iterator[_Message], known: dict[str, str]) -> Iterator[Trip]:
    """A trip is over when the server is ready again; where it ended in an idle state, so did a transaction."""
    statements, sent = list[str](), None
    for message in messages:
        if message.ours:
            sent = message.at
            statements += _statements(message, known)
        elif message.kind == "ReadyForQuery":
            waited = message.at - sent if sent else timedelta()
            yield Trip(tuple(statements), waited.total_seconds(), ended=message.content == "I")
            statements, sent = [], None


def _statements(message: _Message, known: dict[str, str]) -> Sequence[str]:
    """What a message asks to carry out; a statement that was prepared is known by its name."""
    if message.kind == "Query":
        return [message.content.strip('"')]
    if message.kind == "Parse" and (parsed := _PARSED.match(message.content)):
        known[parsed[1]] = parsed[2]
    if message.kind == "Bind" and (bound := _BOUND.match(message.content)):
        return [known.get(bound[1], "?")]
    return []


def _brief(statement: str) -> str:
    verb = statement.split(None, 1)[0].upper() if statement.strip() else "?"
    found = _OBJECT.search(statement) or (_FUNCTION.search(statement) if verb == "SELECT" else None)
    return f"{verb} {found[1]}" if found else verb
