"""What the machinery relies on in every subscriber, as checks for whoever writes one.

Append the events that it wants (by commands, or with `given`), then try each check, with a function that tells what the
subscriber has made of them; ids and times that differ from run to run are to be left out:

    @pytest.mark.parametrize("check", CHECKS)
    def test_shelves_keep_the_contract(check):
        given(stream_id, Bought(...), Lent(...))
        check(Shelves(), lambda: rows(Shelf.objects.all()))

The checks feed it from the beginning of the log, together with nobody else, and undo what they did; so its tables have
to be empty before. They need a database where they may commit: `check_an_open_transaction` appends copies of an event.
(After the shared examples for repositories in Rails Event Store.)
"""

import threading
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

from eventstore import database, store
from eventstore.codec import Recorded
from eventstore.context import new_id
from eventstore.database import Cursor
from eventstore.events import Event
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.subscriptions import feeding, parking
from eventstore.subscriptions.pace import BATCH
from eventstore.subscriptions.subscriber import Shard, Subscriber, Work

Made = Callable[[], Any]
Check = Callable[[Subscriber, Made], None]

SHARDS = 3


def given(stream_id: UUID, *events: Event, category: str = "test") -> list[Recorded]:
    """Append events to the end of a stream, through the store; answers them as they are recorded."""
    version = store.version_of(stream_id)
    store.append(store.Changes(stream_id=stream_id, category=category, expected=version, events=events))
    return store.read_stream(stream_id, version)


def rows(*querysets: models.QuerySet[Any], leave_out: Collection[str] = ()) -> list[dict[str, Any]]:
    """Rows without some of their fields, in an order that depends on nothing else."""
    found = [
        {"model": queryset.model._meta.label} | {name: row[name] for name in row.keys() - set(leave_out)}
        for queryset in querysets
        for row in queryset.values()
    ]
    return sorted(found, key=lambda row: sorted(map(repr, row.items())))


@contextmanager
def following(subscriber: Subscriber, *, shards: int = 1) -> Iterator["Followed"]:
    """A subscriber at the beginning of the log, in a transaction that is rolled back in the end."""
    with transaction.atomic(durable=True):
        ParkedEvent.objects.filter(subscriber=subscriber.declared).delete()
        SubscriberRow.objects.filter(subscriber=subscriber.declared).delete()
        yield Followed(subscriber, shards)
        transaction.set_rollback(True)


class Followed:
    """A subscriber, in so many shards, that notes what it is given and what of it was kept."""

    def __init__(self, subscriber: Subscriber, shards: int = 1) -> None:
        self.spy = Spy(subscriber)
        parts = [Shard(self.spy, index, shards) for index in range(shards)] if shards > 1 else [self.spy]
        self._parts: Sequence[Subscriber] = parts
        for index, part in enumerate(parts):
            SubscriberRow.objects.create(
                name=part.name,
                subscriber=part.declared,
                shard=index,
                shards=shards,
                rank=part.rank,
                mode=part.mode,
                version=part.version,
                types_hash=part.types_hash,
                checkpoint=0,
            )

    def feed(self) -> "Followed":
        """Feed every part until nothing is left, one part after the other. Fails where an event can't be applied."""
        for part in self._parts:
            while feeding.feed_within([part]).moved:
                pass
        errors = SubscriberRow.objects.filter(subscriber=self.spy.name).exclude(last_error="")
        failed = list(errors.values_list("last_error", flat=True))
        assert not failed, f"{self.spy.name} has failed: {failed}"
        return self

    def rewind(self) -> None:
        SubscriberRow.objects.filter(subscriber=self.spy.name).update(checkpoint=0)

    @property
    def checkpoint(self) -> int:
        return min(SubscriberRow.objects.filter(subscriber=self.spy.name).values_list("checkpoint", flat=True))


class Spy(Subscriber):
    """Does as another does, and notes what it was given."""

    def __init__(self, whole: Subscriber) -> None:
        self.whole, self.applied = whole, list[tuple[str, int]]()
        self.name, self.rank, self.version = whole.name, whole.rank, whole.version
        self.declared_mode, self.idempotent = whole.declared_mode, whole.idempotent

    @property
    def types(self) -> frozenset[str]:
        return self.whole.types

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        return self.whole.keys(recorded)

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        self.whole.apply(cursor, work)
        self.applied.extend((parking.text(key), recorded.position) for key, recorded in work)

    def begins_at(self, head: int) -> int:
        return 0


def check_its_events(subscriber: Subscriber, made: Made) -> None:
    """The log has events for it, of each the keys can be told, and they are the same each time."""
    wanted = _wanted(subscriber)
    assert wanted, f"No event that {subscriber.name} wants is in the log: append some first."
    for recorded in wanted:
        keys = list(subscriber.keys(recorded))
        assert keys == list(subscriber.keys(recorded)), f"The keys of {recorded.type} differ from time to time."
        texts = {parking.text(key) for key in keys}
        assert len(texts) == len(set(keys)), f"Two keys of {recorded.type} have one text: {keys}"
    assert _made(subscriber, made) != _made_of_nothing(subscriber, made), f"Nothing is made by {subscriber.name}."


def check_one_by_one(subscriber: Subscriber, made: Made) -> None:
    """Where one batch ends and the next begins makes no difference."""
    expected = _made(subscriber, made)
    with following(subscriber), database.cursor() as cursor:
        for work in _works(subscriber):
            subscriber.apply(cursor, [work])
        assert made() == expected, f"{subscriber.name} makes something else of single events."


def check_key_by_key(subscriber: Subscriber, made: Made) -> None:
    """A key depends on no other: one can be parked, and shards can share the work."""
    expected = _made(subscriber, made)
    with following(subscriber), database.cursor() as cursor:
        works = _works(subscriber)
        for key in dict.fromkeys(work.key for work in reversed(works)):
            subscriber.apply(cursor, [work for work in works if work.key == key])
        assert made() == expected, f"{subscriber.name} makes something else of key after key."
    with following(subscriber, shards=SHARDS) as followed:
        followed.feed()
        assert made() == expected, f"{subscriber.name} makes something else in {SHARDS} shards."


def check_a_duplicate(subscriber: Subscriber, made: Made) -> None:
    """What its checkpoint has passed is not applied again; if it is declared idempotent, doing so changes nothing."""
    with following(subscriber) as followed:
        followed.feed()
        expected, applied = made(), list(followed.spy.applied)
        followed.feed()
        assert followed.spy.applied == applied, f"{subscriber.name} was given an event twice."
        if subscriber.idempotent:
            followed.rewind()
            followed.feed()
        assert made() == expected, f"{subscriber.name} makes something else of events that it knows."


def check_a_rollback(subscriber: Subscriber, made: Made) -> None:
    """Nothing is left of what was rolled back: all that it writes goes through the cursor's connection."""
    expected = _made_of_nothing(subscriber, made)
    _made(subscriber, made)
    assert made() == expected, f"{subscriber.name} has written outside the transaction."


def check_an_open_transaction(subscriber: Subscriber, made: Made) -> None:
    """An event that is appended but not committed is not passed, though a later one is there already."""
    recorded = _wanted(subscriber)[0]
    with _held_back(recorded) as release:
        given(new_id(), recorded.event)
        later = store.head()
        with following(subscriber) as followed:
            followed.feed()
            assert followed.checkpoint < later - 1, f"{subscriber.name} has passed an open transaction."
            assert later not in {position for _, position in followed.spy.applied}
        release()
        with following(subscriber) as followed:
            applied = [position for _, position in followed.feed().spy.applied]
            assert applied == sorted(applied)
            assert {later - 1, later} <= set(applied) or not list(subscriber.keys(recorded))


CHECKS: Sequence[Check] = (
    check_its_events,
    check_one_by_one,
    check_key_by_key,
    check_a_duplicate,
    check_a_rollback,
    check_an_open_transaction,
)


def _wanted(subscriber: Subscriber) -> list[Recorded]:
    return store.read(0, store.horizon(), subscriber.types, BATCH)


def _works(subscriber: Subscriber) -> list[Work]:
    return [Work(key, recorded) for recorded in _wanted(subscriber) for key in subscriber.keys(recorded)]


def _made(subscriber: Subscriber, made: Made) -> Any:
    with following(subscriber) as followed:
        followed.feed()
        return made()


def _made_of_nothing(subscriber: Subscriber, made: Made) -> Any:
    with following(subscriber):
        return made()


@contextmanager
def _held_back(recorded: Recorded) -> Iterator[Callable[[], None]]:
    """A copy of an event is appended in another session; that commits it when it is told to."""
    appended, released = threading.Event(), threading.Event()

    def append() -> None:
        try:
            with transaction.atomic():
                given(new_id(), recorded.event)
                with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
                    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                appended.set()
                released.wait(10)
        finally:
            connections[DEFAULT_DB_ALIAS].close()

    def release() -> None:
        released.set()
        writer.join()

    writer = threading.Thread(target=append)
    writer.start()
    try:
        assert appended.wait(10), "The event could not be appended in another session."
        yield release
    finally:
        release()
