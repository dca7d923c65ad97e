"""What the read side may refuse, one class a reason."""

from eventstore.errors import EventstoreError, Refused


class RebuildRunning(Refused):
    """This projection is being rebuilt, or verified, already."""

    code = "rebuild-running"


class NotRebuilding(Refused):
    """Nothing is being folded."""

    code = "not-rebuilding"


class UnknownProjection(EventstoreError):
    """No projection is declared under this name."""

    code = "unknown-projection"


class NoSuchGeneration(Refused):
    """There is no former generation to go back to, and no verification to apply."""

    code = "no-such-generation"


class LabelTaken(Refused):
    """Something else is kept of this projection under this label."""

    code = "label-taken"


class NothingKept(Refused):
    """Nothing is kept of this projection under this label."""

    code = "nothing-kept"


class NothingHeld(Refused):
    """No rebuild is held: there is nothing to approve."""

    code = "nothing-held"


class NeedsAnother(Refused):
    """Whoever asked for a rebuild doesn't approve it: another person has to."""

    code = "needs-another"


class NoSuchKey(Refused):
    """No row can have this key."""

    code = "no-such-key"


class OtherCode(Refused):
    """Another version of the code made this."""

    code = "other-code"


class BeginAgain(EventstoreError):
    """Something happened since this was begun that makes it useless."""

    code = "begin-again"


class DependedOn(Refused):
    """Something in the database hangs on the live table, and would be left on the old rows."""

    code = "depended-on"


class ReshardedMeanwhile(BeginAgain):
    """The live rows were put into other shards, or moved back, since this was begun: begin again."""

    code = "resharded-meanwhile"


class DiscardedMeanwhile(BeginAgain):
    """Events were discarded since this was begun, and may be in its rows: begin again."""

    code = "discarded-meanwhile"


class StreamHeld(BeginAgain):
    """Events whose key couldn't be told are parked, and may be of the keys in question: resolve them first."""

    code = "stream-held"


class RowMissing(EventstoreError):
    """A row that a handler needs isn't there: perhaps events of its own are parked."""

    code = "row-missing"


class UnreadableLock(EventstoreError):
    """The lock file of the projections can't be read."""

    code = "unreadable-lock"
