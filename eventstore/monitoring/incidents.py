"""Health issues that last become incidents, and so does what somebody has found. All workers and beat look at the
health of everything, one of them every few seconds; staff are told of an incident once when it begins and once when it
is over.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.db import transaction

from eventstore import advisory_locks, conf, database, doorbell
from eventstore.context import process_name
from eventstore.database import Statement
from eventstore.error_texts import describe
from eventstore.models import Incident
from eventstore.monitoring import notifications, queries
from eventstore.monitoring.health import HealthIssue, sources
from eventstore.monitoring.status import log_status, subscriber_statuses
from eventstore.monitoring.workers import (
    clock_issues,
    forget_replaced,
    unserved_queues,
    worker_issues,
    worker_statuses,
)
from eventstore.transient_errors import raise_if_lost

log = structlog.get_logger(__name__)

MOST_SHOWN = 10
"""Incidents of what was found that a page about everything shows."""

TURN = 0.9
"""The share of the pause between two looks that has to pass until somebody may look again."""


def check_health() -> None:
    """Look at everything, unless another process does or just did, and keep the incidents. `send_due` tells of them."""
    with transaction.atomic(durable=True):
        if begun := _our_turn():
            _keep(*_found(), now=begun)
            forget_replaced(worker_statuses())


def find(kind: str, about: str, text: str, *, since: datetime | None = None) -> None:
    """Raise an incident at once, in the caller's transaction if there is one, unless one of this kind and about this
    stands: what was found first stays told. It began `since` then, or now. It is over when it is `settle`d, or staff
    resolve it.

    The kind is one of `sources.register_findings`; neither `about` nor `text` may hold a person's data.
    """
    with transaction.atomic():
        now = database.clock()
        begun = {"text": text, "began_at": since or now, "seen_at": now, "raised_at": now}
        incident, is_new = Incident.objects.get_or_create(kind=kind, about=about, ended_at=None, defaults=begun)
        if is_new:
            log.error("incident_found", kind=kind, about=about, text=text)
            notifications.enqueue([incident], ended=False)


def settle(kind: str, about: str) -> None:
    """What was found about this is right again, if anything was."""
    with transaction.atomic():
        now = database.clock()
        for standing in Incident.objects.select_for_update().filter(kind=kind, about=about, ended_at=None):
            standing.seen_at = standing.ended_at = now
            standing.save()
            notifications.enqueue([standing], ended=True)


def found_issues() -> Iterator[HealthIssue]:
    """What was found, and is neither set right nor resolved, for pages that show the health of everything."""
    for standing in Incident.objects.filter(ended_at=None, kind__in=sources.findings).order_by("id")[:MOST_SHOWN]:
        yield HealthIssue(standing.about, standing.text)


def on_resolved(incident: Incident, **_: object) -> None:
    """Tell that it is over, now that staff have resolved it."""
    notifications.enqueue([incident], ended=True)


def log_and_worker_issues() -> Iterator[HealthIssue]:
    """The log, its subscribers, and the workers. What follows from another issue is not told by itself, nor while that
    is resolving: without the broker workers hang; without them, or with the log held back, no subscriber moves.
    """
    yield from log_status().health_issues()
    known = worker_statuses()
    yield from clock_issues(known)
    gone = list(worker_issues(known))
    open_kinds = set(Incident.objects.filter(ended_at=None).values_list("kind", flat=True))
    if gone and not doorbell.is_heard():
        open_kinds.add("broker")
        yield HealthIssue("broker", "can't be reached, so workers hang", kind="broker")
    if "broker" not in open_kinds:
        yield from gone
    unfed = open_kinds & {"broker", "horizon"} or current_app.conf.task_default_queue in unserved_queues(known)
    for status in subscriber_statuses():
        yield from (issue for issue in status.health_issues() if not (unfed and issue.kind == "stalled"))


ADVICE = {
    "parked": "Look at the error under Parked events and mend the code. Other keys go on.",
    "halted": "Look at its last error under Subscribers and mend the cause, then let it go on.",
    "stalled": "Look whether its worker runs, and whether a session holds the lock on its row or table.",
    "fenced": "Find out whether the database that it was copied from still acts. If not, let this one act.",
    "sequence": "Execute that as the owner of the tables, and find out who set it back.",
    "horizon": "Look at this session in pg_stat_activity: it appended and does not end its transaction.",
    "worker": "Start it, or look at its log; kill a process that is stuck, for another takes its place. If the worker "
    "shall be gone for good, delete it under Workers.",
    "beat": "Start it, or look at its log. Timers do not fire meanwhile.",
    "clock": "Have a time server set the clock of its machine; if all are off, that of the database's.",
    "broker": "Start it. What workers do comes later; nothing is lost.",
}
"""What staff are advised to do about these, by kind."""


def _our_turn() -> datetime | None:
    """The database's time, if it is for us to look."""
    lock = Statement(queries.TRY_CHECK, [advisory_locks.HEALTH_CHECK])
    _, ((ours,),) = database.pipeline(Statement(queries.LIMIT_CHECK), lock)
    if not ours:
        return None
    (turn,) = database.pipeline(Statement(queries.TAKE_TURN, [process_name(), TURN * conf.HEALTH_CHECK_SECONDS.get()]))
    return turn[0][0] if turn else None


def _found() -> tuple[list[HealthIssue], bool]:
    """What is to be told now, and whether that is all: a source that fails hides what it would have said."""
    found, complete = [], True
    for source in sources:
        try:
            with transaction.atomic():
                found += [issue for issue in source() if issue.kind]
        except Exception as error:
            raise_if_lost(error)
            log.warning("health_source_failed", source=str(source), error=describe(error))
            complete = False
    return found, complete


def _keep(found: Sequence[HealthIssue], complete: bool, *, now: datetime) -> None:
    """Begin what is new, raise what lasts, drop what did not last, and end what has not been seen for a while."""
    raise_after = timedelta(seconds=conf.RAISE_AFTER_SECONDS.get())
    resolve_after = timedelta(seconds=conf.RESOLVE_AFTER_SECONDS.get())
    standing = {
        (each.kind, each.about): each
        for each in Incident.objects.filter(ended_at=None).exclude(kind__in=sources.findings)
    }
    for each in standing.values():
        if each.seen_at > now:  # before the clock was set back: it counts from now, or would not be over for long
            each.began_at, each.seen_at = min(each.began_at, now), now
            each.save()
    raised, ended = [], []
    for key, issue in {(issue.kind, issue.about): issue for issue in found}.items():
        incident = standing.pop(key, None) or Incident(kind=issue.kind, about=issue.about, began_at=now)
        incident.text, incident.seen_at = issue.text, now
        if not incident.raised_at and now - incident.began_at >= raise_after:
            incident.raised_at = now
            raised.append(incident)
        incident.save()
    for incident in standing.values() if complete else ():
        if not incident.raised_at:
            incident.delete()
        elif now - incident.seen_at >= resolve_after:
            incident.ended_at = incident.seen_at
            incident.save()
            ended.append(incident)
    notifications.enqueue(raised, ended=False)
    notifications.enqueue(ended, ended=True)
