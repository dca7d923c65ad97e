"""What a handler may do besides changing its rows while it applies an event: warn of it. And what it may not: act.

A process that folds events, live, in a rebuild or to verify, sends no command, records no event and carries out no side
effect, whatever the handler's author wrote, nor leaves any of it to be done on commit. So nothing outside can happen
because a read model is folded once more. (What asks nobody can't be seen here: a mail that no effect sends, a thread,
SQL.)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
import structlog
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from eventstore import queries
from eventstore.errors import ActsWhileApplying
from eventstore.events import Meta

log = structlog.get_logger(__name__)


class Remark(NamedTuple):
    """What a handler warned of: the event at this position is odd, but it could be applied all the same."""

    position: int
    text: str


Then = Callable[[], object]

_remarks: ContextVar[list[Remark] | None] = ContextVar("eventstore_remarks", default=None)
_bells: WeakSet[Then] = WeakSet()
_guarded: WeakSet[BaseDatabaseWrapper] = WeakSet()


@contextmanager
def applying() -> Iterator[list[Remark]]:
    """The handlers that run within may not act; what they warn of is collected."""
    found: list[Remark] = []
    token = _remarks.set(found)
    try:
        yield found
    finally:
        _remarks.reset(token)


def refuse_to(act: str) -> None:
    """For whatever acts, to be asked first. Raises `ActsWhileApplying` within a handler that applies events."""
    if _remarks.get() is not None:
        raise ActsWhileApplying(f"A handler that applies events may not {act}: it would happen again in a rebuild.")


def guard_connection(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Within a handler a connection takes nothing to be done on commit. Called when a connection is made."""
    if connection in _guarded:
        return
    on_commit = connection.on_commit

    def guarded(func: Then, robust: bool = False) -> None:
        if func not in _bells:
            refuse_to("have something done on commit")
        on_commit(func, robust)

    connection.on_commit = guarded  # type: ignore[method-assign]  # the one door that every caller goes through
    _guarded.add(connection)


def ring_on_commit(bell: Then, *, using: str) -> None:
    """Have a bell rung on commit, which within a handler is all that may be: it only lets a worker look."""
    _bells.add(bell)
    transaction.on_commit(bell, using=using, robust=True)


def warn(meta: Meta, text: str) -> None:
    """Warn of an event, from within the handler that applies it; no personal values in the text.

    It is kept with the rows that the handler changes: what is rolled back has warned of nothing.
    """
    collected = _remarks.get()
    if collected is None:
        log.warning("handler_warned", position=meta.position, text=text)
    else:
        collected.append(Remark(meta.position, text))


def save_warnings(cursor: psycopg.Cursor[Any], subscriber: str, found: Sequence[Remark]) -> None:
    """Keep what handlers warned of."""
    if found:
        cursor.execute(queries.SAVE_WARNINGS, [subscriber, *map(list, zip(*found, strict=True))])
