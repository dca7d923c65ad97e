"""Requests for a new password: that somebody made one, whether or not anybody has the mailbox."""

from uuid import UUID

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.events import Event, event


@event("password-reset.requested")
class PasswordResetRequested(Event):
    """`mailbox` is the hash under which a customer would have claimed it: what strangers type in is kept nowhere."""

    reset_id: UUID
    mailbox: str


@command("password-reset.request", stream="reset_id")
class RequestPasswordReset(Command):
    reset_id: UUID
    mailbox: str


class PasswordReset(Aggregate, category="password-reset"):
    """One request. It is recorded alike for every mailbox, so that nothing tells who is a customer: whether a mail
    follows is found out later, by the effect.
    """

    @handles(RequestPasswordReset, creates=True)
    def request(self, command: RequestPasswordReset, facts: Facts) -> None:
        self.record(PasswordResetRequested(reset_id=self.id, mailbox=command.mailbox))

    @on(PasswordResetRequested)
    def _requested(self, event: PasswordResetRequested) -> None:
        """There is nothing to decide afterwards."""
