"""Everything the log and its neighbours may refuse, one class a reason.

The docstring of a class is its default message; `code` is stable and may be shown to clients.
"""

from datetime import timedelta
from typing import ClassVar


class EventstoreError(Exception):
    """Something about the log went wrong."""

    code: ClassVar[str] = "eventstore-error"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())


class DomainError(EventstoreError):
    """A rule of the business refuses this command."""

    code = "refused"

    def __init__(self, detail: str = "", *, wait: timedelta | None = None) -> None:
        """`wait` is how long it takes until the rule allows it, where time alone makes the difference."""
        super().__init__(detail)
        self.wait = wait


class StreamNotFound(DomainError):
    """There is nothing with this id."""

    code = "not-found"


class StreamExists(DomainError):
    """There is already something with this id."""

    code = "already-exists"


class ConcurrencyConflict(EventstoreError):
    """Another writer appended to this stream first."""

    code = "version-conflict"


class ClaimTaken(DomainError):
    """Another stream holds this value, and it is to be unique."""

    code = "claim-taken"


class InvalidEvent(EventstoreError):
    """An event could not be read back as it was written, so it was not recorded."""

    code = "invalid-event"


class UnreadableEvent(EventstoreError):
    """A stored event does not fit the type it is declared as."""

    code = "unreadable-event"


class UnknownHere(EventstoreError):
    """The code that runs here does not know this: another version of it does, or did."""

    code = "unknown-here"


class UnknownEvent(UnknownHere):
    """No event is declared under this stored name."""

    code = "unknown-event"


class NewerSchema(UnknownHere):
    """A stored event has a schema version that only newer code can read."""

    code = "newer-schema"


class UnhandledEvent(EventstoreError):
    """An aggregate recorded an event that it has no handler for."""

    code = "unhandled-event"


class UnknownCommand(UnknownHere):
    """No aggregate handles this command."""

    code = "unknown-command"


class TooManyEvents(EventstoreError):
    """One append takes at most 200 events: a larger one would hold back every reader."""

    code = "too-many-events"


class ActsWhileApplying(EventstoreError):
    """A handler that applies events tried to act on the world."""

    code = "acts-while-applying"


class UnreadableCode(EventstoreError):
    """The code that something depends on can't be read, so it has no fingerprint."""

    code = "unreadable-code"


class UnreadableFile(EventstoreError):
    """A file that a setting names can't be read."""

    code = "unreadable-file"


class UnsafeTransaction(EventstoreError):
    """The log is written at READ COMMITTED and with synchronous_commit on or stronger, and nothing else."""

    code = "unsafe-transaction"


class SequenceSetBack(EventstoreError):
    """The log's sequence stands below positions that are used already: new events would be passed over in silence."""

    code = "sequence-set-back"


class UnknownSubscriber(EventstoreError):
    """No subscriber is declared under this name."""

    code = "unknown-subscriber"


class TooManyFailures(EventstoreError):
    """So many different keys failed within a minute that the fault is not theirs."""

    code = "too-many-failures"


class Refused(EventstoreError):
    """An operator asked for something that would do harm now."""

    code = "refused"


class Busy(Refused):
    """Somebody else is at it: try again in a moment."""

    code = "busy"


class NothingParked(Refused):
    """No such event is parked: it was resolved meanwhile."""

    code = "nothing-parked"


class NothingToConfirm(Refused):
    """The log is in the database that it was last confirmed to be in."""

    code = "nothing-to-confirm"


class ReasonMissing(Refused):
    """This needs a reason, for those who look at the records later."""

    code = "reason-missing"
