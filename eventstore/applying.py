"""What a handler may do besides changing its rows while it applies an event: remark on it. And what it may not: act.

Whoever folds events, live, in a rebuild or to verify, sends no command, records no event and carries out no side
effect, whatever its author wrote, nor leaves any of it to be done on commit. So nothing outside can happen because a
read model is folded once more. (What asks nobody can't be seen here: a mail that no effect sends, a thread, SQL.)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
import structlog
from django.db import connections, transaction

from eventstore.errors import ActsWhileApplying
from eventstore.events import Meta

log = structlog.get_logger(__name__)

_WARN = """INSERT INTO eventstore_warning (subscriber, position, text)
    SELECT %s, * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING"""


class Remark(NamedTuple):
    """One remark about the event at a position: odd, but it could be applied all the same."""

    position: int
    text: str


Then = Callable[[], object]

_remarks: ContextVar[list[Remark] | None] = ContextVar("eventstore_remarks", default=None)
_bells: WeakSet[Then] = WeakSet()


@contextmanager
def applying() -> Iterator[list[Remark]]:
    """The handlers that run within may not act; what they remark is collected.

    Raises `ActsWhileApplying` if one of them leaves something to be done on commit.
    """
    found: list[Remark] = []
    token = _remarks.set(found)
    before = {alias: len(connections[alias].run_on_commit) for alias in connections}
    left = 0
    try:
        yield found
    finally:
        _remarks.reset(token)
        left = sum(_drop(alias, count) for alias, count in before.items())
    if left:
        raise _refused("have something done on commit")


def refuse_to(act: str) -> None:
    """For whatever acts, to be asked first. Raises `ActsWhileApplying` within a handler that applies events."""
    if _remarks.get() is not None:
        raise _refused(act)


def ring_on_commit(bell: Then, *, using: str) -> None:
    """Have a bell rung on commit, which within a handler is all that may be: it only lets somebody look."""
    _bells.add(bell)
    transaction.on_commit(bell, using=using, robust=True)


def warn(meta: Meta, text: str) -> None:
    """Remark on an event, from within the handler that applies it; no personal values in the text.

    It is kept with the rows that the handler changes: what is rolled back has warned of nothing.
    """
    collected = _remarks.get()
    if collected is None:
        log.warning("handler_warned", position=meta.position, text=text)
    else:
        collected.append(Remark(meta.position, text))


def _drop(alias: str, count: int) -> int:
    """Let nothing be done on commit beyond so much, but for bells; answers how much there was."""
    waiting = connections[alias].run_on_commit
    kept = [each for each in waiting[count:] if each[1] in _bells]
    dropped = len(waiting) - count - len(kept)
    waiting[count:] = kept
    return dropped


def _refused(act: str) -> ActsWhileApplying:
    return ActsWhileApplying(f"A handler that applies events may not {act}: it would happen again in a rebuild.")


def record(cursor: psycopg.Cursor[Any], subscriber: str, found: Sequence[Remark]) -> None:
    """Keep what was remarked."""
    if found:
        cursor.execute(_WARN, [subscriber, *map(list, zip(*found, strict=True))])
