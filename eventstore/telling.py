"""What staff are told of incidents, by whatever channels a project names in `EVENTSTORE_TELL`.

A channel is a function of an incident and whether it is over. What each is to tell is written down with the incident
and told until it succeeds, so nothing is lost; a process that dies between telling and noting it, or takes longer than
`LEASE`, lets it be told twice.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.core import mail
from django.utils.module_loading import import_string

from eventstore import applying, identity, store
from eventstore.models import Incident, Notice

log = structlog.get_logger(__name__)

MAIL = "eventstore.telling.mail_admins"

LEASE = 60.0
"""Seconds for one attempt, after which another process makes the next."""

PAUSES = (2.0, 300.0)
"""Seconds before the second attempt and before any later one, doubling."""

# The end is told after the beginning, by each channel.
_CLAIM = """UPDATE eventstore_notice
    SET tell_at = clock_timestamp() + make_interval(secs => %s), attempts = attempts + 1
    WHERE id = (
        SELECT id FROM eventstore_notice AS mine WHERE told_at IS NULL AND tell_at <= clock_timestamp()
            AND channel = ANY(%s) AND NOT (ended AND EXISTS (
                SELECT FROM eventstore_notice AS earlier WHERE earlier.incident_id = mine.incident_id
                    AND earlier.channel = mine.channel AND NOT earlier.ended AND earlier.told_at IS NULL))
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id"""
_TOLD = "UPDATE eventstore_notice SET told_at = clock_timestamp() WHERE id = %s"
_LATER = "UPDATE eventstore_notice SET tell_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s"

advice = {
    "parked": "Look at the error under Parked events and mend the code. Other keys go on.",
    "halted": "Look at its last error under Subscribers and mend the cause, then let it go on.",
    "stalled": "Look whether its worker runs, and whether a session holds the lock on its row.",
    "fenced": "Find out whether the database that it was copied from still acts. If not, let this one act.",
    "horizon": "Look at this session in pg_stat_activity: it appended and does not end its transaction.",
    "worker": "Start it, or look at its log. If it shall be gone for good, delete it under Workers.",
    "beat": "Start it, or look at its log. Timers do not fire meanwhile.",
    "broker": "Start it. What workers do comes later; nothing is lost.",
}
"""What to do, by kind of incident; a source brings that of its own kinds."""


def channels() -> list[str]:
    """The dotted paths of all that tells."""
    return list(getattr(settings, "EVENTSTORE_TELL", [MAIL]))


def open_channels() -> list[str]:
    """Those that somebody listens to: a mail to nobody would count as told."""
    return [channel for channel in channels() if channel != MAIL or settings.ADMINS]


def write_down(incidents: Sequence[Incident], *, ended: bool) -> None:
    """Have it told that these began, or are over, when this transaction has committed."""
    Notice.objects.bulk_create(
        [Notice(incident=each, channel=channel, ended=ended) for each in incidents for channel in open_channels()]
    )


def tell() -> None:
    """Tell what is due. What fails is told later, and keeps nothing else from being told.

    A copy of the log tells nothing: it may not know what was told since.
    """
    applying.refuse_to("tell of incidents")
    if identity.is_fenced():
        return
    while notice := _claim():
        try:
            import_string(notice.channel)(notice.incident, notice.ended)
        except Exception as error:
            log.warning("incident_untold", channel=notice.channel, incident=str(notice.incident), error=str(error))
            first, longest = PAUSES
            _execute(_LATER, min(first * 2 ** min(notice.attempts - 1, 16), longest), notice.pk)
        else:
            _execute(_TOLD, notice.pk)


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
        lines = [said, "", since, "", advice.get(incident.kind, ""), "Another mail comes when it has recovered."]
    if url := getattr(settings, "EVENTSTORE_ADMIN_URL", ""):
        lines += ["", f"{url.rstrip('/')}/eventstore/incident/{incident.pk}/change/"]
    return lines


def _claim() -> Notice | None:
    row = _execute(_CLAIM, LEASE, open_channels())
    return Notice.objects.select_related("incident").get(pk=row[0]) if row else None


def _execute(query: str, *parameters: Any) -> tuple[Any, ...] | None:
    with store.cursor() as cursor:
        answer = cursor.execute(query, parameters, prepare=True)
        return answer.fetchone() if answer.description else None
