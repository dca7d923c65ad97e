"""How a request waits until its own events can be read."""

import random
import time
from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS

from eventstore import store
from eventstore.feeding import NEAR, feed, identities
from eventstore.subscribers import Mode, registry


class Bound:
    """How long a request waits for its read models, and how it stops waiting when nothing moves.

    After a wait that hit its bound, requests answer *pending* at once for a second: a frozen feeder would otherwise
    cost every request the full bound.
    """

    def __init__(self, seconds: float = 2.0, pause: float = 1.0) -> None:
        self.seconds, self.pause = seconds, pause
        self._answer_at_once_until = 0.0

    def forget(self) -> None:
        """Wait in full again."""
        self._answer_at_once_until = 0.0

    def moments(self) -> Iterator[None]:
        """Yields until the bound; the caller sleeps or works in between."""
        begin = time.monotonic()
        bound = 0.0 if begin < self._answer_at_once_until else self.seconds
        yield
        while time.monotonic() - begin < bound:
            yield
        if bound:
            self._answer_at_once_until = time.monotonic() + self.pause


bound = Bound()


def nap() -> None:
    time.sleep(random.uniform(0.0005, 0.0015))


_REACHED = """SELECT NOT EXISTS (SELECT FROM eventstore_subscriber
    WHERE status = 'running' AND (name, version, wanted) IN (SELECT * FROM unnest(%s::text[], %s::int[], %s::text[]))
        AND checkpoint < %s AND checkpoint >= %s)"""


def wait(position: int, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Feed, or wait for who feeds, until every sync subscriber that is near has this position. False: still pending."""
    known = registry.of(Mode.SYNC)
    for _ in bound.moments():
        fed = feed(known, using=using)
        with store.cursor(using) as cursor:
            cursor.execute(_REACHED, [*identities(known), position, position - NEAR], prepare=True)
            row = cursor.fetchone()
        if row and row[0]:
            return True
        if not fed.moved:
            nap()
    return False
