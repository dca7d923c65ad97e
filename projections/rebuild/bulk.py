"""The fast way to fold many events: rows stay in memory between batches and reach the table by COPY.

It gives the rows that `Projection.fold` gives. Like there, a handler that assigns a value which its column would change
(one decimal too many) sees its own value again until the row is read back.
"""

import gc
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import models

from eventstore.codec import Recorded, decoder
from eventstore.database import Cursor
from eventstore.subscriptions.hash_ranges import HashRange
from projections.models import ReadModel
from projections.projection import DELETE, Projection
from projections.tables import Table

R = TypeVar("R", bound=ReadModel)

Admits = Callable[[Hashable, Recorded], bool]
"""Whether an event is to be folded into the row of a key; None for all."""

CAPACITY = 50_000
CHUNK = 100
"""Events at a time: few enough to stay in the processor's cache, which halves the time."""

CHUNKS = 100
"""How often in a second those are folded whose rate is limited, at least."""


class Filled(NamedTuple):
    """What a transaction brought: how many events, and the position of the last one, None where there was none left."""

    events: int
    position: int | None


class KeyFilter:
    """A set of keys that takes 8 MiB, however many they are, and may contain one that was never added.

    A bit stands for all keys whose hashes end alike: a Bloom filter with one hash.
    """

    BITS = 2**26

    def __init__(self) -> None:
        self._bits = bytearray()

    def __bool__(self) -> bool:
        return bool(self._bits)

    def __contains__(self, key: Hashable) -> bool:
        byte, bit = divmod(hash(key) % self.BITS, 8)
        return bool(self._bits) and bool(self._bits[byte] >> bit & 1)

    def add(self, key: Hashable) -> None:
        self._bits = self._bits or bytearray(self.BITS // 8)
        byte, bit = divmod(hash(key) % self.BITS, 8)
        self._bits[byte] |= 1 << bit


class Bulk(Generic[R]):
    """Folds events into the table of a generation, of which nobody else writes these keys: all, or those of one range.

    A third of `capacity` rows stay in memory after a flush, those that were used last. Of a table that was `empty` at
    first it knows which keys can't be there, and doesn't ask for them.
    """

    def __init__(
        self,
        projection: Projection[R],
        table: Table[R],
        *,
        part: HashRange | None = None,
        empty: bool = False,
        capacity: int = CAPACITY,
    ) -> None:
        self._table, self._part, self._capacity = table, part, capacity
        self._handlers = projection.compiled
        self._projection = projection
        self._reads_formers = projection.types != projection.handlers.keys()
        # To ask for `recorded.event` takes half as long again as decoding it.
        declared = {stored: handler.event for stored, handler in projection.handlers.items()}
        self._readers = {stored: (event.schema, decoder(event).decode) for stored, event in declared.items()}
        # In memory a UUID is known by its number, which is hashed and compared in half the time.
        self._by_number = isinstance(projection.model._meta.pk, models.UUIDField)
        self._held: dict[Any, R] = {}  # rows as the table has them, the least recently used first
        self._changed: dict[Any, R | None] = {}  # rows since the last flush, None where they were deleted
        self._replaced: dict[Any, Hashable] = {}  # those of the changed keys that the table has a row of
        self._evicted = KeyFilter() if empty else None  # which other keys the table has; None for any
        self.admits: Admits | None = None

    def fill(
        self, cursor: Cursor, events: Iterator[Recorded], limit: int, *, seconds: float = inf, rate: float = inf
    ) -> Filled:
        """Fold the next events, at most `limit` of them, for some seconds or until memory is full, and flush: the work
        of one transaction. At most `rate` events a second, a few at a time, so that others hardly notice.

        There are no more when no position comes back. What a handler raises gets out: then roll back, and begin anew
        with another `Bulk`, for memory may be ahead of the table.
        """
        count, position, begun = 0, None, time.monotonic()
        few = max(1, int(min(CHUNK, rate / CHUNKS)))
        with _uncollected():
            while count < limit and not self.full and time.monotonic() < begun + seconds:
                chunk = list(islice(events, min(few, limit - count)))
                if not chunk:
                    position = None
                    break
                self.fold(cursor, chunk)
                count, position = count + len(chunk), chunk[-1].position
                time.sleep(max(0.0, begun + count / rate - time.monotonic()))
            self.flush(cursor)
        return Filled(count, position)

    @property
    def full(self) -> bool:
        """Whether as many rows have changed as may stay in memory: time to flush."""
        return len(self._changed) >= self._capacity

    def fold(self, cursor: Cursor, events: Sequence[Recorded]) -> None:
        """Fold events into rows in memory. What a handler raises gets out."""
        if self._reads_formers:
            events = [part for recorded in events for part in self._projection.parts(recorded)]
        self._fold(cursor, events)

    def _fold(self, cursor: Cursor, events: Sequence[Recorded]) -> None:
        """The same, of events that there are handlers for."""
        handlers, readers, by_number, new = self._handlers, self._readers, self._by_number, self._table.new
        held, changed, part, admits = self._held, self._changed, self._part, self.admits
        loaded = self._evicted is not None and not self._evicted
        key: Any
        for recorded in events:
            handler, keys = handlers[recorded.type]
            event = recorded.decoded
            if event is None:
                schema, read = readers[recorded.type]
                event = recorded.decoded = read(recorded.data) if recorded.schema_version == schema else recorded.event
            for key in keys(event, recorded):
                if admits is not None and not admits(key, recorded):
                    continue
                known = key.int if by_number else key
                row = changed.get(known)
                if row is None:
                    row = held.pop(known, None)
                    if row is None and not loaded and self._may_be_there(known, key):
                        self._load(cursor, events)
                        row, loaded = held.pop(known, None), True
                    if row is not None:
                        self._replaced[known] = key
                    elif part is not None and not part.holds(key):
                        continue
                    else:
                        row = new(key)
                    changed[known] = row
                if handler(row, event, recorded) is DELETE:
                    changed[known] = None
                else:
                    row.as_of = recorded.position

    def flush(self, cursor: Cursor) -> None:
        """Bring the table to the state of the rows in memory. It is as final as the caller's transaction."""
        rows = {known: row for known, row in self._changed.items() if row is not None}
        self._table.delete(cursor, self._replaced.values())
        self._table.copy(cursor, [*rows.values()])
        self._held.update(rows)
        self._changed.clear()
        self._replaced.clear()
        self._evict()

    def _load(self, cursor: Cursor, events: Sequence[Recorded]) -> None:
        """Hold the rows that these events need and the table has."""
        handlers, by_number, held, changed = self._handlers, self._by_number, self._held, self._changed
        missing: dict[Any, Hashable] = {}
        key: Any
        for recorded in events:
            for key in handlers[recorded.type][1](recorded.event, recorded):
                known = key.int if by_number else key
                if known not in changed and known not in held and self._may_be_there(known, key):
                    missing[known] = key
        if missing:
            for key, row in self._table.load(cursor, missing.values()).items():
                held[key.int if by_number else key] = row

    def _may_be_there(self, known: Any, key: Hashable) -> bool:
        seen = self._evicted is None or known in self._evicted
        return seen and (self._part is None or self._part.holds(key))

    def _evict(self) -> None:
        for known in list(islice(self._held, max(0, len(self._held) - self._capacity // 3))):
            del self._held[known]
            if self._evicted is not None:
                self._evicted.add(known)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cyclic collector: it would look at all rows in memory again and again, and nothing here is a cycle.

    Folding takes a quarter of the time then.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
