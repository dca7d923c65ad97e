"""Whatever follows the log is a subscriber: a name, the event types it wants, the key of each event, and a function
that applies events to tables of its own. Projections, sagas and side effects are its kinds; `feeding` runs them all.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from functools import cache
from hashlib import sha256
from typing import NamedTuple

from eventstore import conf
from eventstore.codec import Recorded
from eventstore.database import Cursor, Statement
from eventstore.events import Event
from eventstore.models import SubscriberRow
from eventstore.subscriptions import hash_ranges
from eventstore.subscriptions.hash_ranges import HashRange
from eventstore.subscriptions.outbox import Outbox


class Mode(StrEnum):
    """Who feeds a subscriber: the request that appended, or a worker at its own pace."""

    SYNC = "sync"
    ASYNC = "async"


class Rank(IntEnum):
    """The order in which one request feeds its subscribers."""

    PROJECTION = 1
    SAGA = 2
    EFFECT = 3
    WATCH = 4


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
    hash_range: HashRange = hash_ranges.ALL
    outbox: Outbox | None = None
    """Where it keeps what it wants sent, if it does."""

    by_cursor: bool = False
    """Whether it asks the database by the cursor that it is given alone: then what others put off may wait."""

    gathers: bool = False
    """Whether workers let its events gather for a moment: nobody waits for it, and many together cost less."""

    idempotent: bool = False
    """Whether applying events once more, in order, changes nothing: only then may its checkpoint be moved back."""

    @property
    @abstractmethod
    def types(self) -> frozenset[str]:
        """The stored names of the events that it wants."""

    @property
    def records(self) -> Collection[type[Event]]:
        """The events that are recorded in its name, as far as its declaration tells."""
        return ()

    @abstractmethod
    def keys(self, recorded: Recorded) -> Iterable[Hashable]:
        """The keys of an event; an event without one does not concern this subscriber."""

    @abstractmethod
    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        """Apply events, in order, to tables of its own. Whatever it raises is rolled back."""

    def reads(self, work: Sequence[Work]) -> Sequence[Statement]:
        """What `apply` will ask first, of tables of its own: all who are fed together have it asked together."""
        return ()

    def unbegun(self, cursor: Cursor, work: Sequence[Work]) -> set[Hashable]:
        """The keys of which nothing has begun yet, and the first of these events begins nothing: applied now, they come
        to nothing. They wait while there is an event whose key can't be told, for it may be the one that begins them.
        """
        return set()

    @abstractmethod
    def begins_at(self, head: int) -> int:
        """The checkpoint of its first day on a log that stands at `head`."""

    def can_upgrade(self, row: SubscriberRow) -> bool:
        """Whether this code may go on where another version stopped."""
        return row.checkpoint == 0

    def is_at(self, version: int, types_hash: str) -> bool:
        """Whether a checkpoint of this version and these event types is one that this code may go on from."""
        return (version, types_hash) == (self.version, self.types_hash)

    @property
    def identity(self) -> str:
        """What its row must be of for this code to feed it, as `SubscriberRow.identity`."""
        return f"{self.name} {self.version} {self.types_hash}"

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
    def queue(self) -> str | None:
        """The queue whose workers do what follows from its events, if it is one of its own."""
        return None

    @property
    def mode(self) -> Mode:
        """As declared, unless the configuration says otherwise; the checkpoint is the same in both."""
        return self.mode_in(conf.MODES.get())

    def mode_in(self, configured: Mapping[str, str]) -> Mode:
        """The same, by a value of `EVENTSTORE_MODES` that was read before."""
        return Mode(configured[self.name]) if self.name in configured else self.declared_mode

    @property
    def types_hash(self) -> str:
        """A short name for the set of types: a checkpoint speaks only of the types it was made with."""
        return _hash(self.types)


class Shard(Subscriber):
    """The range of a subscriber's keys that one row stands for; it is fed like a subscriber of its own."""

    def __init__(self, whole: Subscriber, index: int, count: int) -> None:
        self.whole, self.hash_range = whole, hash_ranges.shard(index, count)
        self.name = row_name(whole.name, index, count)
        self.rank, self.version, self.declared_mode = whole.rank, whole.version, Mode.ASYNC
        self.uses, self.by_cursor = whole.uses, whole.by_cursor
        self.idempotent, self.gathers = whole.idempotent, whole.gathers

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
        return [key for key in self.whole.keys(recorded) if self.hash_range.holds(key)]

    def apply(self, cursor: Cursor, work: Sequence[Work]) -> None:
        self.whole.apply(cursor, work)

    def reads(self, work: Sequence[Work]) -> Sequence[Statement]:
        return self.whole.reads(work)

    def unbegun(self, cursor: Cursor, work: Sequence[Work]) -> set[Hashable]:
        return self.whole.unbegun(cursor, work)

    def begins_at(self, head: int) -> int:
        return self.whole.begins_at(head)

    def can_upgrade(self, row: SubscriberRow) -> bool:
        return self.whole.can_upgrade(row)


@cache
def _hash(types: frozenset[str]) -> str:
    return sha256(" ".join(sorted(types)).encode()).hexdigest()[:16]


def row_name(subscriber: str, index: int, count: int) -> str:
    """What the row of a shard is called; a subscriber that isn't split has one row of its own name."""
    return subscriber if count == 1 else f"{subscriber} {index + 1}/{count}"
