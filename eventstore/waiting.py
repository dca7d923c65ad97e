"""How a request waits until its own events can be read."""

import random
import time
from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from eventstore import feeding, standing, store
from eventstore.feeding import Fed
from eventstore.store import Statement
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

    def moments(self) -> Iterator[float]:
        """Yields the seconds that are left, until the bound; the caller sleeps or works in between."""
        begin = time.monotonic()
        bound = 0.0 if begin < self._answer_at_once_until else self.seconds
        yield bound
        while (left := begin + bound - time.monotonic()) > 0:
            yield left
        if bound:
            self._answer_at_once_until = time.monotonic() + self.pause


bound = Bound()


class Turn:
    """Feeding the sync subscribers by turns with other requests, without being in each other's way.

    Whoever finds somebody else feeding asks after his commit, for it has probably brought what one waits for, before
    trying again. Where nobody feeds and nothing moves, naps grow longer.
    """

    SHORTEST, LONGEST = 0.001, 0.008

    def __init__(self, using: str) -> None:
        self.using = using
        self._fed = Fed(held=False, moved=False)
        self._nap = self.SHORTEST

    def feed(self) -> None:
        """Feed, unless somebody else does."""
        self._fed = feeding.feed_sync(using=self.using)

    def ask(self, *statements: Statement) -> list[list[Any]]:
        """Ask when we have fed, or whoever does has."""
        ask = feeding.ask_after_feeder if self._fed.elsewhere else store.together
        return ask(*statements, using=self.using)

    def wait(self) -> None:
        """Until something may have changed."""
        if self._fed.moved:
            self._nap = self.SHORTEST
        elif not self._fed.elsewhere:
            time.sleep(random.uniform(0.5, 1.5) * self._nap)
            self._nap = min(2 * self._nap, self.LONGEST)


# Whether one that is near is behind, and whether one is so far behind that nobody waits for it.
_BEHIND = """SELECT coalesce(bool_or(checkpoint >= %(position)s - %(near)s), false),
        coalesce(bool_or(checkpoint < %(position)s - %(near)s), false)
    FROM eventstore_subscriber WHERE status = 'running' AND checkpoint < %(position)s
        AND (name, version, wanted) IN (
            SELECT * FROM unnest(%(names)s::text[], %(versions)s::int[], %(wanted)s::text[]))"""


def wait(position: int, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Feed, or wait for who feeds, until every sync subscriber that is near has this position.

    False: still pending, be it for one that is too far behind to be waited for.
    """
    names, versions, wanted = standing.identities(registry.of(Mode.SYNC))
    values = {"position": position, "near": standing.NEAR, "names": names, "versions": versions, "wanted": wanted}
    turn = Turn(using)
    for _ in bound.moments():
        turn.feed()
        (((behind, far_behind),),) = turn.ask(Statement(_BEHIND, values))
        if not behind:
            return not far_behind
        turn.wait()
    return False
