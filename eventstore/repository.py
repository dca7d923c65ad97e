"""Loading aggregates: the newest snapshot that this code wrote, and the events since."""

import inspect
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar, get_type_hints
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import store
from eventstore.aggregates import Aggregate
from eventstore.errors import StreamNotFound
from eventstore.models import Snapshot

A = TypeVar("A", bound=Aggregate)


def load(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> A:
    """The aggregate as its events left it; at version 0 if there are none of this category."""
    aggregate = kind(stream_id)
    if kind.snapshot_every:
        _restore(aggregate, using)
    for recorded in store.read_stream(stream_id, aggregate.version, using=using):
        if recorded.category != kind.category:
            return kind(stream_id)
        aggregate.evolve(recorded.event)
    return aggregate


def get(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> A:
    """The same, for one that must exist. Raises `StreamNotFound`."""
    aggregate = load(kind, stream_id, using=using)
    if not aggregate.exists:
        raise StreamNotFound
    return aggregate


def snapshot_if_due(aggregate: Aggregate, before: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Keep the state once in every `snapshot_every` versions. `before` is the version that was loaded."""
    every = type(aggregate).snapshot_every
    if not every or before // every == aggregate.version // every:
        return
    types, fingerprint = shape(type(aggregate))
    state = {name: getattr(aggregate, name) for name in types}
    Snapshot.objects.using(using).bulk_create(
        [
            Snapshot(
                stream_id=aggregate.id,
                version=aggregate.version,
                fingerprint=fingerprint,
                state=msgspec.to_builtins(state),
            )
        ],
        update_conflicts=True,
        unique_fields=["stream_id"],
        update_fields=["version", "fingerprint", "state"],
    )


class Shape(NamedTuple):
    """What a snapshot of an aggregate depends on: its state's types, and a fingerprint of the code that folds them."""

    state: dict[str, Any]
    fingerprint: str


_shapes: dict[type[Aggregate], Shape] = {}


def shape(kind: type[Aggregate]) -> Shape:
    """The annotated attributes that a subclass adds are its state."""
    if kind not in _shapes:
        inherited = get_type_hints(Aggregate)
        state = {name: hint for name, hint in get_type_hints(kind).items() if name not in inherited}
        schemas = sorted(f"{event.stored}:{event.schema}" for event in kind.evolvers)
        code = inspect.getsource(inspect.getmodule(kind) or kind)
        _shapes[kind] = Shape(state, sha256("\n".join([code, *schemas]).encode()).hexdigest()[:16])
    return _shapes[kind]


def _restore(aggregate: Aggregate, using: str) -> None:
    state, fingerprint = shape(type(aggregate))
    snapshot = Snapshot.objects.using(using).filter(pk=aggregate.id, fingerprint=fingerprint).first()
    if snapshot is None:
        return
    for name, kind in state.items():
        setattr(aggregate, name, msgspec.convert(snapshot.state[name], kind))
    aggregate.version = snapshot.version
