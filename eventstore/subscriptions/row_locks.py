"""The rows of a subscriber, held by an operator: nobody feeds it meanwhile.

Feeders never wait for a row; an operator does, for a few seconds, and before touching any read table.
"""

from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from eventstore.errors import Busy, UnknownSubscriber
from eventstore.subscriptions import queries
from eventstore.subscriptions.subscriber import Subscriber


class LockedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is ours until the transaction ends."""

    name: str
    shard: int
    shards: int
    status: str
    checkpoint: int
    version: int
    types_hash: str
    fingerprint: str


def lock_rows(
    cursor: psycopg.Cursor[Any], subscriber: Subscriber, *, same_code: bool = True, patience: str = "5s"
) -> list[LockedRow]:
    """Lock all rows of a subscriber. With `same_code` only if this process could feed them.

    Every lock of the transaction is waited for no longer than `patience`. Raises `Busy` when they can't be had,
    `UnknownSubscriber` when there are none yet.
    """
    held = lock_rows_named(cursor, subscriber.declared, patience=patience)
    if same_code and not all(subscriber.is_at(row.version, row.types_hash) for row in held):
        raise Busy(f"{subscriber.declared} was last fed by another version of its code than runs here.")
    return held


def lock_rows_named(cursor: psycopg.Cursor[Any], name: str, *, patience: str = "5s") -> list[LockedRow]:
    """The same for a subscriber that this code may not have, by the name under which it was declared."""
    limit_waiting(cursor, patience)
    try:
        with psycopg.Cursor(cursor.connection, row_factory=class_row(LockedRow)) as rows:
            # Whoever waited for rows that were replaced meanwhile, by splitting, has to look anew to see the new ones.
            held = rows.execute(queries.LOCK_ROWS, [name]).fetchall()
            held = held or rows.execute(queries.LOCK_ROWS, [name]).fetchall()
    except psycopg.errors.LockNotAvailable as error:
        raise Busy(f"{name} is being fed without a pause: try again in a moment.") from error
    if not held:
        raise UnknownSubscriber(f"{name} has no row yet: it gets one when something is first appended.")
    return held


def limit_waiting(cursor: psycopg.Cursor[Any], patience: str) -> None:
    """Every lock of the transaction is waited for no longer than this."""
    cursor.execute(queries.SET_LOCK_TIMEOUT, [patience])
