"""What waits and what went wrong among sagas, timers and side effects. Counts go by partial indexes of what is
unfinished, and stop at a bound, so they cost the same however much was done before.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from celery import current_app
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row, dict_row

from eventstore import advisory_locks, database, identity
from eventstore.database import Statement
from eventstore.models import Incident
from eventstore.monitoring.affected import TRACED
from eventstore.monitoring.health import MOST_COUNTED, HealthIssue, duration
from eventstore.monitoring.workers import unserved_queues, worker_statuses
from eventstore.subscriptions.registry import registry
from sagas import conf, outbox, queries
from sagas.effects.delivery import slot_names
from sagas.effects.effect import DELIVER_TASK, Effect

SHOWN = 20
"""Errors that are told apart."""

ADVICE = {
    "commands": "Look at the error under Commands and mend the cause, then let them be sent again.",
    "unanswered": "Look under Commands which rule refused what, do what has to be done, and resolve the refusals.",
    "tried in vain": "Mend what they act on. They are tried again by themselves, later and later: once it is back, "
    "have all that wait tried now, under Mails & effects.",
    "in doubt": "Find out under Mails & effects whether they happened, and say so.",
    "failed": "Look at the error under Mails & effects and mend the cause, then let them be tried again.",
    "overdue": "Look whether the workers of its queue run, and what keeps them busy.",
    "hanging": "Look at what it acts on. If that does not answer, end the process: its delivery is taken up again.",
}
"""What staff are advised to do about these, by kind."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Commands of one type of a saga, or deliveries of an effect, that do not go on: those that are parked, unanswered,
    failed or in doubt, those that failed and are tried again (`pending`), and those that are `waiting` for a read
    model. Some `keys` or `positions` tell whom they concern.
    """

    subscriber: str
    type: str
    status: str
    waits_for: str
    rows: int
    attempts: int
    since: datetime
    error: str
    keys: Sequence[str]
    positions: Sequence[int]


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits. Ages are in seconds, of the oldest; None where there is nothing. `commands_overdue` is that of a
    command which waits for no other.
    """

    commands_pending: int
    commands_age: float | None
    commands_parked: int
    commands_unanswered: int
    deliveries_waiting: int
    deliveries_age: float | None
    deliveries_failed: int
    deliveries_in_doubt: int
    timers_waiting: int
    timers_next: float | None
    commands_overdue: float | None
    troubles: Sequence[Trouble]

    def health_issues(self) -> list[HealthIssue]:
        found = []
        if self.commands_parked:
            text = f"{self.commands_parked:,} parked: each holds up its saga"
            found.append(HealthIssue("commands", text, kind="commands"))
        if self.commands_unanswered:
            text = f"{self.commands_unanswered:,} refused, and their sagas don't say what follows"
            found.append(HealthIssue("commands", text, kind="unanswered"))
        if self.deliveries_in_doubt:
            text = f"{self.deliveries_in_doubt:,} in doubt: did they happen or not?"
            found.append(HealthIssue("deliveries", text, kind="in doubt"))
        if self.deliveries_failed:
            found.append(HealthIssue("deliveries", f"{self.deliveries_failed:,} failed for good", kind="failed"))
        return found


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One error, how many commands or deliveries it has in this state, of which sagas or effects, and when it was met
    first and last.
    """

    subscribers: list[str]
    status: str
    error: str
    rows: int
    first_seen: datetime
    last_seen: datetime


def troubled_commands() -> list[Fault]:
    """The most frequent errors of commands that are parked, or unanswered."""
    return _faults(queries.TROUBLED_COMMANDS)


def failed_deliveries() -> list[Fault]:
    """The most frequent errors of deliveries that have failed or are in doubt."""
    return _faults(queries.TROUBLED_DELIVERIES)


def process_status(*, using: str = DEFAULT_DB_ALIAS) -> ProcessStatus:
    asked = Statement(queries.PROCESSES, {"most": MOST_COUNTED, "some": TRACED}, dict_row)
    ((found,),) = database.pipeline(asked, using=using)
    return ProcessStatus(**{**found, "troubles": msgspec.json.decode(found["troubles"], type=list[Trouble])})


def process_issues() -> Iterator[HealthIssue]:
    """What is wrong with commands, timers and deliveries. What is overdue because nobody is there to take it up is not
    told by itself: the broker or the queue is.
    """
    processes = process_status()
    yield from processes.health_issues()
    yield from failing_issues()
    unheard = Incident.objects.filter(kind="broker", ended_at=None).exists()
    unserved = unserved_queues(worker_statuses())
    for issue in overdue_issues(processes):
        if issue.kind == "hanging" or not (unheard or queue_of(issue.about) in unserved):
            yield issue


def failing_issues(*, using: str = DEFAULT_DB_ALIAS) -> Iterator[HealthIssue]:
    """What is tried again and again, before it has failed for good: a mail server that is away, perhaps. The kind of
    the error is told and not its text, which may name somebody.
    """
    with database.cursor(using) as cursor:
        found = cursor.execute(queries.TRIED_IN_VAIN, {"most": MOST_COUNTED}).fetchone()
    many, waited, error = found or (0, None, None)
    if many and waited is not None and waited > conf.OVERDUE_AFTER_SECONDS.get():
        kind = (error or "").partition(":")[0]
        text = f"{many:,} wait that have failed so far, the oldest for {duration(waited)} ({kind})"
        yield HealthIssue("deliveries", text, grave=False, kind="tried in vain")


def overdue_issues(processes: ProcessStatus | None = None, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[HealthIssue]:
    """What could have been taken up and was not, and acts that go on for longer than their lease.

    Not in a copy of the log, which is to send nothing; nor what waits by rule, which isn't due: for a send window, a
    read model, a retry, or its turn under a rate limit. Where a slot of an effect is taken somebody works off what is
    due.
    """
    if identity.is_fenced(using=using):
        return
    bound = conf.OVERDUE_AFTER_SECONDS.get()
    processes = processes or process_status(using=using)
    waited = processes.commands_overdue or 0.0
    if waited > bound:
        yield HealthIssue("commands", f"the oldest has waited {duration(waited)} to be sent", kind="overdue")
    late = -(processes.timers_next or 0.0)
    if late > bound:
        yield HealthIssue("timers", f"one should have fired {duration(late)} ago", kind="overdue")
    for due in _due_effects(using):
        silent, waited = due.silent_seconds or 0.0, due.due_seconds or 0.0
        if due.position is not None and due.slots > due.live:
            acting = duration(conf.LEASE_SECONDS.get() + (due.lapsed_seconds or 0.0))
            text = f"has been at the event at position {due.position:,} for {acting}, past its lease, in {due.owner}"
            yield HealthIssue(due.effect, text, kind="hanging")
        elif silent > conf.LEASE_SECONDS.get():
            text = (
                f"has an act that goes on for {duration(silent)}, past its lease; another attempt took its event over"
            )
            yield HealthIssue(due.effect, text, kind="hanging")
        elif not due.slots and waited > bound:
            text = f"has deliveries that nobody carries out, the oldest overdue by {duration(waited)}"
            yield HealthIssue(due.effect, text, kind="overdue")


class _DueEffect(msgspec.Struct, frozen=True, kw_only=True):
    """An effect with something due; `position` is that of a delivery whose lease has run out. Whoever has held a slot
    for so many `silent_seconds` without a word is in the midst of an act.
    """

    effect: str
    slots: int
    silent_seconds: float | None
    live: int
    position: int | None
    owner: str | None
    lapsed_seconds: float | None
    due_seconds: float | None


def _due_effects(using: str) -> list[_DueEffect]:
    effects = [subscriber for subscriber in registry if isinstance(subscriber, Effect)]
    slots = [(effect.name, name) for effect in effects for name in slot_names(effect)]
    asked = {
        "effects": [effect.name for effect in effects],
        "family": advisory_locks.EFFECT_SLOT,
        "slots_of": [effect for effect, _ in slots],
        "slots": [name for _, name in slots],
        "lease": conf.LEASE_SECONDS.get(),
    }
    asked_once = Statement(queries.OVERDUE_DELIVERIES, asked, class_row(_DueEffect))
    return database.pipeline(asked_once, using=using)[0]


def queue_of(about: str) -> str:
    """Whose workers are to take up what an issue is about."""
    effect = next((subscriber for subscriber in registry if subscriber.name == about), None)
    if effect is not None and effect.queue:
        return effect.queue
    routed = current_app.amqp.router.route({}, DELIVER_TASK if effect else outbox.TASK)
    return str(routed["queue"].name)


def _faults(query: str) -> list[Fault]:
    with database.cursor() as cursor:
        counting = cursor.connection.cursor(row_factory=class_row(Fault))
        return counting.execute(query, {"most": MOST_COUNTED, "shown": SHOWN}).fetchall()
