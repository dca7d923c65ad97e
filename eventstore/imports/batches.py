"""Many commands in one transaction: each begins a stream of its own, so that nothing has to be loaded.

What `dispatch` promises holds of each: it is carried out once by its id, claims are held by one stream, and its events
are there when the transaction is, which waits for the disk once for all of them.
"""

import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from eventstore import commands, database, handler_guard, store
from eventstore.aggregates import Aggregate, Claim, Command
from eventstore.commands import ATTEMPTS, CommandContext
from eventstore.database import Statement
from eventstore.errors import ConcurrencyConflict, DomainError, EventstoreError, StreamExists
from eventstore.store import MOST_EVENTS, Changes, Standing


class NotABeginning(EventstoreError):
    """Only commands that begin a stream, of an aggregate that isn't hot, are carried out many at a time."""

    code = "not-a-beginning"


class Wish(NamedTuple):
    """A command with its id."""

    command_id: UUID
    command: Command


class Outcome(NamedTuple):
    """What becomes of a wish: what it records, or why it is refused; `repeated` if it was carried out before."""

    changes: Changes | None = None
    refusal: DomainError | None = None
    claim: Claim | None = None
    """The one that another stream holds, if that is why."""
    repeated: bool = False


class Carried(NamedTuple):
    """What became of the first so many wishes; the command id and the last position of what was appended last."""

    outcomes: Sequence[Outcome]
    last: UUID | None = None
    position: int | None = None


Along = Callable[[Sequence[Outcome]], Sequence[Statement]]


def carry_out(wishes: Sequence[Wish], along: Along, *, using: str = DEFAULT_DB_ALIAS) -> Carried:
    """Carry out as many of these wishes, from the first on, as one append takes: each, or none of them.

    What `along` makes of the outcomes is written in the same transaction. A lost race is decided again, a bounded
    number of times. Raises `NotABeginning`, `ConcurrencyConflict`, `ActsWhileApplying`, `TooManyEvents` where a single
    one records too many.
    """
    handler_guard.refuse_to("send commands")
    for attempt in range(1, ATTEMPTS):
        with suppress(ConcurrencyConflict, DomainError):
            return _attempt(wishes, along, using)
        time.sleep(random.uniform(0, 0.002 * 2**attempt))
    return _attempt(wishes, along, using)


def foresee(wishes: Sequence[Wish], *, using: str = DEFAULT_DB_ALIAS) -> Sequence[Outcome]:
    """What would become of the first so many wishes; nothing is written."""
    with database.transaction(using):
        return _outcomes(wishes, using)[0]


def _attempt(wishes: Sequence[Wish], along: Along, using: str) -> Carried:
    with database.transaction(using):
        outcomes, guards = _outcomes(wishes, using)
        # Whatever may wait comes before the append, which from its first event on holds back who reads the log.
        statements = along(outcomes)
        changes = [outcome.changes for outcome in outcomes if outcome.changes]
        if not changes:
            database.commit(*statements, using=using)
            return Carried(outcomes)
        append = store.Append(*changes, *guards)
        with append.refusals():
            found = database.commit(*statements, append.statement, store.record_carried_out(changes), using=using)
    return Carried(outcomes, changes[-1].command_id, append.answer(found[len(statements)]).last)


def _outcomes(wishes: Sequence[Wish], using: str) -> tuple[Sequence[Outcome], Collection[Changes]]:
    """Of as many as one append takes, and what guards them."""
    ids, streams = [wish.command_id for wish in wishes], [wish.command.stream_id for wish in wishes]
    standing = store.lock_and_look(ids, streams, using=using)
    facts = CommandContext(using, standing.now)
    outcomes, events, begun = list[Outcome](), 0, set(standing.begun)
    for wish in wishes:
        outcome = _decided(wish, standing, begun, facts)
        events += len(outcome.changes.events) if outcome.changes else 0
        if events > MOST_EVENTS and outcomes:
            break
        outcomes.append(outcome)
    facts.give_back()
    return _claiming(outcomes, using), facts.guards


def _decided(wish: Wish, standing: Standing, begun: set[UUID], facts: CommandContext) -> Outcome:
    kind, handler = commands.routes.handler(wish.command)
    if not handler.creates or kind.hot:
        raise NotABeginning
    if wish.command_id in standing.done:
        return Outcome(repeated=True)
    aggregate: Aggregate = kind(wish.command.stream_id)
    if aggregate.id in begun:
        return Outcome(refusal=StreamExists())
    try:
        aggregate.decide(wish.command, facts)
    except DomainError as refusal:
        return Outcome(refusal=refusal)
    begun.add(aggregate.id)
    return Outcome(
        Changes(
            stream_id=aggregate.id,
            category=kind.category,
            expected=0,
            events=aggregate.recorded,
            claimed=aggregate.claimed,
            released=aggregate.released,
            command_id=wish.command_id,
        )
    )


def _claiming(outcomes: Sequence[Outcome], using: str) -> Sequence[Outcome]:
    """Refuses who claims what another stream holds, or what one before it has claimed."""
    taken = set(
        store.held((claim for outcome in outcomes if outcome.changes for claim in outcome.changes.claimed), using=using)
    )
    found = []
    for outcome in outcomes:
        claims = outcome.changes.claimed if outcome.changes else ()
        refused = next((claim for claim in claims if (claim.scope, claim.value) in taken), None)
        if refused is None:
            taken.update((claim.scope, claim.value) for claim in claims)
            found.append(outcome)
        elif isinstance(refused.refusal, DomainError):
            found.append(Outcome(refusal=refused.refusal, claim=refused))
        else:
            raise refused.refusal
    return found
