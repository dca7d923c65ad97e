"""Filling a generation: one part of it is folded from the log, a transaction at a time, until it has caught up.

Each transaction is under the lock of the part's row and moves its checkpoint, so a killed worker loses at most one, and
two workers never fold the same part. Events that can't be folded are parked for the generation, as they are for the
live rows; it goes on without them.
"""

import time
from collections.abc import Generator
from enum import Enum
from math import inf
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from eventstore import database, handler_guard, store
from eventstore.codec import Recorded
from eventstore.context import process_name
from eventstore.database import Cursor
from eventstore.errors import TooManyFailures
from eventstore.roles import owner_alias
from eventstore.subscriptions.parking import describe
from eventstore.transient_errors import raise_if_infrastructure
from projections.errors import BeginAgain
from projections.models import Generation, Part
from projections.projection import AnyProjection
from projections.rebuild import event_filter, generation_tables, swap
from projections.rebuild.bulk import Bulk
from projections.rebuild.generations import is_ours, projection_named
from projections.rebuild.part import PartFold, limit

log = structlog.get_logger(__name__)

BATCH = 3.0
"""Seconds of folding in one transaction: what a killed worker loses, and a cancelling waits for, at most."""

PER_SECOND = 5
"""Transactions, where events a second are limited."""

CAUTIOUS = 500
NO_LIMIT = 2**62
PAUSE = 0.1
"""Seconds to leave to others, when what is next is theirs to do."""

LONGEST = 20.0
"""Seconds after which others have a turn."""

Status = Generation.Status


class StepOutcome(Enum):
    """What became of one step."""

    MORE = "there is more to fold"
    CAUGHT_UP = "this part has caught up"
    OVER = "the generation has ended"
    ELSEWHERE = "another worker is at it, or only other code can do it"


def build(part_id: int) -> bool:
    """Fold a part for a while, and end the generation once all its parts have caught up.

    False when it is to be taken up again: it isn't finished, or somebody else is at it.
    """
    filler = Builder(part_id)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < LONGEST:
            outcome = filler.step()
            if outcome is StepOutcome.CAUGHT_UP and swap.finish(filler.generation, filler.projection):
                return True
            if outcome is StepOutcome.OVER:
                return True
            if outcome is not StepOutcome.MORE:
                time.sleep(PAUSE)
                return False
    finally:
        filler.close()
    return False


def complete(generation: Generation) -> Generation:
    """Fold a generation to its end, or until it waits for somebody's approval, in this process, as a command or a test
    wants it; answers what became of it.
    """
    while generation.status == Status.BUILDING and not generation.is_waiting:
        for part in generation.parts.all():
            build(part.pk)
        generation.refresh_from_db()
    return generation


def make(generation: Generation, projection: AnyProjection) -> None:
    """Make the tables of a generation, once."""
    with transaction.atomic(owner_alias(), durable=True):
        locked = Generation.objects.using(owner_alias()).select_for_update().get(pk=generation.pk)
        if locked.status == Status.BUILDING and not locked.made:
            locked.indexes = generation_tables.make(projection.model, locked)
            locked.made = True
            locked.save(update_fields=["made", "indexes"])
    generation.made, generation.indexes = locked.made, locked.indexes


class Builder:
    """One worker's turn at a part: what it keeps in memory from one transaction to the next."""

    def __init__(self, part_id: int) -> None:
        self.using = owner_alias()
        self.part = Part.objects.using(self.using).select_related("generation").get(pk=part_id)
        self.generation = self.part.generation
        self.projection: AnyProjection = projection_named(self.generation.projection)
        self._bulk: Bulk[Any] | None = None
        self._stream: Generator[Recorded] | None = None
        self._upto = 0
        self._expected = -1

    def step(self) -> StepOutcome:
        """One transaction."""
        self.generation.refresh_from_db(using=self.using)
        if self.generation.status != Status.BUILDING:
            return StepOutcome.OVER
        if self.generation.cancelling:
            swap.cancel(self.generation, self.projection)
            return StepOutcome.OVER
        if not is_ours(self.generation, self.projection):
            log.info("generation_of_other_code", projection=self.projection.name, generation=self.generation.pk)
            return StepOutcome.ELSEWHERE
        if not self.generation.made:
            make(self.generation, self.projection)
        begun = time.monotonic()
        try:
            outcome, count = self._fold()
        except (TooManyFailures, BeginAgain) as error:
            swap.fail(self.generation, self.projection, str(error))
            return StepOutcome.OVER
        if self.generation.throttle:
            time.sleep(max(0.0, count / self.generation.throttle - (time.monotonic() - begun)))
        return outcome

    def close(self) -> None:
        """Give the stream's connection back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _fold(self) -> tuple[StepOutcome, int]:
        try:
            return self._transaction(fast=not self.projection.looks_up)
        except (TooManyFailures, BeginAgain):
            raise
        except Exception as error:
            raise_if_infrastructure(error)
            log.info("rebuild_goes_carefully", projection=self.projection.name, error=describe(error))
        self._forget()
        return self._transaction(fast=False)

    def _transaction(self, *, fast: bool) -> tuple[StepOutcome, int]:
        with transaction.atomic(self.using, durable=True), database.cursor(self.using) as cursor:
            own = Part.objects.using(self.using).filter(pk=self.part.pk).order_by()
            part = own.select_for_update(skip_locked=True, of=("self",)).first()
            if part is None:
                return StepOutcome.ELSEWHERE, 0
            status = Generation.objects.using(self.using).values_list("status", flat=True).get(pk=self.generation.pk)
            if status != Status.BUILDING:
                return StepOutcome.OVER, 0
            self.part = part
            upto = limit(self.projection, self.generation, part, self.using)
            if part.checkpoint >= upto:
                return StepOutcome.CAUGHT_UP, 0
            # Rows and checkpoint are lost together, if at all; the commit that ends a generation makes all durable.
            cursor.execute("SET LOCAL synchronous_commit = off")
            before, fold = part.checkpoint, self._fast if fast else self._slow
            folding = PartFold(self.projection, self.generation, part, self.using)
            count = fold(cursor, folding, upto)
            _move(part, count)
            self._expected = part.checkpoint
        if part.checkpoint >= upto:
            return StepOutcome.CAUGHT_UP, count
        return (StepOutcome.MORE if part.checkpoint > before else StepOutcome.ELSEWHERE), count

    def _fast(self, cursor: Cursor, folding: PartFold, upto: int) -> int:
        """Fold the next batch in memory, from a stream of the log that stays open until it ends."""
        part = self.part
        if self._bulk is None or self._expected != part.checkpoint:
            self._forget()
            to_judge = None if event_filter.is_exact(self.projection) else folding.range_or_none
            self._bulk = Bulk(self.projection, folding.table, part=to_judge, empty=part.checkpoint == 0)
        if self._stream is None:
            only = event_filter.event_condition(self.projection, folding.hash_range, folding.keys).as_string()
            self._upto = upto
            self._stream = store.stream(
                part.checkpoint, upto, self.projection.types, NO_LIMIT, only=only, using=self.using
            )
        self._bulk.admits = None if folding.admits_all else folding.admits
        with handler_guard.applying() as found:
            filled = self._bulk.fill(cursor, self._stream, self._limit(), seconds=BATCH, rate=self._rate())
        handler_guard.save_warnings(cursor, self.generation.parked_as, found)
        folding.park_queued(cursor)
        if filled.position is None:
            self.close()
            part.checkpoint = self._upto
        else:
            part.checkpoint = filled.position
        return filled.events

    def _limit(self) -> int:
        """Of the events of a transaction. Who is to leave others room doesn't write very much at once."""
        throttle = self.generation.throttle
        return min(throttle, max(CAUTIOUS, throttle // PER_SECOND)) if throttle else NO_LIMIT

    def _rate(self) -> float:
        return self.generation.throttle or inf

    def _slow(self, cursor: Cursor, folding: PartFold, upto: int) -> int:
        """Fold the next few events as feeding does; whatever can't be folded is parked."""
        most = min(CAUTIOUS, self.generation.throttle or CAUTIOUS)
        events = store.read(self.part.checkpoint, upto, self.projection.types, most, using=self.using)
        stopped = folding.apply(cursor, events)
        reached = events[-1].position if len(events) == most else upto
        self.part.checkpoint = max(self.part.checkpoint, reached if stopped is None else stopped)
        return len(events)

    def _forget(self) -> None:
        self.close()
        self._bulk = None


def _move(part: Part, count: int) -> None:
    part.processed += count
    part.built_by, part.moved_at = process_name(), timezone.now()
    part.save(update_fields=["checkpoint", "processed", "built_by", "moved_at"])
