"""Watches that no more seats are given out than there are."""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple
from uuid import UUID

from eventstore import store
from eventstore.codec import Recorded
from eventstore.events import Event
from ordering.domain.conference_changes import (
    HoldReleased,
    PoolAdded,
    PoolCapacityChanged,
    PoolsAssigned,
    SeatCapacityChanged,
    SeatsHeld,
)
from ordering.domain.seats import Line, PricedLine, SeatsAdded, SeatsChanged, SeatsReleased, SeatsReserved, SeatsSold
from ordering.findings import OVERSOLD
from projections.watch import Judgement, Watch

MOST_REMEMBERED = 64
"""Conferences that a process remembers: of any other the whole stream is read."""


class Occupancy:
    """What of a conference is given out, by the facts alone and none of the rules: whatever is in the log is counted,
    and never refused.
    """

    def __init__(self) -> None:
        self.capacity: Counter[str] = Counter()
        self.pools: dict[str, int] = {}
        self.draws_on: dict[str, tuple[str, ...]] = {}
        self.out: Counter[str] = Counter()
        self.with_seats: set[UUID] = set()

    def fold(self, event: Event) -> None:
        self._fold_room(event)
        match event:
            case SeatsHeld():
                self.out[event.seat_type] += event.quantity
            case HoldReleased():
                self.out[event.seat_type] -= event.quantity
            case SeatsReserved():
                self.with_seats.add(event.order_id)
                self.out.update(_counted(event.lines))
            case SeatsSold() if event.order_id not in self.with_seats:
                self.with_seats.add(event.order_id)
                self.out.update(_counted(event.lines))
            case SeatsChanged():
                self.out.subtract(_counted(event.before))
                self.out.update(_counted(event.lines))
            case SeatsReleased():
                self.with_seats.discard(event.order_id)
                self.out.subtract(_counted(event.lines))

    def _fold_room(self, event: Event) -> None:
        match event:
            case SeatsAdded(seat_type=added):
                self.capacity[added.code] += added.capacity
            case SeatCapacityChanged():
                self.capacity[event.seat_type] = event.capacity
            case PoolAdded(pool=pool):
                self.pools[pool.code] = pool.capacity
            case PoolCapacityChanged():
                self.pools[event.pool] = event.capacity
            case PoolsAssigned():
                self.draws_on[event.seat_type] = event.pools

    def faults(self) -> Iterator[tuple[str, str]]:
        """Of each seat type and each pool, what is wrong with it, if anything is."""
        for code in {*self.capacity, *self.out}:
            yield f"seat type {code}", _fault(self.out[code], self.capacity[code])
        for pool, capacity in self.pools.items():
            drawn = sum(self.out[code] for code, pools in self.draws_on.items() if pool in pools)
            yield f"pool {pool}", _fault(drawn, capacity)


class Known(NamedTuple):
    """A conference up to an event of its stream."""

    last: Recorded
    occupancy: Occupancy


class SeatsWithinCapacity(
    Watch,
    name="watch.seats",
    kind=OVERSOLD,
    events=(
        *(SeatsAdded, SeatCapacityChanged, PoolAdded, PoolCapacityChanged, PoolsAssigned),
        *(SeatsHeld, HoldReleased, SeatsReserved, SeatsSold, SeatsChanged, SeatsReleased),
    ),
):
    """Sold, reserved and held seats are no more than there are, and no fewer than none: of each seat type of a
    conference, and in each pool. What is remembered is only a shorter way through the stream.
    """

    def __init__(self) -> None:
        self._remembered: OrderedDict[UUID, Known] = OrderedDict()

    def key(self, recorded: Recorded) -> Hashable:
        return recorded.stream_id

    def judge(self, key: Hashable, recorded: Sequence[Recorded]) -> Iterable[Judgement]:
        conference, last = recorded[-1].stream_id, recorded[-1]
        wanted = {each.position for each in recorded}
        occupancy, rest = self._so_far(conference, recorded[0])
        judged = []
        for each in takewhile(lambda one: one.position <= last.position, rest):
            if each.type in self.types:
                occupancy.fold(each.event)
            if each.position in wanted:
                faults = occupancy.faults()
                judged += [Judgement(each, f"{what} of conference {conference}", fault) for what, fault in faults]
        self._remembered[conference] = Known(last, occupancy)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return judged

    def _so_far(self, conference: UUID, first: Recorded) -> tuple[Occupancy, Sequence[Recorded]]:
        """What is remembered, if it comes before the first event and is of the same history, and the events since."""
        known = self._remembered.pop(conference, None)
        if known is not None and known.last.version < first.version:
            since = store.read_stream(conference, known.last.version - 1)
            if since and since[0].event_id == known.last.event_id:
                return known.occupancy, since[1:]
        return Occupancy(), store.read_stream(conference)


def _counted(lines: Iterable[Line | PricedLine]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for line in lines:
        counted[line.seat_type] += line.quantity
    return counted


def _fault(out: int, capacity: int) -> str:
    return "" if 0 <= out <= capacity else f"{out} seats are given out, and there are {capacity}"
