"""What a saga may yield: a command to send now or at a time, a timer to cancel, its end.

A step that can't be meant raises `InvalidStep` when it is made; so the event that it answers is parked.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from eventstore.aggregates import Command
from sagas.errors import InvalidStep

NAMESPACE = UUID("5c1b9a64-3f2e-5d0c-9b54-0d7b6a3f1e20")


class Send(msgspec.Struct, frozen=True):
    """Send a command, as soon as the earlier ones of this instance are through."""

    command: Command


class After(msgspec.Struct, frozen=True):
    """Send a command when this much time has passed since the event was recorded; of less than none, it has."""

    delay: timedelta
    command: Command
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.delay, timedelta):
            raise InvalidStep(f"The delay of the timer {self.name!r} is no timedelta.")


class At(msgspec.Struct, frozen=True):
    """Send a command at this time, which has a time zone; at once if it has passed."""

    due_at: datetime
    command: Command
    name: str

    def __post_init__(self) -> None:
        if not _is_moment(self.due_at):
            raise InvalidStep(f"The time of the timer {self.name!r} has no time zone.")


class Cancel(msgspec.Struct, frozen=True):
    """Cancel this instance's timers of a name, as far as they have not fired. Best effort: the aggregate refuses a
    late one.
    """

    name: str


class End(msgspec.Struct, frozen=True):
    """This instance has nothing more to do; later events pass it by."""


def _is_moment(value: object) -> bool:
    """Whether it is a point in time, the same everywhere."""
    return isinstance(value, datetime) and value.utcoffset() is not None


Step = Send | After | At | Cancel | End
