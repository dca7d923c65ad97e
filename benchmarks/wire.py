"""What a connection says to PostgreSQL and what it waits for, from the trace that libpq itself writes of its messages.

So nothing is counted that isn't sent: statements that share a round trip are one trip, with BEGIN and COMMIT or
without, and every transaction that ends on the way counts.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from typing import NamedTuple

import psycopg

_MESSAGE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})\t([FB])\t\d+\t(\w+)\t? ?")
_BOUND = re.compile(r'"[^"]*" "([^"]*)"')
_PARSED = re.compile(r'"([^"]*)" "(.*)" \d+.*', re.DOTALL)
_PART = re.compile(r"""(?:[^;'"]|'[^']*'|"[^"]*")+""")
_ENDS = re.compile(r"\s*(?:COMMIT|END|ROLLBACK|ABORT)\b(?!.*\bTO\b)", re.IGNORECASE | re.DOTALL)
_OBJECT = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+(?:"?\w+"?\.)?"?(\w+)', re.IGNORECASE)
_FUNCTION = re.compile(r"\b(\w+)\(")
_PREPARED = "SELECT name, statement FROM pg_prepared_statements"


@dataclass(frozen=True)
class Trip:
    """Something was sent and its answer waited for: which statements, how long, and how many transactions ended.

    A transaction ends with COMMIT or ROLLBACK; what is in no block is one when the server is ready for what comes next.
    """

    statements: tuple[str, ...]
    waited: float  # seconds from when the last of it was sent
    ended: int

    @property
    def what(self) -> str:
        """Verbs and the tables that come first, the same for what is the same."""
        return " + ".join(dict.fromkeys(map(_brief, self.statements)))

    @property
    def commits(self) -> int:
        """How many of its statements are a COMMIT."""
        return sum(_brief(statement) == "COMMIT" for statement in self.statements)


class _Message(NamedTuple):
    at: float  # seconds
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
        trips += _Conversation(known).follow(_messages(file.read().decode(errors="replace")))


def _messages(trace: str) -> Iterator[_Message]:
    """A message begins with its moment; what it says may have lines of its own."""
    begins = list(_MESSAGE.finditer(trace))
    for number, begin in enumerate(begins):
        end = begins[number + 1].start() if number + 1 < len(begins) else len(trace)
        moment, direction, kind = begin.groups()
        at = datetime.fromisoformat(moment).timestamp()
        yield _Message(at, direction == "F", kind, trace[begin.end() : end].strip())


class _Conversation:
    """What was said so far, and what the server has yet to answer."""

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known  # statements that are prepared, by their names
        self._said = list[str]()
        self._unanswered = deque[str | None]()  # statements, and None where the server is to be ready again
        self._flushed = self._in_transaction = False
        self._ended = 0
        self._sent = self._heard = 0.0

    def follow(self, messages: Iterable[_Message]) -> Iterator[Trip]:
        """A trip is over when the server is ready again as often as it was asked to be; or when it was only asked for
        what it has so far, gave it, and is told more.
        """
        for message in messages:
            if message.ours:
                if self._flushed and self._heard > self._sent:
                    yield self._over()
                self._say(message)
            else:
                self._hear(message)
                if message.kind == "ReadyForQuery" and None not in self._unanswered:
                    yield self._over()

    def _over(self) -> Trip:
        trip = Trip(tuple(self._said), self._heard - self._sent, self._ended)
        self._said, self._ended, self._flushed = [], 0, False
        return trip

    def _say(self, message: _Message) -> None:
        self._sent = message.at
        statements = self._statements(message)
        self._said += statements
        self._unanswered += statements
        if message.kind in {"Query", "Sync"}:
            self._unanswered.append(None)
            self._flushed = False
        elif message.kind == "Flush":
            self._flushed = bool(self._said) and None not in self._unanswered

    def _hear(self, message: _Message) -> None:
        self._heard = message.at
        if message.kind in {"CommandComplete", "EmptyQueryResponse"} and self._unanswered:
            ends = _ENDS.match(self._unanswered.popleft() or "")
            self._in_transaction = not ends
            self._ended += bool(ends)
        elif message.kind == "ErrorResponse":
            self._in_transaction = True  # until it is rolled back, or the server is ready in no block
        elif message.kind == "ReadyForQuery":
            while self._unanswered and self._unanswered.popleft() is not None:
                pass  # what comes after an error is skipped
            if message.content == "I":
                self._ended += self._in_transaction
                self._in_transaction = False

    def _statements(self, message: _Message) -> Sequence[str]:
        """What a message asks to carry out; a statement that was prepared is known by its name."""
        if message.kind == "Query":
            return [part for part in _PART.findall(message.content[1:-1]) if part.strip()]
        if message.kind == "Parse" and (parsed := _PARSED.match(message.content)):
            self._known[parsed[1]] = parsed[2]
        if message.kind == "Bind" and (bound := _BOUND.match(message.content)):
            return [self._known.get(bound[1], "?")]
        return []


def _brief(statement: str) -> str:
    verb = statement.split(None, 1)[0].upper() if statement.strip() else "?"
    found = _OBJECT.search(statement) or (_FUNCTION.search(statement) if verb == "SELECT" else None)
    return f"{verb} {found[1]}" if found else verb
