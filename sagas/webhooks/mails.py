"""The mail by which the owner of an endpoint learns that it was switched off."""

from datetime import timedelta

import structlog
from django.core.mail import EmailMessage
from django.db import DEFAULT_DB_ALIAS

from eventstore import conf as eventstore_conf
from eventstore import database, handler_guard, identity
from eventstore.error_texts import describe
from sagas.models import WebhookEndpoint
from sagas.webhooks import queries

log = structlog.get_logger(__name__)

AGAIN = timedelta(minutes=5)
"""After which it is tried again where the mail server didn't take it, or its sender died."""


def send_due(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Tell the owners that are to be told. A copy of the log tells nobody."""
    handler_guard.refuse_to("send mails")
    while not identity.is_fenced(using=using) and (endpoint := _claim(using)) is not None:
        try:
            compose(endpoint).send()
        except OSError as error:
            log.warning("webhook_mail_failed", endpoint=str(endpoint.pk), error=describe(error))
        else:
            told = WebhookEndpoint.objects.using(using).filter(pk=endpoint.pk)
            told.filter(mail_due_at=endpoint.mail_due_at).update(mail_due_at=None)


def compose(endpoint: WebhookEndpoint) -> EmailMessage:
    """The mail, in which stands nothing but what staff have entered."""
    lines = [
        "Webhooks are no longer sent to",
        "",
        f"  {endpoint.url}",
        "",
        endpoint.switched_off_for,
        "",
        "What was not delivered is kept. Once the address works, ask staff to switch it on again:",
        "then all of that is sent, in order. What was recorded meanwhile can be read from the feed.",
    ]
    if url := eventstore_conf.ADMIN_URL.get():
        lines += ["", f"{url.rstrip('/')}/sagas/webhookendpoint/{endpoint.pk}/change/"]
    return EmailMessage("Webhooks are switched off", "\n".join(lines) + "\n", to=[endpoint.owner])


def _claim(using: str) -> WebhookEndpoint | None:
    with database.cursor(using) as cursor:
        row = cursor.execute(queries.CLAIM_MAIL, [AGAIN.total_seconds()]).fetchone()
    return WebhookEndpoint.objects.using(using).get(pk=row[0]) if row else None
