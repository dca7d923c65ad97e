"""Where subscribers stand before a batch: who of them is ours to feed, and what each has yet to apply."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from eventstore import parking, store
from eventstore.store import Statement
from eventstore.subscribers import Subscriber

NEAR = 500

_LIMITS = (
    "SELECT set_config('lock_timeout', '200ms', true), set_config('idle_in_transaction_session_timeout', '1s', true)"
)
# FOR NO KEY UPDATE: a plain FOR UPDATE SKIP LOCKED would skip rows that an uncommitted foreign key merely points to.
_LOCK = """SELECT name FROM eventstore_subscriber
    WHERE status = 'running' AND (retry_at IS NULL OR retry_at <= clock_timestamp())
        AND (name, version, wanted) IN (SELECT * FROM unnest(%s::text[], %s::int[], %s::text[]))
    ORDER BY rank, name FOR NO KEY UPDATE SKIP LOCKED"""
_CHECKPOINTS = "SELECT name, subscriber, checkpoint FROM eventstore_subscriber"


def identities(known: Sequence[Subscriber]) -> list[list[Any]]:
    """Names, versions and wanted types: a process feeds only what it knows in exactly this shape."""
    return [[s.name for s in known], [s.version for s in known], [s.wanted for s in known]]


class Standing(NamedTuple):
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


def hold(known: Sequence[Subscriber], first: Sequence[Statement], *, using: str) -> Standing:
    """Lock what nobody else holds, and only then look: later statements see what the former holder committed."""
    names = [subscriber.declared for subscriber in known]
    *_, locked, checkpoints, horizon, parked, discarded = store.together(
        *first,
        Statement(_LIMITS),
        Statement(_LOCK, identities(known)),
        Statement(_CHECKPOINTS),
        Statement(store.HORIZON, [-1]),
        Statement(parking.KEYS, [names]),
        Statement(parking.DISCARDED, [names]),
        using=using,
    )
    held = {name for (name,) in locked}
    wholes: dict[str, int] = {}
    for _, declared, checkpoint in checkpoints:
        wholes[declared] = min(checkpoint, wholes.get(declared, checkpoint))
    waiting: dict[str, dict[str, int]] = defaultdict(dict)
    for declared, key, since in parked:
        waiting[declared][key] = since
    return Standing(
        held=[subscriber for subscriber in known if subscriber.name in held],
        checkpoints={name: checkpoint for name, _, checkpoint in checkpoints},
        wholes=wholes,
        horizon=horizon[0][0],
        parked=waiting,
        discarded=set(discarded),
    )
