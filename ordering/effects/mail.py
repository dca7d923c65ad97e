"""Mails, multipart from templates, under a Message-ID that is the same for every attempt at one event."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def send(template: str, *, to: str, message_id: UUID, **values: Any) -> None:
    """Send `mail/<template>.{subject.txt,txt,html}` to one address; raises what the mail server answers."""
    values["base_url"] = settings.BASE_URL
    subject, text, html = (
        render_to_string(f"mail/{template}.{part}", values) for part in ("subject.txt", "txt", "html")
    )
    mail = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=text,
        to=[to],
        headers={"Message-ID": f"<{message_id}@{settings.MAIL_DOMAIN}>"},
    )
    mail.attach_alternative(html, "text/html")
    mail.send()
