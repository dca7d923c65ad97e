"""What a saga may yield: a command to send now or at a time, a timer to cancel, its end."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from eventstore.aggregates import Command

NAMESPACE = UUID("5c1b9a64-3f2e-5d0c-9b54-0d7b6a3f1e20")


class Send(msgspec.Struct, frozen=True):
    """Send a command, as soon as the earlier ones of this instance are through."""

    command: Command


class After(msgspec.Struct, frozen=True):
    """Send a command when this much time has passed since the event was recorded."""

    delay: timedelta
    command: Command
    name: str


class At(msgspec.Struct, frozen=True):
    """Send a command at this time."""

    due_at: datetime
    command: Command
    name: str


class Cancel(msgspec.Struct, frozen=True):
    """Cancel this instance's timers of a name, as far as they have not fired. Best effort: the aggregate refuses a
    late one.
    """

    name: str


class End(msgspec.Struct, frozen=True):
    """This instance has nothing more to do; later events pass it by."""


Step = Send | After | At | Cancel | End
