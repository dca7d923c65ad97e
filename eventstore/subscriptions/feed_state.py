"""Where subscribers stand before a batch: who of them is ours to feed, and what each has yet to apply."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from eventstore import database, store
from eventstore.database import Statement
from eventstore.subscriptions import queries
from eventstore.subscriptions.subscriber import Subscriber

NEAR = 500


def known_rows(known: Sequence[Subscriber]) -> dict[str, list[Any]]:
    """The parameters of `IS_KNOWN`: a process feeds only what it knows by this name, version and set of types."""
    return {
        "names": [subscriber.name for subscriber in known],
        "versions": [subscriber.version for subscriber in known],
        "types_hashes": [subscriber.types_hash for subscriber in known],
    }


class FeedState(NamedTuple):
    """Who is ours to feed, where everybody is, how far the log is final, and which keys are held back.

    `checkpoints` are by row; `wholes` by subscriber, of the slowest of its shards. `parked` tells for each key of a
    subscriber from which position on, `discarded` which event of a key is left out for good.
    """

    held: list[Subscriber]
    checkpoints: dict[str, int]
    wholes: dict[str, int]
    horizon: int
    parked: dict[str, dict[str, int]]
    discarded: set[tuple[str, str, int]]

    def near(self) -> list[Subscriber]:
        """Those that are behind, but not far; if all are far, the foremost, so that it goes on without workers too."""
        behind = [subscriber for subscriber in self.held if self.checkpoints[subscriber.name] < self.horizon]
        near = [subscriber for subscriber in behind if self.horizon - self.checkpoints[subscriber.name] <= NEAR]
        if near or not behind:
            return near
        return [max(behind, key=lambda subscriber: self.checkpoints[subscriber.name])]


def acquire(known: Sequence[Subscriber], first: Sequence[Statement], *, using: str) -> FeedState:
    """Lock what nobody else holds, and only then look: later statements see what the former holder committed."""
    names = [subscriber.declared for subscriber in known]
    *_, locked, checkpoints, horizon, parked, discarded = database.pipeline(
        *first,
        Statement(queries.LIMIT_FEEDER),
        Statement(queries.LOCK_FEEDABLE, known_rows(known)),
        Statement(queries.CHECKPOINTS),
        store.horizon_statement(),
        Statement(queries.PARKED_KEYS, [names]),
        Statement(queries.DISCARDED_EVENTS, [names]),
        using=using,
    )
    held = {name for (name,) in locked}
    wholes: dict[str, int] = {}
    for _, declared, checkpoint in checkpoints:
        wholes[declared] = min(checkpoint, wholes.get(declared, checkpoint))
    waiting: dict[str, dict[str, int]] = defaultdict(dict)
    for declared, key, since in parked:
        waiting[declared][key] = since
    return FeedState(
        held=[subscriber for subscriber in known if subscriber.name in held],
        checkpoints={name: checkpoint for name, _, checkpoint in checkpoints},
        wholes=wholes,
        horizon=horizon[0][0],
        parked=waiting,
        discarded=set(discarded),
    )
