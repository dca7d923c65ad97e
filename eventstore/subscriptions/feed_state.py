"""Where subscribers stand before a batch: who of them is ours to feed, and what each has yet to apply."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import msgspec

from eventstore import conf, database, store
from eventstore.database import Statement, array
from eventstore.subscriptions import queries
from eventstore.subscriptions.subscriber import Subscriber

NEAR = 500
PATIENCE = 100
"""Milliseconds for which somebody waits for a feeder, which may have frozen."""


class Awaited(NamedTuple):
    """The position, in SQL, as far as somebody waits for the sync subscribers to be fed; the values that it names; and
    for how many seconds at most.
    """

    position: str
    values: Mapping[str, Any]
    seconds: float


def identities(known: Sequence[Subscriber]) -> str:
    """Of the rows that may be fed by who knows these, as an array of PostgreSQL."""
    return _array(tuple(subscriber.identity for subscriber in known))


_array = lru_cache(array)
"""The same few again and again."""


Place = tuple[str, str, int]
"""A subscriber, a key of it, and a position."""


class FeedState(msgspec.Struct, dict=True):
    """What `sql/acquire_v3.sql` tells: whether we hold any rows, which are ours to feed now, where all rows are; how
    far the log is final; which keys are held back from which position on, which events are left out for good; and the
    next events. Or that the sync subscribers are fed elsewhere.
    """

    elsewhere: bool = False
    held: bool = False
    horizon: int = 0
    near: list[str] | None = None
    checkpoints: list[Place] | None = None
    parked: list[Place] | None = None
    discarded: list[Place] | None = None
    events: list[store.Read] | None = None

    @cached_property
    def by_row(self) -> dict[str, int]:
        """Where each row stands."""
        return {name: checkpoint for name, _, checkpoint in self.checkpoints or ()}

    @cached_property
    def slowest(self) -> dict[str, int]:
        """Where each subscriber stands: with the slowest of its shards."""
        found: dict[str, int] = {}
        for _, declared, checkpoint in self.checkpoints or ():
            found[declared] = min(checkpoint, found.get(declared, checkpoint))
        return found

    @cached_property
    def held_back(self) -> dict[str, dict[str, int]]:
        """For each subscriber, its keys that are parked, and from which position on."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for declared, key, since in self.parked or ():
            found[declared][key] = since
        return found

    @cached_property
    def left_out(self) -> set[Place]:
        return set(self.discarded or ())


_decode = msgspec.json.Decoder(FeedState).decode


def acquire(known: Sequence[Subscriber], *, sync: bool, most: int, durable: bool, using: str) -> FeedState:
    """Lock what nobody else holds, and only then look: later statements see what the former holder committed.

    With `sync` only where no other process feeds the sync subscribers. Reads `most` events at the most. Where it isn't
    `durable`, the transaction need not wait for the disk.
    """
    asked = [sync, identities(known), _types(known), NEAR, most, durable, _idle()]
    return _ask(Statement(queries.ACQUIRE, asked), using)


def take_turn(known: Sequence[Subscriber], awaited: Awaited, *, most: int, using: str) -> FeedState:
    """The same for the sync subscribers, as soon as no other process feeds them, and without waiting for the disk;
    unless others feed them as far as is awaited, or for too long.
    """
    asked = {
        **awaited.values,
        "patience": PATIENCE,
        "bound": round(1000 * awaited.seconds),
        "known": identities(known),
        "types": _types(known),
        "near": NEAR,
        "most": most,
        "idle": _idle(),
    }
    return _ask(Statement(queries.TAKE_TURN.format(awaited=awaited.position), asked), using)


def _idle() -> int:
    """Milliseconds for which who feeds may be silent."""
    return round(1000 * conf.FEEDER_IDLE_SECONDS.get())


def _types(known: Sequence[Subscriber]) -> str:
    return _array(frozenset[str]().union(*(subscriber.types for subscriber in known)))


def _ask(statement: Statement, using: str) -> FeedState:
    ((found,),) = database.pipeline(statement, using=using)[0]
    return _decode(found)
