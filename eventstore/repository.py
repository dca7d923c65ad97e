"""Loading aggregates: the newest snapshot that this code wrote, and the events since."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from itertools import takewhile
from operator import attrgetter
from threading import Lock
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_type_hints
from uuid import UUID

import msgspec
from django.db import DEFAULT_DB_ALIAS

from eventstore import store
from eventstore.aggregates import Aggregate
from eventstore.codec import Recorded, stored_names
from eventstore.errors import StreamNotFound, UnreadableCode
from eventstore.events import Event
from eventstore.fingerprint.name_resolution import Project
from eventstore.fingerprint.normal_form import Form, as_text
from eventstore.fingerprint.reader import Reader
from eventstore.models import Snapshot

A = TypeVar("A", bound=Aggregate)

_Place: TypeAlias = tuple[str, type[Aggregate], UUID]


def recall(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> A:
    """The aggregate as far as it is at hand: in memory, else in a snapshot, else empty. The caller owns it."""
    known = aggregate_cache.take(kind, stream_id, using)
    if known is not None:
        return known
    aggregate = kind(stream_id)
    if kind.snapshot_every:
        _restore(aggregate, using)
    return aggregate


def known_version(aggregate: Aggregate) -> int:
    """The version above which `evolve` is to be given the events: the last one that was folded is among them, to be
    recognized.
    """
    return max(0, aggregate.version - 1)


def evolve(aggregate: A, events: Sequence[Recorded], *, using: str = DEFAULT_DB_ALIAS) -> A:
    """Fold the events of its stream above `known_version`; a stream of another category is as good as none.

    What was remembered counts only if the last event that it saw is still where it was. After a failover or a restore
    another may be there, which began another history: then all is folded anew.
    """
    if aggregate.version:
        if not events or events[0].event_id != aggregate.last_event_id:
            aggregate = type(aggregate)(aggregate.id)
            events = store.read_stream(aggregate.id, using=using)
        else:
            events = events[1:]
    for recorded in events:
        if recorded.category != aggregate.category:
            return type(aggregate)(aggregate.id)
        for part in recorded.parts:  # all of them are its one version
            aggregate.version = recorded.version - 1
            aggregate.evolve(part.event)
        aggregate.version, aggregate.last_event_id = recorded.version, recorded.event_id
    return aggregate


def load(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> A:
    """The aggregate as its events left it; at version 0 if there are none of this category."""
    aggregate = recall(kind, stream_id, using=using)
    return evolve(aggregate, store.read_stream(stream_id, known_version(aggregate), using=using), using=using)


def get(kind: type[A], stream_id: UUID, *, upto: int | datetime | None = None, using: str = DEFAULT_DB_ALIAS) -> A:
    """The same, for one that must exist; or as it was once the event at a position, or all that was recorded by a time,
    had happened, as today's code reads it. Raises `StreamNotFound`.
    """
    aggregate = load(kind, stream_id, using=using) if upto is None else _load_upto(kind, stream_id, upto, using)
    if not aggregate.exists:
        raise StreamNotFound
    return aggregate


@contextmanager
def looked_at(kind: type[A], stream_id: UUID, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[A]:
    """The aggregate as its events left it, for who only looks at it, and outside of a transaction: a hot one stays at
    hand for who decides next. At version 0 if there is none.
    """
    aggregate = load(kind, stream_id, using=using)
    try:
        yield aggregate
    finally:
        aggregate_cache.give(aggregate, using)


def _load_upto(kind: type[A], stream_id: UUID, upto: int | datetime, using: str) -> A:
    """From a snapshot only if the event that it was taken after is still there and had happened by then."""
    had_happened = _until(upto)
    aggregate = kind(stream_id)
    if kind.snapshot_every:
        _restore(aggregate, using)
    events = [*takewhile(had_happened, store.read_stream(stream_id, known_version(aggregate), using=using))]
    if aggregate.version and (not events or events[0].event_id != aggregate.last_event_id):
        aggregate = kind(stream_id)
        events = [*takewhile(had_happened, store.read_stream(stream_id, using=using))]
    return evolve(aggregate, events, using=using)


def get_version(
    kind: type[A], stream_id: UUID, version: int, *, most: int, using: str = DEFAULT_DB_ALIAS
) -> tuple[A, Recorded | None] | None:
    """The aggregate as it was at a version of its stream, and the event at that; from a snapshot if one was taken by
    then. None if it would take more than `most` events. Raises what folding them raises.
    """
    aggregate = kind(stream_id)
    if not version:
        return aggregate, None
    if kind.snapshot_every:
        _restore(aggregate, using)
        aggregate = aggregate if aggregate.version <= version else kind(stream_id)
    events = _upto_version(aggregate, version, most, using)
    if aggregate.version and events and events[0].event_id != aggregate.last_event_id:
        aggregate = kind(stream_id)
        events = _upto_version(aggregate, version, most, using)
    return (evolve(aggregate, events, using=using), events[-1]) if events else None


def _upto_version(aggregate: Aggregate, version: int, most: int, using: str) -> list[Recorded]:
    """None of them where they are too many."""
    after = known_version(aggregate)
    return store.read_stream_part(aggregate.id, after, version - after, using=using) if version - after <= most else []


def _until(upto: int | datetime) -> Callable[[Recorded], bool]:
    if isinstance(upto, datetime):
        return lambda recorded: recorded.recorded_at <= upto
    return lambda recorded: recorded.position <= upto


def get_before(
    kind: type[A],
    stream_id: UUID,
    later: Callable[[Recorded], bool],
    *,
    only: Collection[type[Event]] = (),
    using: str = DEFAULT_DB_ALIAS,
) -> A:
    """The aggregate as it was before the first of its events that is `later`, of a long stream as far as the events
    `only` tell. Raises `StreamNotFound` where there was none before.
    """
    if only:
        recorded = store.read_types(stream_id, frozenset().union(*map(stored_names, only)), using=using)
    else:
        recorded = store.read_stream(stream_id, using=using)
    events = takewhile(lambda each: not later(each), recorded)
    aggregate = evolve(kind(stream_id), [*events], using=using)
    if not aggregate.exists:
        raise StreamNotFound
    return aggregate


def snapshot_if_due(aggregate: Aggregate, before: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Keep the state once in every `snapshot_interval` versions. `before` is the version that was loaded."""
    every = snapshot_interval(type(aggregate), aggregate.version)
    if not every or before // every == aggregate.version // every:
        return
    types, fingerprint = shape(type(aggregate))
    if not fingerprint:
        return
    state = {name: getattr(aggregate, name) for name in types}
    Snapshot.objects.using(using).bulk_create(
        [
            Snapshot(
                stream_id=aggregate.id,
                version=aggregate.version,
                last_event_id=aggregate.last_event_id,
                fingerprint=fingerprint,
                state=msgspec.to_builtins(state),
            )
        ],
        update_conflicts=True,
        unique_fields=["stream_id"],
        update_fields=["version", "last_event_id", "fingerprint", "state"],
    )


def snapshot_interval(kind: type[Aggregate], version: int) -> int:
    """The versions from one snapshot to the next: `snapshot_every`, doubled again and again while that is less than a
    tenth of the stream. State mostly grows with its stream, and so each event costs the same, in a long one too.
    """
    tenths = version // (10 * kind.snapshot_every) if kind.snapshot_every else 0
    return kind.snapshot_every << max(0, tenths.bit_length() - 1)


class AggregateCache:
    """The hot aggregates that this process decided about last, as they were committed.

    The events since are read as ever, and the last one that was seen, by which `evolve` tells whether this is still the
    same history. Who takes an aggregate owns it, and gives it back when it is known to be what the log says. Threads
    that are about the same one at once have a copy each: all but one would have to begin with a snapshot every time.
    """

    def __init__(self, most: int = 64, copies: int = 16) -> None:
        self._most, self._copies = most, copies
        self._kept: list[tuple[_Place, Aggregate]] = []
        self._lock = Lock()

    def take(self, kind: type[A], stream_id: UUID, using: str) -> A | None:
        """The copy that has seen most."""
        with self._lock:
            if not (copies := self._copies_at((using, kind, stream_id))):
                return None
            self._kept.remove(newest := copies[-1])
        found = newest[1]
        return found if isinstance(found, kind) else None

    def give(self, aggregate: Aggregate, using: str) -> None:
        """Of too many, those are forgotten that were not given for the longest time, and of one aggregate the copies
        that have seen least.
        """
        if not aggregate.hot:
            return
        aggregate.forget_changes()
        place: _Place = (using, type(aggregate), aggregate.id)
        with self._lock:
            self._kept.append((place, aggregate))
            for stale in self._copies_at(place)[: -self._copies]:
                self._kept.remove(stale)
            del self._kept[: -self._most]

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()

    def _copies_at(self, place: _Place) -> list[tuple[_Place, Aggregate]]:
        return sorted((each for each in self._kept if each[0] == place), key=lambda each: each[1].version)


aggregate_cache = AggregateCache()


class Shape(NamedTuple):
    """What a snapshot of an aggregate depends on: its state's types, and a fingerprint of all code that the fold runs
    through; that is empty where some of it can't be read.
    """

    state: dict[str, Any]
    fingerprint: str


_shapes: dict[type[Aggregate], Shape] = {}


def shape(kind: type[Aggregate]) -> Shape:
    """The annotated attributes that a subclass adds are its state."""
    if kind not in _shapes:
        inherited = get_type_hints(Aggregate)
        state = {name: hint for name, hint in get_type_hints(kind).items() if name not in inherited}
        try:
            _shapes[kind] = Shape(state, _fingerprint(kind, state))
        except UnreadableCode:
            _shapes[kind] = Shape(state, "")
    return _shapes[kind]


def _fingerprint(kind: type[Aggregate], state: Mapping[str, Any]) -> str:
    """Of its class, the events that it folds with their upcasters, and the types of its state, with all of the project
    that these refer to. Raises `UnreadableCode`.
    """
    project = Project(kind.__module__.partition(".")[0])
    reader = Reader(project)
    form: Form = [
        [reader.value(each) for each in kind.__mro__ if project.owns(each.__module__)],
        [reader.value(event) for event in sorted(kind.evolvers, key=attrgetter("stored"))],
        [[name, reader.hint(hint)] for name, hint in sorted(state.items())],
        reader.definitions(),
    ]
    return sha256(as_text(form).encode()).hexdigest()[:16]


def _restore(aggregate: Aggregate, using: str) -> None:
    state, fingerprint = shape(type(aggregate))
    if not fingerprint:
        return
    snapshot = (
        Snapshot.objects.using(using)
        .filter(pk=aggregate.id, fingerprint=fingerprint, last_event_id__isnull=False)
        .first()
    )
    if snapshot is None:
        return
    for name, kind in state.items():
        setattr(aggregate, name, msgspec.convert(snapshot.state[name], kind))
    aggregate.version, aggregate.last_event_id = snapshot.version, snapshot.last_event_id
