"""What workers do for the log: feed the subscribers that no request feeds, and those a request left behind."""

import time

from celery import shared_task

from eventstore import doorbell, feeding, store
from eventstore.subscribers import SYNC_BELL, Mode, registry

LINGER = 1.0
POLL = 0.005
LONGEST = 20.0


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
    begin = quiet_since = time.monotonic()
    seen = -1
    while time.monotonic() - begin < LONGEST and time.monotonic() - quiet_since < LINGER:
        head = store.head()
        if head == seen:
            time.sleep(POLL)
            continue
        fed = feeding.feed([subscriber])
        if not fed.held:
            return
        if fed.moved:
            quiet_since = time.monotonic()
        # Below the head something is not final yet, or more than a batch was waiting: look again.
        seen = head if store.horizon() >= head and not fed.moved else -1
    if time.monotonic() - begin >= LONGEST:
        doorbell.ring(name, follow.name, name)


@shared_task(name="eventstore.tasks.follow_sync")
def follow_sync() -> None:
    """Feed what requests would have fed, had they lived."""
    registry.make_rows()
    doorbell.answer(SYNC_BELL)
    feeding.catch_up(registry.of(Mode.SYNC))


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
