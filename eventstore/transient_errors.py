"""Whose fault an error is: the event's, which is then parked, or the infrastructure's, which is tried again."""

import psycopg
from celery.exceptions import SoftTimeLimitExceeded
from django import db

# Classes of SQLSTATE: unsupported, transaction, rollback, schema and privilege, resources, locks, operator, system.
INFRASTRUCTURE = frozenset({"0A", "25", "40", "42", "53", "55", "57", "58"})

WAITS = frozenset({"40001", "40P01", "55P03"})
"""A serialization failure, a deadlock, a lock that wasn't granted in time: somebody else was there first, which passes.
Not so a cancelled statement (57014): one that takes too long ten times in a row holds up everybody each time.
"""

EXHAUSTED = (SoftTimeLimitExceeded, MemoryError)
"""What is raised wherever a process happens to be when its time or memory is used up, whoever used it. (Not so a
`RecursionError`: the same event has it again.)
"""

OUTAGES = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    db.OperationalError,
    db.InterfaceError,
)
"""What is raised while the database can't be reached, or can't do anything now, or has given up on a process that said
nothing for too long: whatever a task was doing then it does again, and a line of the log says all there is to say.
"""


def is_infrastructure(error: BaseException) -> bool:
    """Whether the process ran out of time or memory, or the database, its resources or its schema failed, and not the
    event. Of the database that is told by SQLSTATE class, never by text.
    """
    cause = _database_error(error)
    exhausted = isinstance(error, EXHAUSTED) or isinstance(error.__cause__, EXHAUSTED)
    return exhausted or is_lost(error) or (cause is not None and (cause.sqlstate or "")[:2] in INFRASTRUCTURE)


def is_wait(error: BaseException) -> bool:
    """Whether nothing is broken: others were in the way, and it is for them to go on."""
    cause = _database_error(error)
    return cause is not None and cause.sqlstate in WAITS


ENDED = frozenset({"25P03", "25P04", "57P01", "57P02", "57P03", "57P05"})
"""What PostgreSQL says last: a transaction was idle or open for too long, or it is stopped, or not yet started."""


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, and with it the transaction."""
    cause = _database_error(error)
    if cause is not None and cause.sqlstate:
        return cause.sqlstate.startswith("08") or cause.sqlstate in ENDED
    return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)


def raise_if_lost(error: BaseException) -> None:
    if is_lost(error):
        raise error


def raise_if_infrastructure(error: Exception) -> None:
    if is_infrastructure(error):
        raise error


def _database_error(error: BaseException) -> psycopg.Error | None:
    """The error of psycopg itself, or the one that Django wrapped."""
    for candidate in (error, error.__cause__):
        if isinstance(candidate, psycopg.Error):
            return candidate
    return None
