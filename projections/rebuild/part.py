"""What a part of a generation makes of events: which keys are its business, and where those go that can't be folded."""

from collections.abc import Hashable, Sequence
from functools import partial

import structlog
from django.db.models import Min

from eventstore import handler_guard, store
from eventstore.codec import Recorded
from eventstore.database import Cursor
from eventstore.errors import Busy
from eventstore.models import DiscardedEvent, ParkedEvent, SubscriberRow
from eventstore.roles import owner_alias
from eventstore.subscriptions import feeding, parking
from eventstore.subscriptions.hash_ranges import ALL, HashRange
from eventstore.subscriptions.parking import Parking
from eventstore.subscriptions.savepoints import isolate, savepoint
from eventstore.subscriptions.subscriber import Work, row_name
from eventstore.transient_errors import raise_if_infrastructure
from projections.errors import ReshardedMeanwhile
from projections.models import Generation, Part
from projections.projection import AnyProjection
from projections.rebuild import queries
from projections.rebuild.generations import range_of, range_of_part
from projections.tables import Table

log = structlog.get_logger(__name__)


def limit(projection: AnyProjection, generation: Generation, part: Part, using: str) -> int:
    """How far a part may go: what is to be compared with live rows is never ahead of them, and no rows are ever ahead
    of those that they use. What is as of a position ends there. Raises `ReshardedMeanwhile`.
    """
    if generation.purpose == Generation.Purpose.AS_OF:
        return generation.target
    if not generation.stands_with_live:
        return final(projection, part.checkpoint, using)
    name = row_name(generation.projection, part.shard, part.shards)
    live = SubscriberRow.objects.using(using).filter(pk=name).values_list("checkpoint", flat=True).first()
    if live is None:
        raise ReshardedMeanwhile
    return live


def final(projection: AnyProjection, after: int, using: str) -> int:
    """How far the log is final, and folded into all that a projection uses."""
    horizon = store.horizon(after, using=using)
    if not projection.uses:
        return horizon
    rows = SubscriberRow.objects.using(using).filter(subscriber__in=projection.uses)
    return min(horizon, rows.aggregate(lowest=Min("checkpoint"))["lowest"] or 0)


class PartFold:
    """One transaction's work on a part, whose row it holds: it knows which keys wait, and which events are left out."""

    def __init__(self, projection: AnyProjection, generation: Generation, part: Part, using: str) -> None:
        self.projection, self.generation, self.using = projection, generation, using
        self.table = Table(projection.model, generation.schema)
        self.hash_range = range_of(generation).within(range_of_part(part))
        self.keys = frozenset(map(parking.text, generation.keys)) if generation.keys is not None else None
        parked = ParkedEvent.objects.using(using).filter(subscriber=generation.parked_as)
        self.parked = set(parked.values_list("key", flat=True).distinct())
        discarded = DiscardedEvent.objects.using(using).filter(subscriber=projection.name)
        self.discarded = set(discarded.values_list("key", "position"))
        self.queued: list[Parking] = []

    @property
    def range_or_none(self) -> HashRange | None:
        return None if self.hash_range == ALL else self.hash_range

    @property
    def admits_all(self) -> bool:
        """Whether nothing but its range keeps an event from being folded, so that `admits` need not be asked."""
        return self.keys is None and not self.parked and not self.discarded

    def admits(self, key: Hashable, recorded: Recorded) -> bool:
        """Whether an event is to be folded into the row of a key. One of a parked key queues behind it."""
        text = parking.text(key)
        if not self._concerns(key, text) or self._is_discarded(text, recorded):
            return False
        held = next((each for each in (text, parking.stream_key(recorded)) if each in self.parked), None)
        if held is not None:
            self.queued.extend(parking.behind([Work(held, recorded)]))
        return held is None

    def apply(self, cursor: Cursor, events: Sequence[Recorded]) -> int | None:
        """Fold events, one by one where need be. Answers the position before one that only newer code can read.

        Raises `TooManyFailures` when so many keys can't be folded that something else is wrong.
        """
        works, stopped = self._works(events)
        try:
            with savepoint(cursor, using=self.using):
                self._fold(cursor, works)
        except Exception as error:
            raise_if_infrastructure(error)
            fold = partial(self._fold, cursor)
            parked = isolate(cursor, fold, works, self._report, using=self.using)
            self.queued.extend(parked)
            self.parked.update(each.key for each in parked)
        self.park_queued(cursor)
        return stopped

    def park_queued(self, cursor: Cursor) -> None:
        """Park what is queued."""
        parking.park(cursor, self.generation.parked_as, self.queued)
        errors = [each.error for each in self.queued if each.error]
        if errors:
            self._check_failures(cursor, errors[-1])
        self.queued = []

    def _fold(self, cursor: Cursor, works: Sequence[Work]) -> None:
        with handler_guard.applying() as found:
            self.projection.fold(cursor, self.table, works)
        handler_guard.save_warnings(cursor, self.generation.parked_as, found)

    def _works(self, events: Sequence[Recorded]) -> tuple[list[Work], int | None]:
        works: list[Work] = []
        for recorded in events:
            if recorded.is_newer:
                return works, recorded.position - 1
            try:
                with handler_guard.applying():
                    keys = list(self.projection.keys(recorded))
            except Exception as error:
                raise_if_infrastructure(error)
                self._hold_stream(recorded, error)
                continue
            works.extend(Work(key, recorded) for key in keys if self.admits(key, recorded))
        return works, None

    def _hold_stream(self, recorded: Recorded, error: Exception) -> None:
        """Nobody knows the key of this event, so every part holds back the rest of its stream."""
        stream = parking.stream_key(recorded)
        if self._is_discarded(stream, recorded):
            return
        work = Work(stream, recorded)
        self._report(work, error)
        self.queued.append(parking.failed(work, error))
        self.parked.add(stream)

    def _concerns(self, key: Hashable, text: str) -> bool:
        return (self.keys is None or text in self.keys) and self.hash_range.holds(key)

    def _is_discarded(self, key: str, recorded: Recorded) -> bool:
        """Under its key, or under its stream when its key couldn't be told."""
        if not self.discarded:
            return False
        return not self.discarded.isdisjoint(
            {(key, recorded.position), (parking.stream_key(recorded), recorded.position)}
        )

    def _check_failures(self, cursor: Cursor, error: str) -> None:
        failing = cursor.execute(queries.COUNT_FAILING_KEYS, [self.generation.parked_as]).fetchone()
        parking.refuse_too_many(failing[0] if failing else 0, f"can't be folded, one of them for {error}")

    def _report(self, work: Work, error: Exception) -> None:
        feeding.report(self.projection, work, error, generation=self.generation.pk)


BATCH = 500


def catch_up(cursor: Cursor, projection: AnyProjection, generation: Generation, part: Part, upto: int) -> None:
    """Fold what is left for a part, which is little."""
    using = owner_alias()
    while part.checkpoint < upto:
        events = store.read(part.checkpoint, upto, projection.types, BATCH, using=using)
        if PartFold(projection, generation, part, using).apply(cursor, events) is not None:
            raise Busy("An event has come that only newer code can read.")
        part.checkpoint = events[-1].position if len(events) == BATCH else upto
        part.processed += len(events)
    part.save(using=using, update_fields=["checkpoint", "processed"])
