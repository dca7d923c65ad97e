"""The end of a generation that has caught up: swapped in, compared, copied from, or kept; or given up.

The order of locks is that of everybody: live rows, the generation's row, its parts, tables; before them all one that
only the maintenance of the tables notices. What is short happens under all of them; whoever reads a table meanwhile
never waits for more than a moment, and what can't be had is tried again.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import structlog
from django.db import DatabaseError, transaction

from eventstore import advisory_locks, database, signals
from eventstore.advisory_locks import slot
from eventstore.errors import Busy, TooManyFailures
from eventstore.models import HandlerWarning, ParkedEvent, SkippedRange
from eventstore.roles import owner_alias
from eventstore.subscriptions import row_locks
from eventstore.subscriptions.parking import STREAM, describe, text
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.row_locks import LockedRow
from eventstore.subscriptions.subscriber import Subscriber
from eventstore.transient_errors import is_infrastructure, is_lost
from projections.errors import BeginAgain, StreamHeld
from projections.models import Generation, Part
from projections.projection import AnyProjection
from projections.rebuild import generation_tables, queries, verification
from projections.rebuild.generations import close, discard, judge_discards, lock
from projections.rebuild.part import catch_up, final, limit

log = structlog.get_logger(__name__)

Status, Purpose = Generation.Status, Generation.Purpose

BATCH = 500
NEAR = 5_000
"""Positions that a part may still be behind, for they are folded while nobody feeds."""

WITHIN = 30.0
"""Seconds to find a moment in which nobody holds the live table; then others have a turn, and it is tried again."""


def finish(generation: Generation, projection: AnyProjection) -> bool:
    """End a generation, if all its parts have caught up, or leave it as it is until it is approved. False when it is to
    be tried again.
    """
    using = owner_alias()
    # Two would gather statistics twice, and be in each other's way.
    with slot(advisory_locks.GENERATION_END, [str(generation.pk)], using=using) as alone:
        return alone and (
            _is_over(generation, using) or generation.is_waiting or _finish(generation, projection, using)
        )


def _finish(generation: Generation, projection: AnyProjection, using: str) -> bool:
    read = generation.purpose != Purpose.REPAIR
    try:
        if not _near(generation, projection, using):
            return False
        if generation.purpose == Purpose.VERIFY or generation.awaits_approval:
            return _try(generation, projection, lambda: verification.compare(generation, projection, catch_up))
        if not _prepare(generation, projection, using, indexes=read) or not _near(generation, projection, using):
            return False
    except BeginAgain as error:
        fail(generation, projection, str(error))
        return True
    end = ENDS[Purpose(generation.purpose)]
    return _try(generation, projection, lambda: end(generation, projection, using))


def cancel(generation: Generation, projection: AnyProjection) -> None:
    """Give up a generation, as somebody asked. One that was made before, to be rolled back to, is kept.

    Whoever ends it now sees that it is to be given up, and leaves it to the next who looks.
    """
    with slot(advisory_locks.GENERATION_END, [str(generation.pk)], using=owner_alias()) as alone:
        if alone:
            _cancel(generation, projection)


def _cancel(generation: Generation, projection: AnyProjection) -> None:
    with transaction.atomic(owner_alias(), durable=True):
        locked = lock(generation, owner_alias())
        if locked.status == Status.BUILDING:
            if locked.purpose == Purpose.ROLLBACK:
                close(locked, Status.OLD)
            else:
                discard(locked, projection, Status.CANCELLED)


def fail(generation: Generation, projection: AnyProjection, error: str) -> None:
    """Give up a generation, because of an error. The live rows are as they were."""
    log.error("generation_failed", projection=projection.name, generation=generation.pk, error=error)
    with transaction.atomic(owner_alias(), durable=True):
        locked = lock(generation, owner_alias())
        if locked.status == Status.BUILDING:
            locked.error = error
            if locked.purpose == Purpose.ROLLBACK:
                close(locked, Status.OLD)
            else:
                discard(locked, projection, Status.FAILED)


def _near(generation: Generation, projection: AnyProjection, using: str) -> bool:
    """Whether little is left to fold for any part. Raises `BeginAgain`."""
    parts = Part.objects.using(using).filter(generation=generation)
    return all(part.checkpoint >= limit(projection, generation, part, using) - NEAR for part in parts)


def _prepare(generation: Generation, projection: AnyProjection, using: str, *, indexes: bool) -> bool:
    """Make the indexes, one a transaction, and gather statistics, while nobody folds. False when somebody does, or when
    it is to end.
    """
    parts = Part.objects.using(using).filter(generation=generation)
    while True:
        with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
            held = parts.select_for_update(skip_locked=True)
            generation.refresh_from_db(using=using)
            if len(held) < parts.count() or generation.status != Status.BUILDING or generation.cancelling:
                return False
            missing = generation_tables.missing_indexes(generation) if indexes else []
            if not missing:
                generation_tables.analyze(projection.model, generation)
                return True
            cursor.execute(missing[0])


def _is_over(generation: Generation, using: str) -> bool:
    generation.refresh_from_db(using=using)
    return generation.status != Status.BUILDING


def _try(generation: Generation, projection: AnyProjection, end: Callable[[], None]) -> bool:
    """Until the locks are free for a moment: readers come first."""
    begun = time.monotonic()
    while time.monotonic() - begun < WITHIN:
        if _is_over(generation, owner_alias()):
            return True
        try:
            end()
        except (psycopg.Error, DatabaseError, Busy) as error:
            if is_lost(error):
                raise
            if not isinstance(error, Busy) and not is_infrastructure(error):
                fail(generation, projection, describe(error))
                return True
            _name_the_blocker(generation, projection)
            time.sleep(random.uniform(0.05, 0.5))
        except (TooManyFailures, BeginAgain) as error:
            fail(generation, projection, str(error))
            return True
        else:
            signals.moved.send(sender=Subscriber, subscriber=projection.name)
            return True
    return False


def _name_the_blocker(generation: Generation, projection: AnyProjection) -> None:
    blocker = generation_tables.in_the_way(projection.model, generation)
    building = Generation.objects.using(owner_alias()).filter(pk=generation.pk, status=Status.BUILDING)
    building.update(waits_for=blocker)
    log.info("generation_waits", generation=generation.pk, waits_for=blocker)


def _hold(
    cursor: psycopg.Cursor[Any], generation: Generation, projection: AnyProjection, using: str
) -> tuple[list[LockedRow], Generation] | None:
    """Live rows, generation and parts, in this order. None when the generation has ended, or is to."""
    held = row_locks.lock_rows(cursor, projection, same_code=False, patience="100ms")
    locked = lock(generation, using)
    if locked.status != Status.BUILDING or locked.cancelling:
        return None
    judge_discards(locked)
    return held, locked


def _swap(generation: Generation, projection: AnyProjection, using: str) -> None:
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        generation_tables.keep_maintenance_out(cursor, projection.model, generation)
        found = _hold(cursor, generation, projection, using)
        if found is None:
            return
        held, new = found
        # The horizon can fall back a little, so the tail reads to whichever is greatest.
        parts = Part.objects.using(using).filter(generation=new)
        stands = [*(lease.checkpoint for lease in held), *parts.values_list("checkpoint", flat=True)]
        upto = max(final(projection, -1, using), *stands)
        for part in parts:
            catch_up(cursor, projection, new, part, upto)
        old = _retire(projection, held, using)
        generation_tables.swap(cursor, projection.model, new, old)
        _exchange_notes(projection.name, new, old, using)
        identity = [projection.version, projection.types_hash, new.fingerprint]
        cursor.execute(queries.GO_LIVE, [upto, *identity, projection.name])
        users = [each.name for each in registry if projection.name in each.uses]
        cursor.execute(queries.MARK_STALE, [f"uses {projection.name}, which was rebuilt since", users])
        new.made = False
        close(new, Status.LIVE)
    log.info("generation_live", projection=projection.name, generation=new.pk, checkpoint=upto)


def _retire(projection: AnyProjection, held: Sequence[LockedRow], using: str) -> Generation:
    """The generation that is live now, as the old one. Of older ones, and of what was compared with it, only the record
    is kept.
    """
    own = Generation.objects.using(using).filter(projection=projection.name)
    for older in own.filter(status=Status.OLD):
        discard(older, projection, Status.DROPPED)
    for verified in own.filter(status=Status.VERIFIED, made=True):
        discard(verified, projection, Status.VERIFIED)
    live = own.filter(status=Status.LIVE).first() or Generation(projection=projection.name, target=0)
    live.version, live.types_hash, live.fingerprint = held[0].version, held[0].types_hash, held[0].fingerprint
    live.status, live.made = Status.OLD, True
    live.save(using=using)
    live.parts.all().delete()
    Part.objects.using(using).bulk_create(
        Part(generation=live, shard=lease.shard, shards=lease.shards, checkpoint=lease.checkpoint) for lease in held
    )
    return live


def _exchange_notes(name: str, new: Generation, old: Generation, using: str) -> None:
    """What is parked, remarked and skipped goes where its rows go."""
    for model in (ParkedEvent, HandlerWarning, SkippedRange):
        model._default_manager.using(using).filter(subscriber=name).update(subscriber=old.parked_as)
        model._default_manager.using(using).filter(subscriber=new.parked_as).update(subscriber=name)


def _repair(generation: Generation, projection: AnyProjection, using: str) -> None:
    """Put the rows of the keys in question in place of the live ones, with what is parked of them."""
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        generation_tables.keep_maintenance_out(cursor, projection.model, generation)
        found = _hold(cursor, generation, projection, using)
        if found is None:
            return
        held, locked = found
        verification.stand_together(cursor, projection, locked, held, catch_up)
        keys = verification.keys_in_question(locked)
        verification.copy_rows(cursor, projection, locked, keys)
        parked = ParkedEvent.objects.using(using).filter(key__in=map(text, keys))
        # Those of the live rows, applied in these, would be applied once more when they are retried. Those of these
        # rows may be of one of the keys, and would be lost.
        both = [projection.name, locked.parked_as]
        if ParkedEvent.objects.using(using).filter(subscriber__in=both, key__startswith=STREAM).exists():
            raise StreamHeld
        parked.filter(subscriber=projection.name).delete()
        parked.filter(subscriber=locked.parked_as).update(subscriber=projection.name)
        discard(locked, projection, Status.REPAIRED)
    log.info("rows_repaired", projection=projection.name, generation=locked.pk, keys=len(keys))


def _keep(generation: Generation, projection: AnyProjection, using: str) -> None:
    """Let the rows be as they are from now on: whoever could read and write them can read them."""
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        locked = lock(generation, using)
        if locked.status != Status.BUILDING or locked.cancelling:
            return
        for part in Part.objects.using(using).filter(generation=locked):
            catch_up(cursor, projection, locked, part, locked.target)
        generation_tables.make_read_only(cursor, projection.model, locked)
        close(locked, Status.KEPT)
    log.info("generation_kept", projection=projection.name, generation=locked.pk, upto=locked.target)


ENDS = {Purpose.REBUILD: _swap, Purpose.ROLLBACK: _swap, Purpose.REPAIR: _repair, Purpose.AS_OF: _keep}
"""What becomes of a generation in the end that isn't compared alone."""
