"""Mails, multipart from templates, under a Message-ID that is the same for every attempt at one event.

The Date is that of the attempt: mail programs sort by it, and servers take a mail for spam whose Date is long past, as
that of an event may be once its mail is sent.
"""

import re
import smtplib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string

from eventstore.events import Meta
from ordering.domain.errors import InvalidEmail
from ordering.domain.mail import MailSent
from ordering.domain.mailbox import deliverable
from sagas.effects.effect import Effect
from sagas.errors import PermanentFailure, TemporaryFailure

GAP = re.compile(r"\n{3,}")
"""What a part of a template leaves that has nothing to say."""


class Attachment(NamedTuple):
    """A file that goes with a mail."""

    name: str
    content: bytes
    kind: str


def send(template: str, *, to: str, message_id: UUID, **values: Any) -> None:
    """Send what `compose` makes of this.

    Raises `PermanentFailure` if no mail can reach the address, or the mail server refuses the recipient or the mail for
    good, and `TemporaryFailure` if it refuses them for now, can't be reached, or won't talk to us. Any other error gets
    out, such as a connection that breaks or an answer that doesn't come: it may have taken the mail.
    """
    try:
        recipient = deliverable(to)
    except InvalidEmail as error:
        raise PermanentFailure("No mail can reach the address.") from error
    _hand_over(compose(template, to=recipient, message_id=message_id, **values), get_connection())


def compose(
    template: str, *, to: str, message_id: UUID, attachments: Sequence[Attachment] = (), **values: Any
) -> EmailMultiAlternatives:
    """A mail to one address, of `mail/<template>.{subject.txt,txt,html}`. It has nothing that a customer wrote, not
    even a name: whoever registers can give the address of somebody else.
    """
    values |= {"base_url": settings.BASE_URL}
    subject, text, html = (
        render_to_string(f"mail/{template}.{part}", values) for part in ("subject.txt", "txt", "html")
    )
    mail = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=GAP.sub("\n\n", text),
        to=[to],
        headers={"Message-ID": _header(message_id)},
    )
    mail.attach_alternative(html, "text/html")
    for attachment in attachments:
        mail.attach(*attachment)
    return mail


def sent(effect: Effect, meta: Meta) -> MailSent:
    """What the effect that has sent the mail for an event answers, to be recorded once."""
    message_id = _header(effect.idempotency_key(meta))
    return MailSent(effect=effect.name, message_id=message_id, stream_id=meta.stream_id, position=meta.position)


def _hand_over(mail: EmailMultiAlternatives, connection: BaseEmailBackend) -> None:
    """What the server answers stays out of the errors: it may name the recipient."""
    try:
        _open(connection)
        connection.send_messages([mail])
    except smtplib.SMTPRecipientsRefused as error:
        ((code, _),) = error.recipients.values()
        raise _refused("recipient", code) from error
    except smtplib.SMTPDataError as error:
        if error.smtp_code < 400:  # no refusal, nor the answer that it should have been
            raise
        raise _refused("mail", error.smtp_code) from error
    except (smtplib.SMTPHeloError, smtplib.SMTPSenderRefused) as error:
        raise TemporaryFailure(f"The mail server refused us with {error.smtp_code}.") from error
    finally:
        with suppress(OSError):  # a server that says no goodbye has taken the mail all the same
            connection.close()


def _open(connection: BaseEmailBackend) -> None:
    """Until it is open no mail has left us, whatever goes wrong."""
    try:
        connection.open()
    except OSError as error:
        raise TemporaryFailure(f"The mail server can't be reached: {type(error).__name__}.") from error


def _refused(what: str, code: int) -> PermanentFailure | TemporaryFailure:
    """As the class of the code says: 4 for now, 5 for good."""
    text = f"The mail server refused the {what} with {code}."
    return PermanentFailure(text) if code >= 500 else TemporaryFailure(text)


def _header(message_id: UUID) -> str:
    return f"<{message_id}@{settings.MAIL_DOMAIN}>"
