"""What workers do for the log: feed the subscribers that no request feeds, and those a request left behind."""

import time
from collections.abc import Callable

from celery import shared_task

from eventstore import doorbell, feeding, store
from eventstore.subscribers import SYNC_BELL, Mode, registry

LINGER = 1.0
POLL = 0.005
LONGEST = 3.0


@shared_task(name="eventstore.tasks.tick")
def tick() -> None:
    """The periodic look that makes good every bell that was lost."""
    registry.make_rows()
    ring_all()


@shared_task(name="eventstore.tasks.follow")
def follow(name: str) -> None:
    """Feed one async subscriber until it has been quiet for a second, then wait for the bell again."""
    registry.make_rows()
    doorbell.answer(name)
    subscriber = registry[name]
    reached = -1

    def feed() -> bool | None:
        nonlocal reached
        head = store.head()
        if head == reached:
            return False
        fed = feeding.feed([subscriber])
        # Below the head something may not be final yet, and whoever rolls back rings no bell: look again.
        reached = head if not fed.moved and store.horizon() >= head else -1
        return fed.moved if fed.held else None

    if linger(feed):
        doorbell.ring(name, follow.name, name)


@shared_task(name="eventstore.tasks.follow_sync")
def follow_sync() -> None:
    """Feed what requests would have fed, had they lived."""
    registry.make_rows()
    doorbell.answer(SYNC_BELL)
    linger(lambda: feeding.feed(registry.of(Mode.SYNC)).moved)


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


def ring_all() -> None:
    """Ring for every subscriber that is behind the log."""
    behind = _behind()
    for subscriber in registry.of(Mode.ASYNC):
        if subscriber.name in behind:
            doorbell.ring(subscriber.name, follow.name, subscriber.name)
    if any(subscriber.name in behind for subscriber in registry.of(Mode.SYNC)):
        doorbell.ring(SYNC_BELL, follow_sync.name)


_BEHIND = "SELECT name FROM eventstore_subscriber WHERE status = 'running' AND checkpoint < %s"


def _behind() -> set[str]:
    with store.cursor() as cursor:
        return {name for (name,) in cursor.execute(_BEHIND, [store.head()], prepare=True).fetchall()}
