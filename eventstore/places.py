"""Places that one process at a time can take, in all processes together, without a transaction and without waiting.

They are advisory locks of a session, so a place is free again when its process is killed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS

from eventstore import store
from eventstore.failures import is_infrastructure

_TAKE = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
_LEAVE = "SELECT pg_advisory_unlock(%s, hashtext(%s))"


@contextmanager
def place(family: int, names: Sequence[str], *, using: str = DEFAULT_DB_ALIAS) -> Iterator[bool]:
    """The first of these places of a family that is free, for as long as this lasts; False if others have them all."""
    with store.cursor(using) as cursor:
        ours = next((name for name in names if cursor.execute(_TAKE, [family, name]).fetchone() == (True,)), None)
    try:
        yield ours is not None
    finally:
        if ours is not None:
            _leave(family, ours, using)


def _leave(family: int, name: str, using: str) -> None:
    """Where the connection is lost, so is the place."""
    try:
        with store.cursor(using) as cursor:
            cursor.execute(_LEAVE, [family, name])
    except Exception as error:
        if not is_infrastructure(error):
            raise
