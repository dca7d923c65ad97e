"""Whatever follows the log is a subscriber: a name, the event types it wants, the key of each event, and a function
that applies events to tables of its own. Projections, sagas and side effects are its kinds; `feeding` runs them all.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, transaction

from eventstore import store
from eventstore.codec import Recorded
from eventstore.errors import UnknownSubscriber
from eventstore.models import SubscriberRow


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
    rank: ClassVar[Rank]
    version: int = 1
    declared_mode: Mode = Mode.SYNC
    uses: Sequence[str] = ()

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
    def mode(self) -> Mode:
        """As declared, unless the configuration says otherwise; the checkpoint is the same in both."""
        modes: dict[str, str] = getattr(settings, "EVENTSTORE_MODES", {})
        return Mode(modes.get(self.name, self.declared_mode))

    @property
    def wanted(self) -> str:
        """A short name for the set of types: a checkpoint speaks only of the types it was made with."""
        return sha256(" ".join(sorted(self.types)).encode()).hexdigest()[:16]


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
        for subscriber in self._declared:
            if subscriber.name == name:
                return subscriber
        raise UnknownSubscriber(f"No subscriber is declared as {name!r}.")

    def of(self, mode: Mode) -> list[Subscriber]:
        return [subscriber for subscriber in self._declared if subscriber.mode is mode]

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
        SubscriberRow.objects.using(using).bulk_create(
            [
                SubscriberRow(
                    name=subscriber.name,
                    rank=subscriber.rank,
                    mode=subscriber.mode,
                    version=subscriber.version,
                    wanted=subscriber.wanted,
                    checkpoint=subscriber.begins_at(head),
                )
                for subscriber in self
            ],
            ignore_conflicts=True,
        )
        rows = {row.name: row for row in SubscriberRow.objects.using(using).all()}
        for subscriber in self:
            row = rows[subscriber.name]
            newer = subscriber.version > row.version or subscriber.wanted != row.wanted
            if newer and subscriber.version >= row.version and subscriber.adopts(row):
                row.version, row.wanted = subscriber.version, subscriber.wanted
                row.save(using=using, update_fields=["version", "wanted"])
            if row.mode != subscriber.mode:
                SubscriberRow.objects.using(using).filter(pk=row.pk).update(mode=subscriber.mode)


SYNC_BELL = "sync"

registry = Registry()
register = registry.register
