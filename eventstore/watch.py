"""Nobody has to look for trouble: all workers and beat look at everything, one of them every few seconds, and what
lasts becomes an incident, which staff are told of once when it begins and once when it is over.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.db import transaction

from eventstore import doorbell, panels, presence, store, telling
from eventstore.context import process_name
from eventstore.failures import raise_if_lost
from eventstore.limits import seconds
from eventstore.models import Incident
from eventstore.panels import Trouble
from eventstore.store import Statement

log = structlog.get_logger(__name__)

Source = Callable[[], Iterable[Trouble]]

# Whoever freezes while it looks is cut off, and others go on looking.
_LIMITS = """SELECT set_config('idle_in_transaction_session_timeout', '10s', true),
    set_config('statement_timeout', '10s', true), set_config('lock_timeout', '2s', true)"""
_LOCK = "SELECT pg_try_advisory_xact_lock(%s, 0)"
# Half of the pause, for who would look in a moment looks only once in its own.
_TURN = """INSERT INTO eventstore_pulse AS pulse (name, kind, queues, process) VALUES ('watch', 'watch', '{}', %s)
    ON CONFLICT (name) DO UPDATE SET beat_at = clock_timestamp(), process = excluded.process
    WHERE pulse.beat_at < clock_timestamp() - make_interval(secs => %s) RETURNING beat_at"""


def register(source: Source, **advice: str) -> None:
    """Look at the troubles of another app too. Those with a kind are told, with the advice for that kind."""
    _sources.append(source)
    telling.advice.update(advice)


def look() -> None:
    """Look at everything, unless somebody else does or just did, and keep the incidents. Telling is left to `tell`."""
    with transaction.atomic(durable=True):
        if begun := _our_turn():
            _keep(*_found(), now=begun)
            presence.forget(presence.everybody())


def _our_turn() -> datetime | None:
    """The database's time, if it is for us to look."""
    _, ((ours,),) = store.together(Statement(_LIMITS), Statement(_LOCK, [store.WATCH_LOCKS]))
    if not ours:
        return None
    (turn,) = store.together(Statement(_TURN, [process_name(), seconds("WATCH") / 2]))
    return turn[0][0] if turn else None


def _found() -> tuple[list[Trouble], bool]:
    """What is to be told now, and whether that is all: a source that fails hides what it would have said."""
    found, complete = [], True
    for source in (_at_work, *_sources):
        try:
            with transaction.atomic():
                found += [trouble for trouble in source() if trouble.kind]
        except Exception as error:
            raise_if_lost(error)
            log.warning("watch_source_failed", source=str(source), error=f"{type(error).__name__}: {error}")
            complete = False
    return found, complete


def _keep(found: Sequence[Trouble], complete: bool, *, now: datetime) -> None:
    """Begin what is new, raise what lasts, drop what did not last, and end what has not been seen for a while."""
    lasts, settled = (timedelta(seconds=seconds(name)) for name in ("LASTS", "SETTLED"))
    standing = {(each.kind, each.about): each for each in Incident.objects.filter(ended_at=None)}
    raised, ended = [], []
    for key, trouble in {(trouble.kind, trouble.about): trouble for trouble in found}.items():
        incident = standing.pop(key, None) or Incident(kind=trouble.kind, about=trouble.about, began_at=now)
        incident.text, incident.seen_at = trouble.text, now
        if not incident.raised_at and now - incident.began_at >= lasts:
            incident.raised_at = now
            raised.append(incident)
        incident.save()
    for incident in standing.values() if complete else ():
        if not incident.raised_at:
            incident.delete()
        elif now - incident.seen_at >= settled:
            incident.ended_at = incident.seen_at
            incident.save()
            ended.append(incident)
    telling.write_down(raised, ended=False)
    telling.write_down(ended, ended=True)


def _at_work() -> Iterator[Trouble]:
    """The log, those who follow it, and those who work. What follows from another trouble is not told by itself, nor
    while that is settling: without the broker workers hang; without them, or with the log held back, nobody moves.
    """
    yield from panels.log().troubles()
    gone = list(presence.troubles(presence.everybody()))
    standing = set(Incident.objects.filter(ended_at=None).values_list("kind", flat=True))
    if gone and not doorbell.is_heard():
        standing.add("broker")
        yield Trouble("broker", "can't be reached, so workers hang", kind="broker")
    if "broker" not in standing:
        yield from gone
    live = f"queue {current_app.conf.task_default_queue}"
    unfed = standing & {"broker", "horizon"} or any(trouble.about == live for trouble in gone)
    for status in panels.subscribers():
        yield from (trouble for trouble in status.troubles() if not (unfed and trouble.kind == "stalled"))


_sources: list[Source] = []
