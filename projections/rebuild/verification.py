"""Live rows beside a fresh fold of the same events, row by row and column by column; and fresh ones in their place."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.models import DecimalField, Min
from psycopg import sql

from eventstore import database
from eventstore.database import Cursor
from eventstore.roles import owner_alias
from eventstore.subscriptions import hash_ranges, row_locks
from eventstore.subscriptions.hash_ranges import ALL
from eventstore.subscriptions.queries import KEY_TEXT
from eventstore.subscriptions.row_locks import LockedRow
from projections import conf
from projections.errors import ReshardedMeanwhile
from projections.models import Difference, Generation, Part
from projections.projection import AnyProjection
from projections.rebuild import queries
from projections.rebuild.generations import close, discard, judge_discards, lock, range_of

Status = Generation.Status

CatchUp = Callable[[Cursor, AnyProjection, Generation, Part, int], None]

MOST = 10_000
"""Differences that are kept; all are counted."""


def compare(generation: Generation, projection: AnyProjection, catch_up: CatchUp) -> None:
    """Bring both to one place, and compare what a snapshot of that moment shows while feeding goes on.

    The live rows' lock is held by a connection of its own, until the snapshot is taken and no longer.
    """
    using = owner_alias()
    with ExitStack() as still:
        held = still.enter_context(_nobody_feeds(projection, using))
        with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
            row_locks.limit_waiting(cursor, "100ms")
            locked = lock(generation, using)
            if locked.status != Status.BUILDING or locked.cancelling:
                return
            judge_discards(locked)
            stand_together(cursor, projection, locked, held, catch_up)
        with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            generation.refresh_from_db(using=using)  # takes the snapshot, as the first query does
            still.close()
            _record(cursor, generation, projection)


@contextmanager
def _nobody_feeds(projection: AnyProjection, using: str) -> Iterator[list[LockedRow]]:
    """The rows of a subscriber, locked by a connection that does nothing else."""
    holder = connections[using].copy()
    try:
        holder.ensure_connection()
        with holder.connection.transaction(), holder.connection.cursor() as cursor:
            yield row_locks.lock_rows(cursor, projection, same_code=False, patience="100ms")
    finally:
        holder.close()


def _record(cursor: Cursor, generation: Generation, projection: AnyProjection) -> None:
    """Note what differs. A verification without a difference leaves nothing else; with one its rows are kept, to be
    copied, until the next verification of all rows, or of a part if this was one too.
    """
    using = owner_alias()
    if generation.status != Status.BUILDING or generation.cancelling:
        return
    Difference.objects.using(using).filter(generation=generation).delete()
    parts = _parts(generation, projection)
    parked_as = sql.SQL(KEY_TEXT).format(key=sql.SQL("differing.key"))
    query = sql.SQL(queries.COMPARE).format(**parts, scope=_scope(generation, projection), parked_as=parked_as)
    asked = {"generation": generation.pk, "projection": projection.name, "most": MOST, "keys": generation.keys}
    row = cursor.execute(query, asked).fetchone()
    assert row is not None
    generation.differing, generation.compared, kinds, columns = row
    generation.compared_upto = generation.parts.using(using).aggregate(lowest=Min("checkpoint"))["lowest"]
    counts = {"kinds": json.loads(kinds), "columns": json.loads(columns)}
    generation.changes = {**counts, "sums": _sums(cursor, generation, projection)}
    if generation.held:
        kept = ["differing", "compared", "compared_upto", "changes"]
        generation.save(using=using, update_fields=kept)
        return
    for former in Generation.objects.using(using).filter(projection=projection.name, status=Status.VERIFIED, made=True):
        if generation.whole or not former.whole:
            discard(former, projection, Status.VERIFIED)
    if generation.differing:
        close(generation, Status.VERIFIED)
    else:
        discard(generation, projection, Status.VERIFIED)


def _sums(cursor: Cursor, generation: Generation, projection: AnyProjection) -> list[dict[str, Any]]:
    """Of each column of decimals, as they are and as they would be; apart by what the projection says."""
    if not generation.whole:
        return []
    meta, apart = projection.model._meta, projection.model.sums_by
    decimals = [str(field.column) for field in meta.concrete_fields if isinstance(field, DecimalField)]
    if not decimals:
        return []
    by: sql.Composable = sql.Identifier(str(meta.get_field(apart).column)) if apart else sql.SQL("''")
    sums = sql.SQL(", ").join([sql.SQL("coalesce(sum({}), 0)::text").format(sql.Identifier(each)) for each in decimals])
    found: dict[str, dict[str, list[str]]] = {}
    for side, table in _tables(generation, projection).items():
        cursor.execute(sql.SQL(queries.SUMS).format(by=by, sums=sums, table=table))
        for group, *summed in cursor.fetchall():
            found.setdefault(group, {})[side] = summed
    nothing = ["0"] * len(decimals)
    return [
        {"column": column, "of": group, "live": live, "fresh": fresh}
        for group, sides in sorted(found.items())
        for column, live, fresh in zip(decimals, sides.get("live", nothing), sides.get("fresh", nothing), strict=True)
    ]


def stand_together(
    cursor: Cursor,
    projection: AnyProjection,
    generation: Generation,
    held: Sequence[LockedRow],
    catch_up: CatchUp,
) -> None:
    """Fold each part exactly to where the live rows of its keys stand. Raises `ReshardedMeanwhile`."""
    live = {(lease.shard, lease.shards): lease.checkpoint for lease in held}
    for part in Part.objects.using(owner_alias()).filter(generation=generation):
        place = live.get((part.shard, part.shards))
        if place is None or place < part.checkpoint:
            raise ReshardedMeanwhile
        catch_up(cursor, projection, generation, part, place)


def keys_in_question(generation: Generation) -> list[str]:
    """The keys that a repair is about: those that were asked for, or those that a verification found to differ."""
    if generation.keys is not None and generation.differing is None:
        return list(generation.keys)
    return list(Difference.objects.using(owner_alias()).filter(generation=generation).values_list("key", flat=True))


def copy_rows(cursor: Cursor, projection: AnyProjection, generation: Generation, keys: Sequence[str]) -> None:
    """Replace the live rows of these keys by the fresh ones."""
    parts = _parts(generation, projection)
    cursor.execute(sql.SQL(queries.REMOVE_ROWS).format(**parts), [list(keys)])
    cursor.execute(sql.SQL(queries.COPY_ROWS).format(**parts), [list(keys)])


def _parts(generation: Generation, projection: AnyProjection) -> dict[str, sql.Composable]:
    meta = projection.model._meta
    columns = [sql.Identifier(field.column) for field in meta.concrete_fields]
    return {
        **_tables(generation, projection),
        "key": sql.Identifier(meta.pk.column),
        "key_type": sql.SQL(str(meta.pk.db_type(connections[owner_alias()]))),
        "columns": sql.SQL(", ").join(columns),
        "live_columns": sql.SQL(", ").join(sql.SQL("live.{}").format(column) for column in columns),
        "fresh_columns": sql.SQL(", ").join(sql.SQL("fresh.{}").format(column) for column in columns),
    }


def _tables(generation: Generation, projection: AnyProjection) -> dict[str, sql.Composable]:
    table = projection.model._meta.db_table
    return {
        "live": sql.Identifier(conf.SCHEMA.get(), table),
        "fresh": sql.Identifier(generation.schema, table),
    }


def _scope(generation: Generation, projection: AnyProjection) -> sql.Composable:
    """Which rows of the live table are to be compared: those whose keys were folded."""
    key = sql.Identifier(projection.model._meta.pk.column)
    if generation.keys is not None:
        return sql.SQL(queries.AMONG_KEYS).format(key=key)
    scope = range_of(generation)
    if scope == ALL:
        return sql.SQL("true")
    return hash_ranges.holds(sql.SQL("{}::text").format(key), scope)
