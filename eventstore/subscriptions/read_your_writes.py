"""How a request waits until everything that began with its command is at rest, and can be read."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from eventstore import conf, database
from eventstore.database import Statement
from eventstore.subscriptions import feed_state, feeding, queries
from eventstore.subscriptions.feed_state import Awaited
from eventstore.subscriptions.feeding import Fed
from eventstore.subscriptions.outbox import Outbox
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode

LEAST_PATIENCE = 0.1
"""Seconds for which a request waits for a lock, though its bound is as good as reached."""


class Bound:
    """How long a request waits for its read models, and how it stops waiting when nothing moves.

    After a wait that hit its bound, requests answer *pending* at once for a second: a frozen feeder would otherwise
    cost every request the full bound.
    """

    def __init__(self, pause: float = 1.0) -> None:
        self.pause = pause
        self._answer_at_once_until = 0.0

    def forget(self) -> None:
        """Wait in full again."""
        self._answer_at_once_until = 0.0

    def moments(self) -> Iterator[float]:
        """Yields the seconds that are left, until the bound; the caller sleeps or works in between."""
        begin = time.monotonic()
        bound = 0.0 if begin < self._answer_at_once_until else conf.SETTLE_SECONDS.get()
        yield bound
        while (left := begin + bound - time.monotonic()) > 0:
            yield left
        if bound:
            self._answer_at_once_until = time.monotonic() + self.pause


bound = Bound()


class Turn:
    """Feeding the sync subscribers by turns with other requests, without being in each other's way.

    A request that finds another process feeding asks after its commit, for it has probably brought what the request
    waits for, before trying again. Where nobody feeds and nothing moves, naps grow longer.
    """

    SHORTEST, LONGEST = 0.001, 0.008

    def __init__(self, using: str) -> None:
        self.using = using
        self._fed = Fed(held=False, moved=False)
        self._nap = self.SHORTEST

    def feed_and_ask(self, awaited: Awaited, *statements: Statement) -> list[list[Any]]:
        """Feed, unless other processes feed as far as is awaited, and ask when that is done."""
        self._fed, answers = feeding.feed_sync_and_ask(*statements, awaited=awaited, using=self.using)
        return answers

    def wait(self) -> None:
        """Until something may have changed."""
        if self._fed.moved:
            self._nap = self.SHORTEST
        elif not self._fed.elsewhere:
            time.sleep(random.uniform(0.5, 1.5) * self._nap)
            self._nap = min(2 * self._nap, self.LONGEST)


class ChainState(Enum):
    """Whether something that began with a command is left to send; if not, whether a sync subscriber that is near has
    yet to see what it led to, or only one that is too far behind to be waited for, or nobody.
    """

    UNFINISHED = "unfinished"
    BEHIND = "behind"
    FAR_BEHIND = "far behind"
    AT_REST = "at rest"


class Chain(NamedTuple):
    """Where a chain stands, the last position that was appended in it, and what of it can be sent now, by outbox."""

    state: ChainState
    position: int
    due: Sequence[tuple[Outbox, Sequence[Any]]]


class Settled(NamedTuple):
    """Whether a chain has come to rest, and the last position that was appended in it when that was asked."""

    at_rest: bool
    position: int


def settle(root: UUID, position: int, *, using: str = DEFAULT_DB_ALIAS) -> Settled:
    """Feed, and send what subscribers want sent, until what began with this root is at rest or the bound is reached.

    `root` is the id of the command that began the chain, `position` the last one it appended. Not at rest when workers
    have to go on, or when a subscriber is too far behind to be waited for.
    """
    outboxes = registry.outboxes()
    turn = Turn(using)
    last = position
    awaited = partial(Awaited, f"greatest({_positions(outboxes)})", _values(root, position, outboxes))
    for left in bound.moments():
        state, last, due = chain(root, position, partial(turn.feed_and_ask, awaited(left)), outboxes)
        if state is ChainState.AT_REST:
            return Settled(True, last)
        if state is ChainState.FAR_BEHIND:
            break
        patience = max(left, LEAST_PATIENCE)
        if not any(outbox.send_next(rows, patience=patience, using=using) for outbox, rows in due):
            turn.wait()
    for outbox in outboxes:
        outbox.remind(using=using)
    return Settled(False, last)


def reached(root: UUID, position: int, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The last position that was appended by now in the chain that began with this root and appended at this one."""
    return chain(root, position, partial(database.pipeline, using=using), registry.outboxes()).position


def chain(root: UUID, position: int, ask: Callable[..., Sequence[Sequence[Any]]], outboxes: Sequence[Outbox]) -> Chain:
    """Where the chain stands that began with this root and appended at this position; asked in this way."""
    asked = Statement(_state_of(outboxes), _values(root, position, outboxes))
    ((unfinished, behind, far_behind, last, *due),) = ask(asked)[0]
    found = {ChainState.UNFINISHED: unfinished, ChainState.BEHIND: behind, ChainState.FAR_BEHIND: far_behind}
    state = next((state for state, is_so in found.items() if is_so), ChainState.AT_REST)
    return Chain(state, last, [(outbox, rows or ()) for outbox, rows in zip(outboxes, due, strict=False)])


def _state_of(outboxes: Sequence[Outbox]) -> str:
    unfinished = " OR ".join(f"({outbox.unfinished})" for outbox in outboxes) or "false"
    due = ", ".join(f"({outbox.due})" for outbox in outboxes) or "NULL"
    return queries.CHAIN_STATE.format(unfinished=unfinished, positions=_positions(outboxes), due=due)


def _positions(outboxes: Sequence[Outbox]) -> str:
    """Of what was appended in the chain."""
    return ", ".join(["%(position)s", *(f"({outbox.result})" for outbox in outboxes)])


def _values(root: UUID, position: int, outboxes: Sequence[Outbox]) -> dict[str, Any]:
    values = {
        "root": root,
        "position": position,
        "near": feed_state.NEAR,
        "known": feed_state.identities(registry.of(Mode.SYNC)),
    }
    for outbox in outboxes:
        values |= outbox.parameters()
    return values
