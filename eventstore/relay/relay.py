"""Publishing what comes to the log, in order and at least once. One process does; others wait to take its place.

The relay is a consumer of the feed like those in other systems: the same table says where it is, so it is shown and
watched as they are. It goes on after the last event that the broker has confirmed; a broker that can tell what it has,
and has less, is given that again.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from threading import Event
from typing import NamedTuple
from uuid import UUID

import structlog
from django.db import DEFAULT_DB_ALIAS, close_old_connections

from eventstore import advisory_locks, conf, feed, identity
from eventstore.error_texts import describe
from eventstore.errors import EventstoreError
from eventstore.events import catalogue
from eventstore.feed import Wanted
from eventstore.models import Consumer
from eventstore.monitoring import consumers
from eventstore.relay.destination import Destination, NotPublished
from eventstore.transient_errors import OUTAGES

log = structlog.get_logger(__name__)

NAME = "relay"
BY = "relay"
"""Its name among consumers, and who reports it: no user is called so."""

MOST = 500
"""How many events are read at once."""

SOONEST = 0.1
"""Seconds between two looks at the log when nothing came."""

AGAIN = 1.0
"""Seconds after which it is tried again: to take the place of another, or what failed."""

COPY = "This is a copy of the log, which nobody has confirmed."

Connect = Callable[[UUID], Destination]
"""Makes a connection to the broker for the events of a log."""


class RelayRefused(EventstoreError):
    """The relay can't be run or moved as asked; the message says why."""

    code = "relay-refused"


class Place(NamedTuple):
    """All up to a position of a log was published."""

    epoch: UUID
    position: int


def run(stopping: Event, connect: Connect, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Relay until it is to stop; what fails is tried again. Raises `RelayRefused` where nobody could."""
    wanted = wanted_types()
    while not stopping.is_set():
        close_old_connections()
        try:
            with _turn(using) as ours:
                if ours:
                    _relay(stopping, connect, wanted, using)
        except OUTAGES as error:
            log.warning("relay_without_database", error=describe(error))
        stopping.wait(AGAIN)


def begin(after: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Go on after this position of this log the next time. Raises `RelayRefused`."""
    with _turn(using) as ours:
        if not ours:
            raise RelayRefused("The relay is running. Stop it first.")
        epoch = _epoch(using)
        if after > feed.end(after, using=using):
            raise RelayRefused("There is no such position in this log.")
        _note(Place(epoch, after))


def wanted_types() -> Wanted:
    """What is to be published. Raises `RelayRefused`."""
    types = frozenset(conf.RELAY_TYPES.get())
    if unknown := sorted(types - {declared.stored for declared in catalogue}):
        raise RelayRefused(f"RELAY_TYPES names what is no type of event: {', '.join(unknown)}")
    return Wanted(types=types)


def _relay(stopping: Event, connect: Connect, wanted: Wanted, using: str) -> None:
    if identity.is_fenced(using=using):
        log.warning("not_relayed", error=COPY)
        return
    place = _place(using)
    try:
        _check_log(place, using)
        with closing(connect(place.epoch)) as destination:
            last = destination.last()
            # Of what has one position, the last part may be missing.
            after = place.position if last is None else min(place.position, max(0, last - 1))
            _note(place)
            log.info("relaying", after=after)
            _publish(stopping, destination, Place(place.epoch, after), wanted, using)
    except NotPublished as error:
        log.warning("not_relayed", error=str(error))
        _note(_place(using), str(error))


def _check_log(place: Place, using: str) -> None:
    if place.epoch != _epoch(using):
        raise NotPublished("It is at a position of another log. Say where to go on in this one: relay begin --after N")


def _publish(stopping: Event, destination: Destination, place: Place, wanted: Wanted, using: str) -> None:
    end = place.position
    while not stopping.is_set():
        end = feed.growth(max(end, place.position), using=using)
        if end == place.position:
            stopping.wait(SOONEST)
            continue
        page = feed.read(place.position, wanted, MOST, using=using)
        destination.publish(page.entries)
        place = Place(place.epoch, page.next)
        _note(place)


def _place(using: str) -> Place:
    """Where it is; at first, at the end of the log."""
    row = Consumer.objects.using(using).filter(pk=NAME).first()
    if row:
        return Place(row.epoch, row.position)
    begun = Place(_epoch(using), feed.end(using=using))
    _note(begun)
    return begun


def _epoch(using: str) -> UUID:
    """The name of this log. Raises `RelayRefused` where it is a copy."""
    epoch = identity.epoch(using=using)
    if epoch is None:
        raise RelayRefused(COPY)
    return epoch


def _note(place: Place, *errors: str) -> None:
    if consumers.report(NAME, place.position, place.epoch, errors, by=BY) is None:
        raise RelayRefused(f"Somebody else reports a consumer {NAME}: have it named otherwise, and delete that one.")


def _turn(using: str) -> AbstractContextManager[bool]:
    """Whether this process may relay now; no other may until the end."""
    return advisory_locks.slot(advisory_locks.RELAY, [NAME], using=using)
