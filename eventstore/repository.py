"""Loading aggregates: the newest snapshot that this code wrote, and the events since."""

import inspect
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple, TypeVar, get_type_hints
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import store
from eventstore.aggregates import Aggregate
from eventstore.codec import Recorded
from eventstore.errors import StreamNotFound
from eventstore.models import Snapshot

A = TypeVar("A", bound=Aggregate)


def recall(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> A:
    """The aggregate as far as it is at hand: in memory, else in a snapshot, else empty. The caller owns it."""
    known = aggregate_cache.take(kind, stream_id, using)
    if known is not None:
        return known
    aggregate = kind(stream_id)
    if kind.snapshot_every:
        _restore(aggregate, using)
    return aggregate


def evolve(aggregate: A, since: Iterable[Recorded]) -> A:
    """Fold the events that came since; a stream of another category is as good as none."""
    for recorded in since:
        if recorded.category != aggregate.category:
            return type(aggregate)(aggregate.id)
        aggregate.evolve(recorded.event)
    return aggregate


def load(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> A:
    """The aggregate as its events left it; at version 0 if there are none of this category."""
    aggregate = recall(kind, stream_id, using=using)
    return evolve(aggregate, store.read_stream(stream_id, aggregate.version, using=using))


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


class AggregateCache:
    """The hot aggregates that this process decided about last, as they were committed.

    Events never change and versions only rise, so what is remembered is never wrong, only early: the events since are
    read as ever. Who takes an aggregate owns it, and gives it back when it is known to be what the log says.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, type[Aggregate], UUID], Aggregate] = OrderedDict()
        self._lock = Lock()

    def take(self, kind: type[A], stream_id: UUID, using: str) -> A | None:
        with self._lock:
            found = self._kept.pop((using, kind, stream_id), None)
        return found if isinstance(found, kind) else None

    def give(self, aggregate: Aggregate, using: str) -> None:
        if not aggregate.hot:
            return
        aggregate.forget_changes()
        with self._lock:
            self._kept[using, type(aggregate), aggregate.id] = aggregate
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


aggregate_cache = AggregateCache()


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
