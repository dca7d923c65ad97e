"""Whatever follows the log is a subscriber: a name, the event types it wants, the key of each event, and a function
that applies events to tables of its own. Projections, sagas and side effects are its kinds; `feeding` runs them all.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import slices, store
from eventstore.codec import Recorded
from eventstore.errors import UnknownSubscriber
from eventstore.models import SubscriberRow
from eventstore.slices import Slice


class Mode(StrEnum):
    """Who feeds a subscriber: the request that appended, or a worker at its own pace."""

    SYNC = "sync"
    ASYNC = "async"


class Rank(IntEnum):
    """The order in which one request feeds its subscribers."""

    PROJECTION = 1
    SAGA = 2
    EFFECT = 3


class Work(NamedTuple):
    """An event as one of its keys sees it: which row, which instance."""

    key: Hashable
    recorded: Recorded


class Subscriber(ABC):
    """Somebody who follows the log."""

    name: str
    rank: Rank
    version: int = 1
    declared_mode: Mode = Mode.SYNC
    uses: Sequence[str] = ()
    slice: Slice = slices.ALL
    idempotent: bool = False
    """Whether applying events once more, in order, changes nothing: only then may its checkpoint be moved back."""

    @property
    @abstractmethod
    def types(self) -> frozenset[str]:
        """The stored names of the events that it wants."""

    @abstractmethod
    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        """The keys of an event; an event without one does not concern this subscriber."""

    @abstractmethod
    def apply(self, cursor: psycopg.Cursor[Any], work: Sequence[Work]) -> None:
        """Apply events, in order, to tables of its own. Whatever it raises is rolled back."""

    @abstractmethod
    def begins_at(self, head: int) -> int:
        """The checkpoint of its first day on a log that stands at `head`."""

    def adopts(self, row: SubscriberRow) -> bool:
        """Whether this code may go on where another version stopped."""
        return row.checkpoint == 0

    @property
    def declared(self) -> str:
        """The name under which it is declared, and under which its events are parked."""
        return self.name

    @property
    def fingerprint(self) -> str:
        """Of the code that decides what it makes of events; empty where that doesn't matter later."""
        return ""

    def agrees_with(self, fingerprint: str) -> bool:
        """Whether what code of this fingerprint made would be made alike by the running one."""
        return fingerprint in {"", self.fingerprint}

    @property
    def mode(self) -> Mode:
        """As declared, unless the configuration says otherwise; the checkpoint is the same in both."""
        modes: dict[str, str] = getattr(settings, "EVENTSTORE_MODES", {})
        return Mode(modes.get(self.name, self.declared_mode))

    @property
    def wanted(self) -> str:
        """A short name for the set of types: a checkpoint speaks only of the types it was made with."""
        return sha256(" ".join(sorted(self.types)).encode()).hexdigest()[:16]


class Shard(Subscriber):
    """The slice of a subscriber's keys that one row stands for; it is fed like a subscriber of its own."""

    def __init__(self, whole: Subscriber, index: int, count: int) -> None:
        self.whole, self.slice = whole, slices.shard(index, count)
        self.name = row_name(whole.name, index, count)
        self.rank, self.version, self.declared_mode = whole.rank, whole.version, Mode.ASYNC
        self.uses, self.idempotent = whole.uses, whole.idempotent

    @property
    def declared(self) -> str:
        return self.whole.name

    @property
    def fingerprint(self) -> str:
        return self.whole.fingerprint

    def agrees_with(self, fingerprint: str) -> bool:
        return self.whole.agrees_with(fingerprint)

    @property
    def types(self) -> frozenset[str]:
        return self.whole.types

    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        return [key for key in self.whole.keys(recorded) if self.slice.holds(key)]

    def apply(self, cursor: psycopg.Cursor[Any], work: Sequence[Work]) -> None:
        self.whole.apply(cursor, work)

    def begins_at(self, head: int) -> int:
        return self.whole.begins_at(head)

    def adopts(self, row: SubscriberRow) -> bool:
        return self.whole.adopts(row)


def row_name(subscriber: str, index: int, count: int) -> str:
    """What the row of a shard is called; a subscriber that isn't split has one row of its own name."""
    return subscriber if count == 1 else f"{subscriber} {index + 1}/{count}"


class Registry:
    """The subscribers of this process, in the order they are fed."""

    def __init__(self) -> None:
        self._declared: list[Subscriber] = []
        self._ready: set[str] = set()

    def register(self, *subscribers: Subscriber) -> None:
        self._declared.extend(subscribers)
        self._declared.sort(key=lambda subscriber: subscriber.rank)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(self._declared)

    def __getitem__(self, name: str) -> Subscriber:
        """The subscriber of this name, or the shard of one as its row is called. Raises `UnknownSubscriber`."""
        declared = {subscriber.name: subscriber for subscriber in self._declared}
        if name in declared:
            return declared[name]
        whole, _, place = name.rpartition(" ")
        match = re.fullmatch(r"(\d+)/(\d+)", place)
        if whole in declared and match and 1 <= int(match[1]) <= int(match[2]):
            return Shard(declared[whole], int(match[1]) - 1, int(match[2]))
        raise UnknownSubscriber(f"No subscriber is declared as {name!r}.")

    def names(self, rank: Rank) -> list[str]:
        """Of all of this kind, so that nobody has to look through a table for them."""
        return [subscriber.name for subscriber in self._declared if subscriber.rank is rank]

    def here(self) -> list[Subscriber]:
        """Those that this process runs: all, unless the setting `EVENTSTORE_ONLY` names some. Nobody else is fed by it,
        and of sagas and effects that it doesn't run it sends no command and carries nothing out.
        """
        only = getattr(settings, "EVENTSTORE_ONLY", None)
        return [subscriber for subscriber in self._declared if only is None or subscriber.name in only]

    def of(self, mode: Mode) -> list[Subscriber]:
        """Those that this process runs and that are fed in this way."""
        return [subscriber for subscriber in self.here() if subscriber.mode is mode]

    def make_rows(self, *, using: str = DEFAULT_DB_ALIAS) -> None:
        """See to it that every subscriber has its row, before this process appends anything; once a process.

        Made on first use, a new saga would miss the very event that it was deployed for.
        """
        if using in self._ready:
            return
        with transaction.atomic(using):
            self._make_rows(using)
        self._ready.add(using)

    def forget_rows(self) -> None:
        """The rows are gone, as after a test emptied the tables."""
        self._ready.clear()

    def _make_rows(self, using: str) -> None:
        head = store.head(using=using)
        begins = {subscriber.name: subscriber.begins_at(head) for subscriber in self}
        known = set(SubscriberRow.objects.using(using).values_list("subscriber", flat=True))
        SubscriberRow.objects.using(using).bulk_create(
            [
                SubscriberRow(
                    name=subscriber.name,
                    subscriber=subscriber.name,
                    rank=subscriber.rank,
                    mode=subscriber.mode,
                    version=subscriber.version,
                    wanted=subscriber.wanted,
                    fingerprint=subscriber.fingerprint,
                    checkpoint=begins[subscriber.name],
                    began_after=begins[subscriber.name],
                )
                for subscriber in self
                if subscriber.name not in known
            ],
            ignore_conflicts=True,
        )
        for row in SubscriberRow.objects.using(using).filter(subscriber__in=[each.name for each in self]):
            self._adopt(row, using)

    def _adopt(self, row: SubscriberRow, using: str) -> None:
        """Let a row follow the code where nothing speaks against it. One that is split is always fed by workers."""
        subscriber = self[row.subscriber]
        newer = subscriber.version > row.version or subscriber.wanted != row.wanted
        if newer and subscriber.version >= row.version and subscriber.adopts(row):
            row.version, row.wanted, row.fingerprint = subscriber.version, subscriber.wanted, subscriber.fingerprint
            row.save(using=using, update_fields=["version", "wanted", "fingerprint"])
        mode = subscriber.mode if row.shards == 1 else Mode.ASYNC
        if row.mode != mode:
            SubscriberRow.objects.using(using).filter(pk=row.pk).update(mode=mode)


SYNC_BELL = "sync"

registry = Registry()
register = registry.register
