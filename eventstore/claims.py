"""Hashing what streams hold anew: under another key, or where an aggregate writes what it holds in another form."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import database, repository, store
from eventstore.aggregates import Aggregate, Claim
from eventstore.commands import routes
from eventstore.errors import ClaimTaken, ConcurrencyConflict
from eventstore.store import Changes, Holder

BATCH = 200
ATTEMPTS = 8
NIL = UUID(int=0)


class Rehashed(msgspec.Struct):
    """How far it got: `streams` that hold values were looked at, and the claims of so many were `renewed`. The others
    are as they should be, but for those that are `taken` by another stream, or that no aggregate `unknown` here tells.
    """

    streams: int = 0
    renewed: int = 0
    taken: list[UUID] = []
    unknown: list[UUID] = []


def rehash(*, dry_run: bool = False, using: str = DEFAULT_DB_ALIAS) -> Iterator[Rehashed]:
    """Let each stream hold what its aggregate says, under the keys of this process and no others; tells how far it is.

    Each stream is a transaction of its own, and one that holds what it should is only read: so this can be ended at any
    moment and begun again. With `dry_run` nothing is written.
    """
    kinds = {kind.category: kind for kind in routes.aggregates}
    progress, after = Rehashed(), NIL
    while holders := store.holders(after, BATCH, using=using):
        for holder in holders:
            progress.streams += 1
            kind = kinds.get(holder.category)
            if kind is None or not _is_told(kind):
                progress.unknown.append(holder.stream_id)
                continue
            try:
                progress.renewed += _renew(kind, holder, dry_run, using)
            except ClaimTaken:
                progress.taken.append(holder.stream_id)
        after = holders[-1].stream_id
        yield progress


def _is_told(kind: type[Aggregate]) -> bool:
    return kind.held_values is not Aggregate.held_values


def _renew(kind: type[Aggregate], holder: Holder, dry_run: bool, using: str) -> bool:
    """Whether its claims were others. Raises `ClaimTaken`, `ConcurrencyConflict`."""
    for _ in range(ATTEMPTS):
        aggregate = repository.load(kind, holder.stream_id, using=using)
        held = [Claim(scope, value, ClaimTaken()) for scope, value in aggregate.held_values()]
        hashes = {hashed for claim in held for hashed in store.claim_hashes(claim.scope, claim.value)}
        if hashes == holder.hashes:
            return False
        if dry_run:
            return True
        with suppress(ConcurrencyConflict), database.transaction(using):
            changes = Changes(
                stream_id=holder.stream_id,
                category=kind.category,
                expected=aggregate.version,
                events=(),
                claimed=held,
            )
            store.append(changes, using=using)
            store.give_back_all_but(holder.stream_id, hashes, using=using)
            return True
    raise ConcurrencyConflict
