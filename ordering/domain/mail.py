"""Mails: that they were sent, and nothing of what is in them."""

from uuid import UUID

from eventstore.events import Event, event


@event("mail.sent", standalone=True)
class MailSent(Event):
    """The mail server has taken a mail. Why it was sent, and so to whom, says the event that it follows from: the one
    at this position, of this stream.
    """

    effect: str
    message_id: str
    stream_id: UUID
    position: int
