"""Whether a read model shows an event yet. *Not yet* is not *not there*: whoever answers people tells the two apart."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Min

from eventstore import database
from eventstore.codec import Recorded
from eventstore.database import Statement
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.subscriptions import queries
from eventstore.subscriptions.parking import stream_key, text
from eventstore.subscriptions.registry import registry


def shows(name: str, recorded: Recorded, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether a read model shows an event: it doesn't want it, or has passed it with nothing of its keys parked.

    What staff discarded or skipped counts as shown: nothing more of it will come. Raises `UnknownSubscriber`.
    """
    if recorded.type not in registry[name].types:
        return True
    return reached([name], using=using) >= recorded.position and not holds_back(name, recorded, using=using)


def reached(names: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> int:
    """The position up to which the slowest of these, and of their shards, has come; -1 if one has not begun."""
    rows = SubscriberRow.objects.using(using).filter(subscriber__in=names)
    slowest: int | None = rows.aggregate(slowest=Min("checkpoint"))["slowest"]
    return slowest if slowest is not None else -1


class Progress(NamedTuple):
    """The last position that was committed, and where subscribers are, each with the slowest of its shards."""

    end: int
    checkpoints: dict[str, int]

    def slowest(self, names: Iterable[str]) -> int:
        """Where the slowest of these is; the end of the log if there are none, 0 if one has not begun."""
        return min((self.checkpoints.get(name, 0) for name in names), default=self.end)


def progress(names: Collection[str], *, using: str = DEFAULT_DB_ALIAS) -> Progress:
    """How far the log, and these subscribers, have come: asked in one statement."""
    found = dict(database.pipeline(Statement(queries.PROGRESS, [database.array(names)]), using=using)[0])
    return Progress(found.pop(""), found)


def holds_back(name: str, recorded: Recorded, *, using: str = DEFAULT_DB_ALIAS) -> bool:
    """Whether a read model has parked something of the keys of an event, at or below it. Raises `UnknownSubscriber`."""
    keys = [*map(text, registry[name].keys(recorded)), stream_key(recorded)]
    parked = ParkedEvent.objects.using(using).filter(subscriber=name, key__in=keys, position__lte=recorded.position)
    return parked.exists()
