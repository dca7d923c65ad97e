"""What the read side may refuse, one class a reason."""

from eventstore.errors import EventstoreError


class RebuildRunning(EventstoreError):
    """This projection is being rebuilt already."""

    code = "rebuild-running"


class NotRebuilding(EventstoreError):
    """There is no rebuild to cancel."""

    code = "not-rebuilding"


class UnknownProjection(EventstoreError):
    """No projection is declared under this name."""

    code = "unknown-projection"
