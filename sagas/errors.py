"""What sagas and effects may refuse, and what an effect may answer, one class a reason."""

from datetime import timedelta

from eventstore.errors import EventstoreError, Refused


class TooManyHops(EventstoreError):
    """More than 50 commands of sagas followed one from another: they are going in circles."""

    code = "too-many-hops"


class InvalidStep(EventstoreError):
    """A saga yields a step that says nothing that could be done."""

    code = "invalid-step"


class UnreadableState(EventstoreError):
    """The state of an instance was written by another version, and this one can't read it."""

    code = "unreadable-state"


class PermanentFailure(EventstoreError):
    """It did not happen, and trying again is no use. For an effect to raise."""

    code = "permanent-failure"


class TemporaryFailure(EventstoreError):
    """It did not happen, for certain, and may if it is tried again, at the earliest `after` so much time."""

    code = "temporary-failure"

    def __init__(self, detail: str | None = None, *, after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.after = after


class NothingToResolve(Refused):
    """None of these is left as it was: somebody has resolved it meanwhile."""

    code = "nothing-to-resolve"


class RehearsalRunning(Refused):
    """This saga is being rehearsed already."""

    code = "rehearsal-running"


class UnknownInstance(Refused):
    """No event has begun such an instance."""

    code = "unknown-instance"


class NoSuchEvent(Refused):
    """There is no event at this position."""

    code = "no-such-event"
