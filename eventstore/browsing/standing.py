"""Where an event is at each subscriber that wants it."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from eventstore.browsing import queries
from eventstore.codec import Recorded
from eventstore.errors import EventstoreError
from eventstore.models import SubscriberRow
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Subscriber

KEYS = 3
"""How many keys of an event are shown."""


class Trouble(NamedTuple):
    """An event that is parked or discarded, that a checkpoint was moved over, or that a handler warned of."""

    kind: str
    subscriber: str
    key: str
    text: str


class Standing(NamedTuple):
    """A subscriber that wants an event: the keys under which that concerns it, and how it stands there."""

    subscriber: str
    kind: str
    keys: Sequence[str]
    state: str


def troubles(event: Recorded, *, using: str = DEFAULT_DB_ALIAS) -> list[Trouble]:
    """What is not as it should be with an event: one statement, and no more than a hundred rows."""
    asked: dict[str, Any] = {"position": event.position, "subscribers": [each.name for each in registry]}
    with connections[using].cursor() as cursor:
        cursor.execute(queries.TROUBLES, asked)
        return [Trouble(*row) for row in cursor.fetchall()]


def standings(event: Recorded, found: Sequence[Trouble], *, using: str = DEFAULT_DB_ALIAS) -> list[Standing]:
    """Of each subscriber that wants its type, in the order in which they are fed: one statement."""
    wanting = sorted((each for each in registry if event.type in each.types), key=lambda each: (each.rank, each.name))
    rows: dict[str, list[SubscriberRow]] = {}
    for row in SubscriberRow.objects.using(using).filter(subscriber__in=[each.name for each in wanting]):
        rows.setdefault(row.subscriber, []).append(row)
    troubled = {each.subscriber: each.kind for each in reversed(found) if each.kind != "warned"}
    return [
        Standing(
            each.name,
            each.rank.name.lower(),
            _keys(each, event),
            troubled.get(each.name) or _state(event.position, rows.get(each.name, [])),
        )
        for each in wanting
    ]


def _keys(subscriber: Subscriber, event: Recorded) -> list[str]:
    """None of an event that can't be read."""
    with suppress(EventstoreError):
        return [str(key) for key in islice(subscriber.keys(event), KEYS)]
    return []


def _state(position: int, rows: Sequence[SubscriberRow]) -> str:
    if not rows:
        return "not started"
    if all(position <= row.began_after for row in rows):
        return "began later"
    return "done" if all(position <= row.checkpoint for row in rows) else "waiting"
