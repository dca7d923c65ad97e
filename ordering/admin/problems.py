"""What is wrong, one row for each cause: since when, whom it concerns, what follows from it, and where it is mended.

A cause swallows its symptoms: what follows from another problem is told in the row of that one, or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from celery import current_app
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse

from eventstore.models import SubscriberRow
from eventstore.monitoring import affected
from eventstore.monitoring.affected import Affected, Trace
from eventstore.monitoring.consumers import consumer_issues
from eventstore.monitoring.health import HealthIssue, duration, sources
from eventstore.monitoring.recent import Happening, recent
from eventstore.monitoring.status import LogStatus, SubscriberStatus, log_status, subscriber_statuses
from eventstore.monitoring.workers import WorkerStatus, clock_issues, unserved_queues, worker_issues, worker_statuses
from eventstore.operations.base import operations
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.admin.words import mail
from projections.status import Rebuilds, rebuilds
from sagas.status import ProcessStatus, Trouble, overdue_issues, process_status, queue_of
from sagas.webhooks.monitoring import webhook_issues

NO_TIME = datetime.max.replace(tzinfo=UTC)

User = AbstractBaseUser | AnonymousUser


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One cause. What is not `grave` is worth a look. `page` names the page where it is mended, with its arguments, and
    `label` the button that leads there; staff who may not see that page are not told of it.
    """

    about: str
    text: str
    grave: bool = True
    since: datetime | None = None
    url: str
    label: str
    permission: str
    means: Sequence[str] = ()
    error: str = ""
    traces: Sequence[Trace] = ()
    subscriber: tuple[str, str] | None = None
    affected: Sequence[Affected] = ()

    @property
    def lasts(self) -> str:
        """For how long it has been so, as far as is known."""
        return duration(max(0.0, (datetime.now(UTC) - self.since).total_seconds())) if self.since else ""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How everything stands, each read once."""

    log: LogStatus
    subscribers: Sequence[SubscriberStatus]
    workers: Sequence[WorkerStatus]
    processes: ProcessStatus
    rebuilds: Rebuilds
    recent: Sequence[Happening]
    overdue: Sequence[HealthIssue]
    others: Sequence[tuple[str, HealthIssue]]

    @property
    def is_unheard(self) -> bool:
        """Whether the broker can't be reached, so that workers hang."""
        return any(each.word == "broker" and each.is_open for each in self.recent)

    @property
    def is_held(self) -> bool:
        """Whether the log is held back, so that nobody can follow it."""
        return any(each.kind == "horizon" for each in self.log.health_issues())


def look() -> Look:
    """A fixed number of statements, however much is wrong."""
    log = log_status()
    subscribers, processes = subscriber_statuses(log), process_status()
    consumers = [("eventstore.view_consumer", each) for each in consumer_issues(horizon=log.horizon)]
    webhooks = [("sagas.view_webhookendpoint", each) for each in webhook_issues()]
    return Look(
        log=log,
        subscribers=subscribers,
        workers=worker_statuses(),
        processes=processes,
        rebuilds=rebuilds(),
        recent=recent([each.name for each in subscribers if each.status == SubscriberRow.Status.PAUSED]),
        overdue=list(overdue_issues(processes)),
        others=[*consumers, *webhooks],
    )


def problems(seen: Look, user: Any) -> list[Problem]:
    """What this person may know of, the gravest and oldest first."""
    found = [*_of_log(seen), *_of_workers(seen), *_of_subscribers(seen, user), *_of_processes(seen), *_of_others(seen)]
    began = {(each.word, each.target): each.at for each in seen.recent if each.what == "incident" and each.is_open}
    dated = (_dated(problem, kind, began) for kind, problem in found)
    shown = [problem for problem in dated if user.has_perm(problem.permission)]
    return sorted(shown, key=lambda each: (not each.grave, since(each)))


def since(problem: Problem) -> datetime:
    """When it began; what began nobody knows when comes last."""
    return problem.since or NO_TIME


def with_affected(found: Sequence[Problem], seen: Look, user: Any) -> list[Problem]:
    """These problems, with the business behind each, as far as this person may see it."""
    named = {status.name: status for status in seen.subscribers}
    asked = [each.subscriber for each in found if each.subscriber]
    parked = [name for name, why in asked if why == "parked"]
    behind = [named[name] for name, why in asked if why == "pending"]
    sampled = affected.subscriber_traces(parked, behind, seen.log)
    traces: dict[str, Sequence[Trace]] = {}
    for number, each in enumerate(found):
        sample = sampled.get(each.subscriber) if each.subscriber else None
        traces[str(number)] = sample.traces if sample else each.traces
    told = affected.tell(traces)
    return [
        msgspec.structs.replace(
            each,
            error=each.error or (sampled[each.subscriber].error if each.subscriber in sampled else ""),
            affected=[one for one in told.get(str(number), ()) if user.has_perm(one.permission)],
        )
        for number, each in enumerate(found)
    ]


Found = Iterator[tuple[str, Problem]]
"""Problems, each with the kind of incident that it becomes."""


def _dated(problem: Problem, kind: str, began: Mapping[tuple[str, str], datetime]) -> Problem:
    """Its incident may have begun before what is found of it now."""
    since = min(filter(None, (problem.since, began.get((kind, problem.about)))), default=None)
    return msgspec.structs.replace(problem, since=since)


def _told(issue: HealthIssue, *, url: str, label: str, permission: str, **more: Any) -> tuple[str, Problem]:
    told = {"about": issue.about, "text": issue.text, "grave": issue.grave, "since": issue.since, **more}
    return issue.kind, Problem(url=url, label=label, permission=permission, **told)


def _of_log(seen: Look) -> Found:
    for issue in seen.log.health_issues():
        if issue.kind == "fenced":
            url = reverse("admin:eventstore_logidentity_changelist")
            yield _told(issue, url=url, label="This database", permission="eventstore.view_logidentity")
        else:
            url = reverse("admin:eventstore_storedevent_changelist")
            yield _told(issue, url=url, label="Event log", permission="eventstore.view_storedevent")


def _of_workers(seen: Look) -> Found:
    url, permission = reverse("admin:eventstore_workerheartbeat_changelist"), "eventstore.view_workerheartbeat"
    late = [each for each in seen.subscribers if each.mode == Mode.ASYNC and each.pending]
    for issue in (*worker_issues(seen.workers), *clock_issues(seen.workers)):
        if not seen.is_unheard or issue.kind == "clock":
            queue = issue.about.removeprefix("queue ")
            means = [f"{each.name}: {_waiting(each)}" for each in late if _queue(each.name) == queue]
            yield _told(issue, url=url, label="Workers", permission=permission, means=means[:3])


def _of_subscribers(seen: Look, user: Any) -> Found:
    unserved = unserved_queues(seen.workers)
    pauses = {each.target: each for each in reversed(seen.recent) if each.word == "pause" and not each.refused}
    for status in seen.subscribers:
        waits = _waits(seen.processes.troubles, status.name)
        stands = status.status != SubscriberRow.Status.RUNNING or status.failures or status.mismatch
        excused = stands or seen.is_held or (status.mode == Mode.ASYNC and _starved(seen, status.name, unserved))
        for issue in status.health_issues():
            if issue.sign == "behind" and excused:
                continue
            more: dict[str, Any] = {"means": waits}
            if issue.sign == "paused":
                more |= _paused(pauses.get(status.name))
            if issue.sign == "parked":
                more["subscriber"] = (status.name, "parked")
            elif status.pending:
                more["subscriber"] = (status.name, "pending")
                more["means"] = [_waiting(status), *waits]
            yield _told(issue, permission="eventstore.view_subscriberrow", **_mending(issue, status, user), **more)
            waits = []


def _of_processes(seen: Look) -> Found:
    commands, deliveries = (reverse(f"admin:sagas_{each}_changelist") for each in ("outboxcommand", "delivery"))
    for each in seen.processes.troubles:
        told: dict[str, Any] = {"since": each.since, "error": each.error}
        told["traces"] = [*map(Trace, each.keys), *(Trace("", position) for position in each.positions)]
        many = each.rows != 1
        if each.status in ("parked", "unanswered"):
            times = f"failed {each.attempts:,} time{'s' * (each.attempts != 1)}"
            text = f"{'are' if many else 'is'} stuck: {each.type} {times}"
            if each.status == "unanswered":
                text = f"{'were' if many else 'was'} refused {each.type}, and the saga doesn't say what follows"
            about = f"{each.rows:,} {each.subscriber}{'s' * many}"
            told |= {"label": "Commands", "permission": "sagas.view_outboxcommand", "url": commands}
        elif each.status == "waiting":
            continue
        else:
            about, verb = _deliveries(each), "are" if many else "is"
            text = {
                "failed": "failed for good",
                "in doubt": f"{verb} in doubt: did {'they' if many else 'it'} happen or not?",
                "pending": f"failed and {verb} tried again",
            }[each.status]
            told |= {"label": "Mails & effects", "permission": "sagas.view_delivery", "url": deliveries}
            told["grave"] = each.status != "pending"
        told["url"] += f"?status={each.status.replace(' ', '+')}"
        yield each.status, Problem(about=about, text=text, **told)
    unserved = unserved_queues(seen.workers)
    beat_is_gone = any(issue.kind == "beat" for issue in worker_issues(seen.workers))
    for issue in seen.overdue:
        if issue.kind == "overdue" and (
            seen.is_unheard or queue_of(issue.about) in unserved or (issue.about == "timers" and beat_is_gone)
        ):
            continue
        model = {"commands": "outboxcommand", "timers": "timer"}.get(issue.about, "delivery")
        url = reverse(f"admin:sagas_{model}_changelist")
        yield _told(issue, url=url, label="Look", permission=f"sagas.view_{model}")


def _of_others(seen: Look) -> Found:
    for permission, issue in seen.others:
        if permission == "eventstore.view_consumer":
            url = reverse("admin:eventstore_consumer_change", args=[issue.about])
            yield _told(issue, url=url, label="Consumer", permission=permission)
        else:
            url = reverse("admin:sagas_webhookendpoint_changelist")
            yield _told(issue, url=url, label="Webhooks", permission=permission)
    for each in seen.recent:
        if each.what == "incident" and each.is_open and each.word in {*sources.findings, "broker"}:
            issue = HealthIssue(each.target, each.text, since=each.at)
            url = f"{reverse('admin:eventstore_incident_changelist')}?ended_at__isempty=1"
            traces = [Trace(each.target)]
            yield _told(issue, url=url, label="Incidents", permission="eventstore.view_incident", traces=traces)
    for issue in seen.rebuilds.issues:
        url = reverse("admin:projections_generation_changelist")
        yield _told(issue, url=url, label="Read models", permission="projections.view_generation")


def _mending(issue: HealthIssue, status: SubscriberStatus, user: Any) -> dict[str, str]:
    """Where this is mended, and what the button is called that leads there."""
    resume = operations.named("resume")
    if issue.sign == "paused" and resume and user.has_perm(resume.permission):
        return {"url": reverse("admin:eventstore_operation", args=["resume", status.name]), "label": "Resume"}
    label = "Parked events" if issue.sign == "parked" else "Look"
    return {"url": reverse("admin:eventstore_subscriber", args=[status.name]), "label": label}


def _paused(pause: Happening | None) -> dict[str, Any]:
    if pause is None:
        return {}
    because = f": {pause.reason}" if pause.reason else ""
    return {"text": f"was paused by {pause.by}{because}", "since": pause.at}


def _queue(name: str) -> str:
    found = next((each.queue for each in registry if each.name == name), "")
    return str(found or current_app.conf.task_default_queue)


def _starved(seen: Look, name: str, unserved: Iterable[str]) -> bool:
    """Whether no worker can feed it, which is told by itself."""
    return seen.is_unheard or _queue(name) in unserved


def _waiting(status: SubscriberStatus) -> str:
    over = "over " if status.uncounted else ""
    return f"{over}{status.pending:,} event{'s wait' if status.pending != 1 else ' waits'}"


def _waits(troubles: Sequence[Trouble], name: str) -> list[str]:
    """What effects have kept until this subscriber comes so far."""
    waiting = [each for each in troubles if each.status == "waiting" and each.waits_for == name]
    return [f"{_deliveries(each)} wait{'s' * (each.rows == 1)}" for each in waiting]


def _deliveries(each: Trouble) -> str:
    noun = f"{mail(each.subscriber)} mail" if each.subscriber.startswith("mail.") else f"act of {each.subscriber}"
    one, of, what = noun.partition(" of ")
    return f"{each.rows:,} {one}{'s' * (each.rows != 1)}{of}{what}"
