"""What staff are told of incidents, by the notifiers that a project names in `EVENTSTORE_NOTIFIERS`.

A notifier is a function of an incident and whether it is over. What each is to tell is saved with the incident and
tried until it succeeds, so nothing is lost; a process that dies between telling and noting it, or takes longer than
`LEASE`, lets it be told twice.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core import mail
from django.utils.module_loading import import_string

from eventstore import conf, database, handler_guard, identity
from eventstore.error_texts import describe
from eventstore.models import Incident, Notification
from eventstore.monitoring import queries
from eventstore.monitoring.health import sources

log = structlog.get_logger(__name__)

MAIL = "eventstore.monitoring.notifications.mail_admins"

LEASE = 60.0
"""Seconds for one attempt, after which another process makes the next."""

PAUSES = (2.0, 300.0)
"""Seconds before the second attempt and before any later one, doubling."""


def notifiers() -> list[str]:
    """The dotted paths of all of them."""
    return list(conf.NOTIFIERS.get())


def active_notifiers() -> list[str]:
    """Those that somebody listens to: a mail to nobody would count as told."""
    return [notifier for notifier in notifiers() if notifier != MAIL or settings.ADMINS]


def enqueue(incidents: Sequence[Incident], *, ended: bool) -> None:
    """Have it told that these began, or are over, when this transaction has committed."""
    Notification.objects.bulk_create(
        [
            Notification(incident=each, notifier=notifier, ended=ended)
            for each in incidents
            for notifier in active_notifiers()
        ]
    )


def send_due() -> None:
    """Tell what is due. What fails is told later, and keeps nothing else from being told.

    A copy of the log tells nothing: it may not know what was told since.
    """
    handler_guard.refuse_to("tell of incidents")
    if identity.is_fenced():
        return
    while due := _claim():
        try:
            import_string(due.notifier)(due.incident, due.ended)
        except Exception as error:
            log.warning("notification_failed", notifier=due.notifier, incident=str(due.incident), error=describe(error))
            first, longest = PAUSES
            _execute(queries.POSTPONE_NOTIFICATION, min(first * 2 ** min(due.attempts - 1, 16), longest), due.pk)
        else:
            _execute(queries.NOTE_SENT, due.pk)


def mail_admins(incident: Incident, ended: bool) -> None:
    """A mail to Django's `ADMINS`. Holds no personal data, for the texts of incidents hold none."""
    begun = f"{incident.kind.capitalize()}: {incident.about} {incident.text}"
    subject = f"Recovered: {incident.about} ({incident.kind})" if ended else begun
    mail.mail_admins(" ".join(subject.split())[:150], "\n".join(_lines(incident, ended)) + "\n")


def _lines(incident: Incident, ended: bool) -> list[str]:
    since, said = f"Since: {incident.began_at:%Y-%m-%d %H:%M:%S} UTC", f"{incident.about} {incident.text}."
    if ended and incident.ended_at:
        until = f"Until: {incident.ended_at:%Y-%m-%d %H:%M:%S} UTC"
        lines = [f"{incident.about} has recovered. Last seen:", "", said, "", since, until]
    else:
        lines = [
            said,
            "",
            since,
            "",
            sources.advice.get(incident.kind, ""),
            "Another mail comes when it has recovered.",
        ]
    if url := conf.ADMIN_URL.get():
        lines += ["", f"{url.rstrip('/')}/eventstore/incident/{incident.pk}/change/"]
    return lines


def _claim() -> Notification | None:
    row = _execute(queries.CLAIM_NOTIFICATION, LEASE, active_notifiers())
    return Notification.objects.select_related("incident").get(pk=row[0]) if row else None


def _execute(query: str, *parameters: Any) -> tuple[Any, ...] | None:
    with database.cursor() as cursor:
        answer = cursor.execute(query, parameters, prepare=True)
        return answer.fetchone() if answer.description else None
