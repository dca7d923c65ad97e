"""A rehearsal tells the code of a saga that runs here the history again, and compares by instance the steps that it
would take with those that were taken.

Nothing can come of it: what is read is read in a transaction that may not write, and nobody saves or sends what the
handlers yield. Instances go by ranges of their keys, so that there are never many in memory, however many there are.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple, Self

import msgspec
import psycopg
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction

from eventstore import database, store
from eventstore.aggregates import Command
from eventstore.codec import Recorded, encoder
from eventstore.commands import routes
from eventstore.database import Cursor
from eventstore.errors import EventstoreError, Refused
from eventstore.handler_guard import applying
from eventstore.models import DiscardedEvent, ParkedEvent, SkippedRange, SubscriberRow
from eventstore.subscriptions import hash_ranges, parking
from eventstore.subscriptions.hash_ranges import HashRange
from sagas import queries
from sagas.models import Instance
from sagas.runtime import InstanceRow, Reactions, read_state
from sagas.saga import Saga

INSTANCES = 50_000
"""About so many instances are in memory at a time. Of more, the log is read once for each so many."""

CHUNK = 500
DETAILED = 5
"""Events of an instance at which it differs that are told; what follows from the first is often more of the same."""

SHOWN = 50


class TakenStep(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance yields: a command that is sent, or by a timer when it is due, with its fields; a timer that is
    cancelled; its end. Of a command that is nowhere to be found there are no fields.
    """

    step: str
    command: str = ""
    timer: str = ""
    due_at: datetime | None = None
    data: dict[str, Any] | None = None

    @property
    def kind(self) -> tuple[str, str, str]:
        return self.step, self.command, self.timer

    def agrees_with(self, other: Self) -> bool:
        """Whether it says the same, as far as both say something."""
        unknown = self.data is None or other.data is None
        return (self.kind, self.due_at) == (other.kind, other.due_at) and (unknown or self.data == other.data)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance did when it heard of an event, and what it would do. With an `error` it would do nothing: the
    event would be parked, and all that come after it would wait.
    """

    position: int
    type: str
    taken: Sequence[TakenStep]
    would_take: Sequence[TakenStep]
    error: str = ""


class InstanceDifference(msgspec.Struct, kw_only=True):
    """An instance that would go another way: at how many `events`, and the first of them."""

    key: str
    events: int = 0
    differences: list[Difference] = msgspec.field(default_factory=list)


class Rehearsal(msgspec.Struct, kw_only=True):
    """What came out of it. `told` counts the events that instances heard of, `incomplete` the instances that were left
    out because their history is not known from the beginning; `differences` are the first of those that differ.
    """

    saga: str
    version: int
    after: int
    upto: int
    told: int = 0
    instances: int = 0
    incomplete: int = 0
    differing: int = 0
    differences: list[InstanceDifference] = msgspec.field(default_factory=list)


class _Kept(NamedTuple):
    """An entry of the story of an instance."""

    id: int
    position: int
    key: str
    version: int
    steps: str
    commands: str | None


class _Heard(NamedTuple):
    """An event as an instance hears of it, and what it did then, if it has heard of it before."""

    key: str
    recorded: Recorded
    kept: _Kept | None


class _Left(NamedTuple):
    """What was not told in its time: parked or discarded events, by key, and ranges that were skipped."""

    events: frozenset[tuple[str, int]]
    ranges: Sequence[tuple[int, int]]

    def holds(self, key: str, recorded: Recorded) -> bool:
        named = (parking.text(key), parking.stream_key(recorded))
        return any((name, recorded.position) in self.events for name in named) or any(
            after < recorded.position <= upto for after, upto in self.ranges
        )


def rehearse(
    saga: Saga[Any],
    *,
    since: int | datetime | None = None,
    most: int = SHOWN,
    progress: Callable[[int, int], object] = lambda done, total: None,
    using: str = DEFAULT_DB_ALIAS,
) -> Rehearsal:
    """Tell a saga all that it has heard of, or what it has `since` a position or a time: then its instances go on from
    the states in which they were. At most so many instances that differ are described. `progress` is told how many of
    how many positions are read. Raises `Refused` where there is nothing to be told.
    """
    with _reading(using) as cursor:
        rows = SubscriberRow.objects.using(using).filter(subscriber=saga.name)
        stands = list(rows.values_list("began_after", "checkpoint"))
        if not stands:
            raise Refused(f"{saga.name} has not followed the log yet, so there is nothing to compare with.")
        began, upto = (min(each) for each in zip(*stands, strict=True))
        after = max(began, _after(since, using))
        if since is not None and after >= upto:
            raise Refused(f"{saga.name} has heard of nothing since then: it stands at position {upto:,}.")
        found = Rehearsal(saga=saga.name, version=saga.version, after=after, upto=max(after, upto))
        parts = 1 + Instance.objects.using(using).filter(saga=saga.name).count() // INSTANCES
        for index in range(parts):
            read = index * (found.upto - after)
            telling = _Telling(saga, cursor, hash_ranges.shard(index, parts), found, most, began=began, using=using)
            for position in telling.tell():
                progress(read + position - after, parts * (found.upto - after))
    return found


@contextmanager
def _reading(using: str) -> Iterator[Cursor]:
    with transaction.atomic(using, durable=True), database.cursor(using) as cursor:
        cursor.execute(queries.BEGIN_REHEARSAL)
        yield cursor


def _after(since: int | datetime | None, using: str) -> int:
    if isinstance(since, datetime):
        return store.position_before(since, using=using)
    return max(0, (since or 0) - 1)


class _Telling:
    """One reading of the log, for the instances whose keys a range holds."""

    def __init__(
        self, saga: Saga[Any], cursor: Cursor, part: HashRange, found: Rehearsal, most: int, *, began: int, using: str
    ) -> None:
        self.saga, self.cursor, self.part, self.found, self.most, self.using = saga, cursor, part, found, most, using
        self.rows: dict[str, InstanceRow] = {}
        self.compared: set[str] = set()
        self.stopped: set[str] = set()
        self.differing: dict[str, InstanceDifference] = {}
        self.from_beginning = found.after == began
        self.late = self._keys_of(queries.HEARD_LATE, [saga.name, found.upto])
        self.incomplete = self._keys_of(queries.HISTORY_MISSING, {"saga": saga.name, "after": found.after})
        if not self.from_beginning:
            self.incomplete |= self.late  # the state in which they were at a position is not that of any moment
        self.found.incomplete += len(self.incomplete)
        self.left = _left(saga.name, using)

    def tell(self) -> Iterator[int]:
        """Answers now and then how far it has read."""
        set_aside = defaultdict[str, list[_Heard]](list)
        hearings = self._hearings()
        while chunk := list(islice(hearings, CHUNK)):
            if not self.from_beginning:
                self._begin({each.key for each in chunk})
            for heard in self.cursor.awake(chunk):
                if heard.key in self.late:
                    set_aside[heard.key].append(heard)
                else:
                    self._tell(heard)
            yield chunk[-1].recorded.position
        for heard in (each for hearings in set_aside.values() for each in _as_heard(hearings)):
            self._tell(heard)
        self.found.instances += len(self.compared)
        yield self.found.upto

    def _hearings(self) -> Iterator[_Heard]:
        """Each event with each instance that is to hear of it, or did."""
        types = self.saga.types.union(kind for (kind,) in self.cursor.ask(queries.STORY_TYPES, [self.saga.name]))
        after, upto = self.found.after, self.found.upto
        events = store.stream(after, upto, types, upto - after, using=self.using)
        by_position = attrgetter("position")
        both: Iterator[Any] = merge(events, self._story(), key=by_position)
        for _, here in groupby(both, key=by_position):
            recorded, *kept = here  # of one position the event comes first
            did = {each.key: each for each in kept}
            for key in dict.fromkeys((*self._keys(recorded, did), *did)):
                if self._concerns(key) and (key in did or not self.left.holds(key, recorded)):
                    yield _Heard(key, recorded, did.get(key))

    def _story(self) -> Generator[_Kept]:
        raw = database.session(self.using)
        with psycopg.ServerCursor(raw, "rehearsal", row_factory=lambda _: _Kept._make) as cursor:
            cursor.itersize = CHUNK
            yield from cursor.execute(queries.STORY, [self.saga.name, self.found.after, self.found.upto])

    def _keys(self, recorded: Recorded, did: Mapping[str, _Kept]) -> list[str]:
        """An event whose key can't be told is held against those who heard of it, or against its stream."""
        try:
            with applying():
                return [str(key) for key in self.saga.keys(recorded)]
        except Exception as error:
            held = parking.stream_key(recorded)
            if not did and self._concerns(held) and not self.left.holds(held, recorded):
                self._note(_Heard(held, recorded, None), [], [], parking.describe(error))
            return []

    def _concerns(self, key: str) -> bool:
        return key not in self.incomplete and self.part.holds(key)

    def _begin(self, keys: Iterable[str]) -> None:
        """Let those that have heard of nothing yet be in the states in which they were."""
        new = list(set(keys) - self.compared - self.rows.keys())
        for key, *known in self.cursor.ask(queries.STATES_AT, [self.saga.name, new, self.found.after]):
            self.rows[key] = InstanceRow(self.saga.name, key, *known)

    def _tell(self, heard: _Heard) -> None:
        if heard.key in self.stopped:
            return
        try:
            with applying():
                would_take = self._react(heard)
            error = ""
        except (DatabaseError, psycopg.Error):  # a handler asked the database, which lets nobody write now
            raise
        except Exception as raised:
            self.stopped.add(heard.key)
            would_take, error = [], parking.describe(raised)
        if heard.kept or heard.key in self.rows or error:
            self.found.told += 1
            self.compared.add(heard.key)
        taken = _taken(heard.kept) if heard.kept else []
        agree = len(taken) == len(would_take) and all(map(TakenStep.agrees_with, taken, would_take))
        if error or not agree:
            self._note(heard, taken, would_take, error)

    def _react(self, heard: _Heard) -> list[TakenStep]:
        key, recorded, kept = heard
        row = self.rows.get(key)
        if row is not None and isinstance(row.state, str):
            row.state = read_state(self.saga, row.state, row.version)
        rules = self.saga.rules(kept.version) if kept else self.saga
        if row is None and rules.begins(key, recorded):
            self.rows[key] = InstanceRow(self.saga.name, key, rules.state(), rules.version, ended=False, position=0)
        reactions = Reactions(self.saga, self.rows)
        reactions.react(key, recorded)
        commands = {each["command_id"]: each["data"] for each in (*reactions.sent, *reactions.armed)}
        return [
            _step({**step, "data": _fields(commands[step["command_id"]]) if "command_id" in step else None})
            for entry in reactions.story
            for step in entry["steps"]
        ]

    def _note(self, heard: _Heard, taken: list[TakenStep], would_take: list[TakenStep], error: str) -> None:
        one = self.differing.get(heard.key)
        if one is None:
            one = self.differing[heard.key] = InstanceDifference(key=heard.key)
            self.found.differing += 1
            if len(self.found.differences) < self.most:
                self.found.differences.append(one)
        one.events += 1
        if one.events <= DETAILED and self.found.differing <= self.most:
            one.differences.append(
                Difference(
                    position=heard.recorded.position,
                    type=heard.recorded.type,
                    taken=taken,
                    would_take=would_take,
                    error=error,
                )
            )

    def _keys_of(self, query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> set[str]:
        return {key for (key,) in self.cursor.ask(query, parameters) if self.part.holds(key)}


def _as_heard(hearings: Sequence[_Heard]) -> list[_Heard]:
    """In the order in which they were told; what was not is told after what it comes after in the log."""
    last = 0
    places = []
    for heard in hearings:
        last = heard.kept.id if heard.kept else last
        places.append(last)
    return [heard for _, heard in sorted(zip(places, hearings, strict=True), key=lambda each: each[0])]


def _taken(kept: _Kept) -> list[TakenStep]:
    commands = msgspec.json.decode(kept.commands) if kept.commands else {}
    return [
        _step({**step, "data": _as_today(step["command"], commands.get(step["command_id"]))})
        if "command_id" in step
        else _step(step)
        for step in msgspec.json.decode(kept.steps)
    ]


def _step(said: Mapping[str, Any]) -> TakenStep:
    return msgspec.convert(said, TakenStep)


def _fields(command: Command) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(encoder.encode(command))
    return fields


def _as_today(name: str, data: dict[str, Any] | None) -> dict[str, Any] | None:
    """The fields of a command as it would be written today, if this code can read it."""
    if data is None:
        return None
    try:
        return _fields(msgspec.convert(data, routes.named(name)))
    except (EventstoreError, msgspec.ValidationError):
        return data


def _left(saga: str, using: str) -> _Left:
    parked = ParkedEvent.objects.using(using).filter(subscriber=saga).values_list("key", "position")
    discarded = DiscardedEvent.objects.using(using).filter(subscriber=saga).values_list("key", "position")
    skipped = SkippedRange.objects.using(using).filter(subscriber=saga).values_list("after", "upto")
    return _Left(frozenset((*parked, *discarded)), list(skipped))
