"""What workers do for the log: feed the subscribers that no request feeds, and those a request left behind."""

import time
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import chain
from typing import NamedTuple

from celery import shared_task

from eventstore import database, doorbell, queries, store
from eventstore.errors import UnknownSubscriber
from eventstore.models import SubscriberRow
from eventstore.subscriptions import feeding
from eventstore.subscriptions.feed_state import NEAR
from eventstore.subscriptions.feeding import NOTHING, Fed
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import retry_due
from eventstore.subscriptions.subscriber import Mode, Subscriber

SYNC_BELL, ASYNC_BELL = "sync", "async"
LINGER = 1.0
POLL = 0.005
LONGEST = 3.0
# Seconds. What comes meanwhile is fed together: under steady load half of the time is left to whoever makes the load.
SHORTEST_BREATH, LONGEST_BREATH = 0.02, 0.05
# Seconds. Under load somebody is behind at any moment: only who has not moved for so long needs to be called for, and
# who is being fed must not find its row taken by others who merely looked.
STILL = 0.5
# Seconds for which events gather, for those whom nobody waits for. Less than LINGER: they are fed before it ends.
GATHERING = 0.4
# Seconds between looks at who there is to feed and what is to be tried again.
REFRESH = 1.0
FAR = 5_000
"""Positions behind the log at which a subscriber gets a worker of its own, so that the others don't wait for it."""


@shared_task(base=doorbell.Tick, name="eventstore.tasks.tick")
def tick() -> None:
    """The periodic look that makes good every bell that was lost."""
    registry.make_rows()
    ring_all()


@shared_task(base=doorbell.Call, name="eventstore.tasks.follow")
def follow() -> None:
    """Feed the async subscribers until they have been quiet for a second, then wait for the bell again.

    One task for all of them: with one for each, those that found no free process would stand still for seconds. Those
    that are near the log's end are fed together, from one read of it, and less often where they let events gather. The
    others, and shards, are fed each in a transaction of its own, so that several processes may. What another process
    feeds is passed over.
    """
    registry.make_rows()
    if doorbell.answer(ASYNC_BELL) and linger(Round().feed):
        doorbell.ring(ASYNC_BELL, follow.name)


@shared_task(base=doorbell.Call, name="eventstore.tasks.catch_up")
def catch_up(name: str) -> None:
    """Feed one async subscriber, or a shard of one, that is far behind, for a while."""
    registry.make_rows()
    if not _is_ours(name) or not doorbell.answer(name):
        return
    row = registry[name]
    begun = time.monotonic()
    while feeding.feed([row]).moved:
        if time.monotonic() - begun > LONGEST:
            doorbell.ring(name, catch_up.name, name)
            return


@shared_task(base=doorbell.Call, name="eventstore.tasks.follow_sync")
def follow_sync() -> None:
    """Feed what requests would have fed, had they lived."""
    registry.make_rows()
    if doorbell.answer(SYNC_BELL):
        sync = registry.of(Mode.SYNC)
        linger(lambda: take_turn() or retry_due(sync))


class Lane:
    """Async subscribers that are fed as often as each other: those near the end of the log together, the others and
    shards each alone.
    """

    def __init__(self, *, every: float = 0.0) -> None:
        self._every = every
        self._batches: list[list[Subscriber]] = []
        self._fed_at = -every
        self._reached = -1

    def line_up(self, rows: Sequence["_Row"]) -> list[Subscriber]:
        """Feed these from now on; answers who they are."""
        together = [registry[row.name] for row in rows if row.near and not row.shard]
        apart = [registry[row.name] for row in rows if not row.near or row.shard]
        self._batches = [each for each in (together, *([alone] for alone in apart)) if each]
        return [*together, *apart]

    def feed(self, head: int) -> Fed | None:
        """A batch for each, unless there is nothing new up to this position, or it is too early for it."""
        if head == self._reached or time.monotonic() - self._fed_at < self._every:
            return None
        fed = reduce(Fed.beside, map(feeding.feed, self._batches), NOTHING)
        self._fed_at = time.monotonic()
        # Below the head something may not be final yet, and whoever rolls back rings no bell: look again.
        self._reached = head if not fed.moved and store.horizon() >= head else -1
        return fed


class Round:
    """Feeding the async subscribers again and again, but for those that are far behind."""

    def __init__(self) -> None:
        self._lanes = {False: Lane(), True: Lane(every=GATHERING)}
        self._refreshed = -REFRESH

    def feed(self) -> bool | None:
        healed = False
        if time.monotonic() - self._refreshed >= REFRESH:
            rows = [row for row in _rows() if row.mode == Mode.ASYNC and not row.far]
            lined_up = [
                lane.line_up([row for row in rows if registry[row.name].gathers is gathers])
                for gathers, lane in self._lanes.items()
            ]
            healed = retry_due([*chain.from_iterable(lined_up)])
            self._refreshed = time.monotonic()
        begin, head = time.monotonic(), store.head()
        found = [each for lane in self._lanes.values() if (each := lane.feed(head))]
        if not found:
            return healed
        fed = reduce(Fed.beside, found)
        if fed.moved and not fed.full:
            _breathe(begin)
        return fed.moved or healed if fed.held else None


def take_turn() -> bool:
    """Feed the sync subscribers, and leave the next turn to requests; answers whether a checkpoint moved."""
    begin = time.monotonic()
    fed = feeding.feed_sync()
    if fed.moved and not fed.full:
        _breathe(begin)
    return fed.moved


def linger(work: Callable[[], bool | None], *, poll: float = POLL) -> bool:
    """Work until there was nothing to do for a second, or the work is somebody else's (None).

    True when there was something to do for so long that others should have a turn: then the bell is to be rung again.
    """
    begin = quiet_since = time.monotonic()
    while time.monotonic() - begin < LONGEST:
        done = work()
        if done:
            quiet_since = time.monotonic()
        elif done is None or time.monotonic() - quiet_since >= LINGER:
            return False
        else:
            time.sleep(poll)
    return True


def _breathe(begin: float) -> None:
    """For as long as it took since then."""
    time.sleep(min(max(time.monotonic() - begin, SHORTEST_BREATH), LONGEST_BREATH))


def ring_all() -> None:
    """Ring for whoever is behind the log and not about to be fed, or has something to try again."""
    for row in _rows():
        if row.due or (row.behind and row.still):
            _ring(row)


def ring_for(subscriber: str) -> None:
    """Ring for the rows of one subscriber."""
    names = set(SubscriberRow.objects.filter(subscriber=subscriber).values_list("name", flat=True))
    for row in _rows():
        if row.name in names:
            _ring(row)


def feed_stalled() -> None:
    """Feed, up to where the log stands now, whoever is behind it and not about to be fed."""
    registry.make_rows()
    head = store.head()
    left = [row for row in _rows() if row.behind and row.still]
    sync = [row.name for row in left if row.mode == Mode.SYNC]
    while any(_checkpoint(name) < head for name in sync) and take_turn():
        pass
    for row in left:
        if row.mode == Mode.ASYNC:
            while feeding.feed([registry[row.name]]).moved and _checkpoint(row.name) < head:
                pass


class _Row(NamedTuple):
    """A running row of a subscriber that this code knows, beside the log."""

    name: str
    mode: str
    checkpoint: int
    still: bool
    due: bool
    head: int

    @property
    def behind(self) -> bool:
        return self.checkpoint < self.head

    @property
    def shard(self) -> bool:
        return registry[self.name].declared != self.name

    @property
    def near(self) -> bool:
        return self.head - self.checkpoint <= NEAR

    @property
    def far(self) -> bool:
        return self.head - self.checkpoint > FAR


def _rows() -> list[_Row]:
    with database.cursor() as cursor:
        found = cursor.execute(queries.RUNNING_ROWS, [STILL, store.head()], prepare=True).fetchall()
    return [_Row(*row) for row in found if _is_ours(row[0])]


def _is_ours(name: str) -> bool:
    """Rows of other code, older or newer, and those that this process doesn't run, are for others."""
    try:
        declared = registry[name].declared
    except UnknownSubscriber:
        return False
    return declared in {subscriber.name for subscriber in registry.here()}


def _checkpoint(name: str) -> int:
    found = SubscriberRow.objects.filter(pk=name).values_list("checkpoint", flat=True).first()
    return found if found is not None else store.head()


def _ring(row: _Row) -> None:
    if row.mode == Mode.SYNC:
        doorbell.ring(SYNC_BELL, follow_sync.name)
    elif row.far:
        doorbell.ring(row.name, catch_up.name, row.name)
    else:
        doorbell.ring(ASYNC_BELL, follow.name)
