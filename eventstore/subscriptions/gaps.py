"""Gaps: the positions that a subscriber wanted and has not applied. Exact, not guessed.

Below its checkpoint these are its parked events and what somebody skipped; above it whatever it has not been fed yet.
Positions that were rolled back and events it does not want are no gap. All of it is read from indexes that begin with
what is asked for, so it costs what the gaps are long and nothing for the length of the log.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import database, store
from eventstore.codec import Recorded
from eventstore.subscriptions import queries
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Subscriber

SOME = 10_000
MOST = 1_000_000
"""Events after which counting ends; a range says when there are more."""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Positions from `first` to `last`, with how many events wanted among them; `more` when that is only a beginning.

    `why` is `pending` (not fed yet), `parked` or `skipped`.
    """

    first: int
    last: int
    count: int
    why: str
    more: bool = False


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """All gaps of one subscriber, in the order of the log."""

    subscriber: str
    ranges: Sequence[Range]

    @property
    def count(self) -> int:
        return sum(each.count for each in self.ranges)

    @property
    def more(self) -> bool:
        return any(each.more for each in self.ranges)


def gaps(name: str, *, most: int = MOST, using: str = DEFAULT_DB_ALIAS) -> Gaps:
    """The gaps of a subscriber up to the horizon; at most so many events are counted. Raises `UnknownSubscriber`."""
    look = _Look(registry[name], most, using)
    found = [*look.skipped(), *look.parked(), *look.pending()]
    return Gaps(subscriber=name, ranges=sorted(found, key=lambda each: each.first))


def pending(name: str, *, most: int = SOME, using: str = DEFAULT_DB_ALIAS) -> Gaps:
    """Only what a subscriber has not been fed yet. Raises `UnknownSubscriber`."""
    return Gaps(subscriber=name, ranges=_Look(registry[name], most, using).pending())


def skipped(name: str, *, most: int = SOME, using: str = DEFAULT_DB_ALIAS) -> Gaps:
    """Only what somebody skipped. Raises `UnknownSubscriber`."""
    return Gaps(subscriber=name, ranges=_Look(registry[name], most, using).skipped())


class _Look:
    """One look at a subscriber."""

    def __init__(self, subscriber: Subscriber, most: int, using: str) -> None:
        self.name, self.types = subscriber.name, sorted(subscriber.types)
        self.most, self.using = most, using

    def pending(self) -> list[Range]:
        """What lies between its checkpoint and the horizon."""
        horizon = store.horizon(using=self.using)
        rows = self._rows(queries.CHECKPOINTS_OF, [self.name])
        if not rows:
            return self._ranges(0, horizon, "pending")
        if len(rows) == 1:
            return self._ranges(rows[0][1], horizon, "pending")
        return self._pending_of_shards(dict(rows), horizon)

    def skipped(self) -> list[Range]:
        skipped = self._rows(queries.SKIPPED_RANGES, [self.name])
        return [found for after, upto in skipped for found in self._ranges(after, upto, "skipped")]

    def parked(self) -> list[Range]:
        found = [position for (position,) in self._rows(queries.PARKED_POSITIONS, [self.name, self.most + 1])]
        positions = found[: self.most]
        together = {low for (low,) in self._rows(queries.ADJACENT, [positions[:-1], positions[1:], self.types])}
        ranges: list[list[int]] = []
        for position in positions:
            if ranges and ranges[-1][-1] in together:
                ranges[-1].append(position)
            else:
                ranges.append([position])
        cut = len(found) > self.most
        return [
            Range(first=each[0], last=each[-1], count=len(each), why="parked", more=cut and each is ranges[-1])
            for each in ranges
        ]

    def _pending_of_shards(self, checkpoints: dict[str, int], horizon: int) -> list[Range]:
        """Where the shards stand apart, an event is pending when that of its key hasn't got to it.

        One that is parked for another key, or because its key can't be told, is a gap already.
        """
        low, high = min(checkpoints.values()), max(checkpoints.values())
        shards = [registry[name] for name in checkpoints]
        most = min(self.most, SOME)
        between = store.read(low, min(high, horizon), self.types, most, using=self.using)
        read = [one.position for one in between]
        parked = {position for (position,) in self._rows(queries.PARKED_POSITIONS_AMONG, [self.name, read])}
        pending = [
            recorded.position
            for recorded in between
            if recorded.position not in parked
            and any(recorded.position > checkpoints[shard.name] and _concerns(shard, recorded) for shard in shards)
        ]
        found = self._ranges(high, horizon, "pending")
        if not pending:
            return found
        more = len(between) == most
        return [Range(first=pending[0], last=pending[-1], count=len(pending), why="pending", more=more), *found]

    def _ranges(self, after: int, upto: int, why: str) -> list[Range]:
        if upto <= after:
            return []
        count: int = self._rows(queries.COUNT_WANTED, [self.types, after, upto, self.most + 1])[0][0]
        found = Range(first=after + 1, last=upto, count=min(count, self.most), why=why, more=count > self.most)
        return [found] if count else []

    def _rows(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        with database.cursor(self.using) as cursor:
            return cursor.execute(query, parameters).fetchall()


def _concerns(shard: Subscriber, recorded: Recorded) -> bool:
    """An event whose key this code can't tell concerns every shard."""
    try:
        return bool(list(shard.keys(recorded)))
    except Exception:
        return True
