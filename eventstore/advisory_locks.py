"""Every advisory lock of the three apps: its number, who takes it, and whether SQL takes it too.

A lock of PostgreSQL's two-key space has a number from here as its first key, and a hash of what it is about as its
second. The announcement of an append has a space of its own, with the number in its upper bits.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS

from eventstore import database, queries
from eventstore.transient_errors import is_infrastructure

ANNOUNCE = 20037
"""Held, shared, by each transaction that appends, keyed by the last position taken before: the horizon is read from it.
Taken in `sql/append_v2.sql`, read in `sql/horizon_v3.sql`.
"""

STREAM = 20038
"""Held by who decides about a hot stream, and by each append for its streams. Taken in `sql/load_v1.sql` and
`sql/append_v2.sql`.
"""

COMMAND = 20039
"""Held by who carries out a command, so that a repeat waits for the first and then finds it carried out. Taken in
`sql/load_v1.sql`, and for many commands at once by `queries.LOCK_COMMANDS`.
"""

CLAIM = 20040
"""Held by an append for the values that it claims or releases. Taken in `sql/append_v2.sql` alone."""

SAGA_INSTANCE = 20041
"""Held by who sends a command of a saga's instance: one at a time, and in order."""

HEALTH_CHECK = 20042
"""Held by the one process that looks at the health of everything."""

GENERATION_END = 20043
"""Held by the one worker that ends a generation of a projection."""

EFFECT_SLOT = 20044
"""Held by who carries out an effect: as many slots as may act at once, in all processes together."""

FEEDER = 20045
"""Held by who feeds the sync subscribers, taken in `sql/acquire_v3.sql`; who waits for it takes it shared, in
`sql/take_turn_v2.sql` and `sql/await_feeder_v1.sql`. The second of its kind is held by who of them is the next to feed.
"""

IMPORT = 20046
"""Held by the one process that imports a file."""

REHEARSAL = 20047
"""Held by the one worker that rehearses a saga."""

KEYED_CALL = 20048
"""Held by who carries out a call to which its client gave a key."""

WEBHOOKS = 20049
"""Held by the one worker that takes up webhooks."""

RELAY = 20050
"""Held by the one process that publishes the log to a broker."""


@contextmanager
def slot(family: int, names: Sequence[str], *, using: str = DEFAULT_DB_ALIAS) -> Iterator[bool]:
    """The first free one of these locks of a family, for as long as this lasts; False if others hold them all.

    It never waits and needs no transaction. The lock belongs to the session, so it is free again when its process is
    killed.
    """
    with database.cursor(using) as cursor:
        taken = (name for name in names if cursor.execute(queries.TRY_SLOT, [family, name]).fetchone() == (True,))
        ours = next(taken, None)
    try:
        yield ours is not None
    finally:
        if ours is not None:
            _release(family, ours, using)


def _release(family: int, name: str, using: str) -> None:
    """Where the connection is lost, so is the lock."""
    try:
        with database.cursor(using) as cursor:
            cursor.execute(queries.RELEASE_SLOT, [family, name])
    except Exception as error:
        if not is_infrastructure(error):
            raise
