"""Where the relay publishes to, as it knows it, and what can go wrong there."""

from collections.abc import Sequence
from typing import Protocol

from eventstore.errors import EventstoreError
from eventstore.feed import Entry


class NotPublished(EventstoreError):
    """The broker can't take events now, or must not; the message says why. Some of those it was given it may have."""

    code = "not-published"


class Destination(Protocol):
    """A place of a broker that takes the events of one log."""

    def last(self) -> int | None:
        """The position of the last event that it has; None where it has none, or can't tell. Raises `NotPublished`."""

    def publish(self, entries: Sequence[Entry]) -> None:
        """Returns when the broker has them all, in this order. Raises `NotPublished`."""

    def close(self) -> None: ...
