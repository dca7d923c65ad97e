"""A watch follows the log beside everybody else, and raises an incident that names the event which broke what must
always hold.

It has no table. Whether something holds as of an event is told by the log itself, read up to that event, or by read
models that have each event's position; and what stands is told by the incidents. So after a restart it goes on where
its checkpoint says, and a rebuild of what it reads, or a rewind of the watch, changes nothing about what it finds.
"""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

from eventstore import store
from eventstore.codec import Recorded, stored_names
from eventstore.database import Cursor
from eventstore.events import Event, catalogue
from eventstore.models import Incident
from eventstore.monitoring import incidents
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode, Rank, Subscriber, Work

AT_ONCE = 500
"""Events that are judged together when a watch is asked once more."""


class Judgement(NamedTuple):
    """Of something that must hold, whether it does as of an event: `fault` says what is wrong, and is empty otherwise.

    Neither `about` nor `fault` may hold a person's data.
    """

    recorded: Recorded
    about: str
    fault: str = ""


class Watch(Subscriber):
    """Judges, as of each of these `events`, what must hold. Incidents have its `kind`, which is registered with
    `sources.register_findings`. They are over when a later event of the same key sets right what they are about.

    It is fed by workers, after those that it `uses`, so their rows show each event that it judges, and perhaps later
    ones.
    """

    rank, declared_mode = Rank.WATCH, Mode.ASYNC
    idempotent = gathers = True
    kind: str
    events: Sequence[type[Event]]

    def __init_subclass__(
        cls,
        *,
        name: str,
        kind: str,
        events: Sequence[type[Event]],
        version: int = 1,
        uses: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        cls.name, cls.kind, cls.version = name, kind, version
        cls.events, cls.uses = tuple(events), tuple(uses)

    @abstractmethod
    def key(self, recorded: Recorded) -> Hashable:
        """Of what an event may break something; what else belongs to it is judged with it."""

    @abstractmethod
    def judge(self, key: Hashable, recorded: Sequence[Recorded]) -> Iterable[Judgement]:
        """What holds as of each of these events of one key, in order, and what doesn't."""

    @cached_property
    def types(self) -> frozenset[str]:
        return frozenset().union(*map(stored_names, self.events))

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        return dict.fromkeys(self.key(part) for part in self._parts(recorded))

    def _parts(self, recorded: Recorded) -> list[Recorded]:
        """What an event is read as, as far as it is among those that are judged."""
        return [part for part in recorded.parts if catalogue[part.type] in self.events]

    def begins_at(self, head: int) -> int:
        return 0

    def judgements(self, work: Sequence[Work]) -> list[Judgement]:
        """What holds as of each of these events, and what doesn't, in the order of the log."""
        judged = [
            judgement
            for key, events in _by_key(work)
            for judgement in self.judge(
                key, [part for each in events for part in self._parts(each) if self.key(part) == key]
            )
        ]
        return sorted(judged, key=lambda each: each.recorded.position)

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        since = dict(Incident.objects.filter(kind=self.kind, ended_at=None).values_list("about", "began_at"))
        for recorded, about, fault in self.judgements(work):
            if fault and about not in since:
                since[about] = recorded.recorded_at
                incidents.find(self.kind, about, f"since {named(recorded)}: {fault}", since=recorded.recorded_at)
            elif not fault and about in since and since[about] <= recorded.recorded_at:
                del since[about]
                incidents.settle(self.kind, about)


def watches() -> list[Watch]:
    """Those that are registered."""
    return [each for each in registry if isinstance(each, Watch)]


class Check(NamedTuple):
    """How far a watch was asked, about how many events, and what is broken there: by what it is about, with the event
    that broke it.
    """

    upto: int
    judged: int
    broken: Mapping[str, Judgement]


def check(watch: Watch, after: int, upto: int) -> Iterator[Check]:
    """Judge the events of the log between two positions once more, and tell how far that is after each batch. Nothing
    is kept: no incident begins or ends, and the watch stands where it stood.
    """
    judged, broken = 0, dict[str, Judgement]()
    while recorded := store.read(after, upto, watch.types, AT_ONCE):
        for judgement in watch.judgements([Work(key, each) for each in recorded for key in watch.keys(each)]):
            if judgement.fault:
                broken.setdefault(judgement.about, judgement)
            else:
                broken.pop(judgement.about, None)
        after, judged = recorded[-1].position, judged + len(recorded)
        yield Check(after, judged, broken)
    yield Check(upto, judged, broken)


def _by_key(work: Sequence[Work]) -> Iterator[tuple[Hashable, list[Recorded]]]:
    """The events of each key, in order; keys in the order in which they come first."""
    first = {key: place for place, key in reversed([*enumerate(each.key for each in work)])}
    for key, group in groupby(sorted(work, key=lambda each: first[each.key]), key=lambda each: each.key):
        yield key, [each.recorded for each in group]


def named(recorded: Recorded) -> str:
    """Which event it is, and where."""
    return (
        f"{recorded.type} at position {recorded.position}, version {recorded.version} of the stream"
        f" {recorded.stream_id} ({recorded.category})"
    )
