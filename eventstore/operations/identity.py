"""The operation that lets a copy of the log act."""

from eventstore.errors import NothingToConfirm
from eventstore.identity import confirm, identity
from eventstore.operations.base import Operation, operation

LOG = "log"
"""What the log is called as the target of an operation."""


@operation("confirm", verb="Let this log act", permission="eventstore.confirm_identity", needs_reason=True)
class Confirm(Operation, frozen=True, kw_only=True):
    """Let what was copied act: this database is the one to send mails, commands and timers from."""

    ranks, page = frozenset(), "eventstore_logidentity_changelist"

    target: str = LOG

    @classmethod
    def concerns(cls, target: str) -> bool:
        return target == LOG

    def preview(self) -> str:
        found = identity()
        if not found.is_fenced:
            raise NothingToConfirm
        return (
            f"From now on mails, commands of sagas and timers are sent from this database ({found.here}), those as well"
            f" that were waiting in the one that it was copied from ({found.confirmed or 'unknown'}). If that one acts"
            " still, they are sent twice."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        return f"acts from here, in the epoch {confirm(by=by)}"
