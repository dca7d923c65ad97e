"""Rebuild without downtime: a second generation of the tables is filled while the live one goes on being fed; when
it has caught up, one short transaction under the live row's lock applies the tail and swaps the tables.
"""

import random
import time
from typing import Any

import psycopg
import structlog
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.utils import timezone
from psycopg import sql

from eventstore import store
from eventstore.context import process_name
from eventstore.failures import is_infrastructure, is_lost
from eventstore.parking import describe
from eventstore.roles import owner_alias
from eventstore.subscribers import Work, registry
from projections.errors import NotRebuilding, RebuildRunning, UnknownProjection
from projections.models import Generation
from projections.projection import Projection
from projections.tables import Table

log = structlog.get_logger(__name__)

BATCH = 2_000
SWAP_WITHIN = 30.0
LONGEST = 20.0

_LOCK_LIVE = "SELECT checkpoint FROM eventstore_subscriber WHERE name = %s FOR NO KEY UPDATE"
_GO_LIVE = """UPDATE eventstore_subscriber
    SET checkpoint = greatest(checkpoint, %s), version = %s, wanted = %s, failures = 0, retry_at = NULL,
        status = CASE status WHEN 'halted' THEN 'running' ELSE status END, last_error = '', last_error_at = NULL,
        moved_at = clock_timestamp() WHERE name = %s"""
_UNPARK = "DELETE FROM eventstore_parked WHERE subscriber_id = %s"
_IN_THE_WAY = """SELECT string_agg(format('%%s (pid %%s, %%s s): %%s',
        coalesce(nullif(application_name, ''), usename), pid,
        extract(epoch FROM clock_timestamp() - xact_start)::int, left(query, 200)), E'\n')
    FROM pg_stat_activity WHERE pid IN (
        SELECT pid FROM pg_locks WHERE relation = %s::regclass AND granted AND pid <> pg_backend_pid())"""


def projection_named(name: str) -> Projection[Any]:
    """Raises `UnknownProjection`."""
    for subscriber in registry:
        if subscriber.name == name and isinstance(subscriber, Projection):
            return subscriber
    raise UnknownProjection(f"No projection is declared as {name!r}.")


def begin(name: str, *, requested_by: str = "") -> Generation:
    """Make an empty generation of a projection's table; a worker fills it. Raises `RebuildRunning`."""
    projection = projection_named(name)
    using = owner_alias()
    try:
        with transaction.atomic(using):
            generation = Generation.objects.using(using).create(
                projection=name,
                version=projection.version,
                wanted=projection.wanted,
                target=store.head(using=using),
                requested_by=requested_by,
            )
            _make_table(projection, generation, using)
    except IntegrityError as error:
        raise RebuildRunning from error
    return generation


def cancel(name: str) -> None:
    """Ask the rebuild of a projection to stop; whatever it made is dropped. Raises `NotRebuilding`."""
    changed = Generation.objects.filter(projection=name, status=Generation.Status.BUILDING).update(cancelling=True)
    if not changed:
        raise NotRebuilding


def build(generation_id: int) -> bool:
    """Fill a generation and swap it in. False when it isn't finished yet, or somebody else is at it.

    Each batch is a transaction under the generation's row lock, so a killed worker loses at most one.
    """
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST:
        step = _step(generation_id)
        if step is None:
            return False
        if step:
            return True
    return False


def _step(generation_id: int) -> bool | None:
    """One batch, or the swap. True when the generation needs no more work, None when another worker holds it."""
    using = owner_alias()
    with transaction.atomic(using, durable=True):
        generation = (
            Generation.objects.using(using).select_for_update(skip_locked=True).filter(pk=generation_id).first()
        )
        if generation is None:
            return None
        if generation.status != Generation.Status.BUILDING:
            return True
        if generation.cancelling:
            _end(generation, Generation.Status.CANCELLED, using)
            return True
        try:
            with transaction.atomic(using):
                projection = projection_named(generation.projection)
                if (projection.version, projection.wanted) != (generation.version, generation.wanted):
                    return None
                horizon = store.horizon(generation.checkpoint, using=using)
                caught_up = not _fold(projection, generation, horizon, BATCH, using)
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.exception("rebuild_failed", projection=generation.projection, generation=generation.pk)
            _end(generation, Generation.Status.FAILED, using, describe(error))
            return True
    return _swap(generation_id, projection) if caught_up else False


def _fold(projection: Projection[Any], generation: Generation, upto: int, limit: int, using: str) -> bool:
    """Fold the next events into the generation's table. False when fewer than a full batch were left."""
    events = store.read(generation.checkpoint, upto, projection.types, limit, using=using)
    work = [Work(key, recorded) for recorded in events for key in projection.keys(recorded)]
    if work:
        with store.cursor(using) as cursor:
            projection.fold(cursor, Table(projection.model, generation.schema), work)
    full = len(events) == limit
    generation.checkpoint = events[-1].position if full else max(upto, generation.checkpoint)
    generation.processed += len(events)
    generation.built_by = process_name()
    generation.save(using=using, update_fields=["checkpoint", "processed", "built_by"])
    return full


def _swap(generation_id: int, projection: Projection[Any]) -> bool:
    """Try until the table's lock is free for a moment: readers come first."""
    using = owner_alias()
    table = projection.model._meta.db_table
    begun = time.monotonic()
    with store.cursor(using) as cursor:
        cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(f"generation_{generation_id}", table)))
    while time.monotonic() - begun < SWAP_WITHIN:
        try:
            with transaction.atomic(using, durable=True):
                return _swap_now(generation_id, projection, using)
        except (psycopg.Error, DatabaseError) as error:
            if is_lost(error) or not is_infrastructure(error):
                raise
            _name_the_blocker(generation_id, table, using)
            time.sleep(random.uniform(0.05, 0.5))
    return False


def _swap_now(generation_id: int, projection: Projection[Any], using: str) -> bool:
    table = projection.model._meta.db_table
    with store.cursor(using) as cursor:
        cursor.execute("SET LOCAL lock_timeout = '100ms'")
        row = cursor.execute(_LOCK_LIVE, [projection.name]).fetchone()
        live_checkpoint = row[0] if row else 0
        generation = Generation.objects.using(using).select_for_update().get(pk=generation_id)
        if generation.status != Generation.Status.BUILDING or generation.cancelling:
            return generation.status != Generation.Status.BUILDING
        # The horizon can fall back a little, so the tail reads to whichever is greatest.
        upto = max(store.horizon(using=using), live_checkpoint, generation.checkpoint)
        while _fold(projection, generation, upto, BATCH, using):
            pass
        old = _retire_live(projection, live_checkpoint, using)
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(old.schema)))
        _move(cursor, table, "public", old.schema)
        _move(cursor, table, generation.schema, "public")
        cursor.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(generation.schema)))
        cursor.execute(_UNPARK, [projection.name])
        cursor.execute(_GO_LIVE, [generation.checkpoint, projection.version, projection.wanted, projection.name])
        generation.status, generation.finished_at, generation.waits_for = Generation.Status.LIVE, timezone.now(), ""
        generation.save(using=using)
    log.info("generation_live", projection=projection.name, generation=generation.pk, checkpoint=generation.checkpoint)
    return True


def _retire_live(projection: Projection[Any], checkpoint: int, using: str) -> Generation:
    """The generation that is live now, marked as old. Of older ones only the record is kept."""
    own = Generation.objects.using(using).filter(projection=projection.name)
    for older in own.filter(status=Generation.Status.OLD):
        _drop(older, using)
    own.filter(status=Generation.Status.OLD).update(status=Generation.Status.DROPPED)
    live = own.filter(status=Generation.Status.LIVE).first() or Generation(
        projection=projection.name, version=projection.version, wanted=projection.wanted, target=0
    )
    live.status, live.checkpoint = Generation.Status.OLD, checkpoint
    live.save(using=using)
    return live


def _move(cursor: psycopg.Cursor[Any], table: str, source: str, destination: str) -> None:
    cursor.execute(
        sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(source, table), sql.Identifier(destination))
    )


def _make_table(projection: Projection[Any], generation: Generation, using: str) -> None:
    """The schema editor makes the table where `search_path` says, with the names that the migrations use."""
    connection = connections[using]
    schema = sql.Identifier(generation.schema)
    with store.cursor(using) as cursor:
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        cursor.execute(sql.SQL("SET LOCAL search_path TO {}").format(schema))
        with connection.schema_editor(atomic=False) as editor:
            editor.create_model(projection.model)
        cursor.execute("SET LOCAL search_path TO DEFAULT")
        _copy_grants(cursor, projection.model._meta.db_table, generation.schema)


def _copy_grants(cursor: psycopg.Cursor[Any], table: str, schema: str) -> None:
    """Owner and privileges are those of the live table."""
    owner = cursor.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'public' AND tablename = %s", [table])
    name = owner.fetchone()
    target = sql.Identifier(schema, table)
    if name:
        cursor.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(target, sql.Identifier(name[0])))
    granted = cursor.execute(
        """SELECT grantee, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = 'public' AND table_name = %s""",
        [table],
    ).fetchall()
    for grantee, privilege in granted:
        role = sql.SQL("PUBLIC") if grantee == "PUBLIC" else sql.Identifier(grantee)
        cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privilege), target, role))
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), role))


def _end(generation: Generation, status: Generation.Status, using: str, error: str = "") -> None:
    _drop(generation, using)
    generation.status, generation.error, generation.finished_at = status, error, timezone.now()
    generation.save(using=using)


def _drop(generation: Generation, using: str) -> None:
    """Drop what a generation still holds in schemas of its own; never anything that somebody came to depend on."""
    table = projection_named(generation.projection).model._meta.db_table
    with store.cursor(using) as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(generation.schema, table)))
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(generation.schema)))


def _name_the_blocker(generation_id: int, table: str, using: str) -> None:
    with store.cursor(using) as cursor:
        row = cursor.execute(_IN_THE_WAY, [f"public.{table}"]).fetchone()
    blocker = (row[0] if row else None) or ""
    Generation.objects.using(using).filter(pk=generation_id).update(waits_for=blocker)
    log.info("swap_waits", generation=generation_id, waits_for=blocker)
