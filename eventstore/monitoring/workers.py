"""The workers, beat and sites, as their heartbeats tell, and the queues that a worker must listen to."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from celery import current_app
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row

from eventstore import conf, database
from eventstore.models import WorkerHeartbeat
from eventstore.monitoring import clock_skew, queries
from eventstore.monitoring.clock_skew import Skew
from eventstore.monitoring.health import HealthIssue, duration
from eventstore.subscriptions.registry import registry


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, beat, or machine of the site. `age` is that of its last heartbeat, in seconds; `stuck` says which
    processes of its pool don't work; `skew` is how many seconds its clock was ahead of the database's, give or take
    `skew_error`, where that was measured.
    """

    name: str
    kind: str
    queues: list[str]
    process: str
    started_at: datetime
    beat_at: datetime
    stopped: bool
    stuck: str
    skew: float | None
    skew_error: float | None
    age: float

    @property
    def state(self) -> str:
        return worker_state(self.age, stopped=self.stopped)

    @property
    def fresh(self) -> bool:
        """Whether it is there, or was a moment ago: one that said goodbye may be about to start again."""
        return _is_recent(self.age)

    @property
    def ago(self) -> str:
        return f"{duration(max(0.0, self.age))} ago"

    @property
    def clock(self) -> str:
        return "" if self.skew is None else clock_skew.in_words(self.skew)


def worker_state(age: float, *, stopped: bool) -> str:
    """One word for how it is, by the age of its last heartbeat in seconds and whether it said goodbye."""
    if stopped:
        return "stopped"
    return "alive" if _is_recent(age) else "silent"


def worker_statuses(*, using: str = DEFAULT_DB_ALIAS) -> list[WorkerStatus]:
    """Whoever was ever heard of and is not forgotten."""
    with database.cursor(using) as cursor:
        reading = cursor.connection.cursor(row_factory=class_row(WorkerStatus))
        return reading.execute(queries.HEARTBEATS, prepare=True).fetchall()


def worker_issues(known: Sequence[WorkerStatus]) -> Iterator[HealthIssue]:
    """Queues that nobody listens to, workers that fell silent beside others or work only in part, and a beat that is
    not heard.

    Before the first worker there is nobody to miss. The last one of a queue is missed with its queue, not by itself.
    """
    workers = [each for each in known if each.kind == WorkerHeartbeat.Kind.WORKER]
    unserved = unserved_queues(known)
    for queue in sorted(unserved):
        listened = max((each.beat_at for each in workers if queue in each.queues), default=None)
        yield HealthIssue(f"queue {queue}", _why_unserved(queue, workers), kind="worker", since=listened)
    for each in workers:
        if each.state == "silent" and unserved.isdisjoint(each.queues):
            yield HealthIssue(each.name, f"{_left(each)}; others serve its queues", kind="worker", since=each.beat_at)
        elif each.state == "alive" and each.stuck:
            yield HealthIssue(each.name, f"works only in part: {each.stuck}", kind="worker")
    beats = [each for each in known if each.kind == WorkerHeartbeat.Kind.BEAT]
    if beats and not any(each.fresh for each in beats):
        last = min(beats, key=lambda each: each.age)
        yield HealthIssue("beat", f"{_left(last)}: nobody sends the periodic tasks", kind="beat", since=last.beat_at)
    elif workers and not beats and current_app.conf.beat_schedule:
        yield HealthIssue("beat", "was never started: nobody sends the periodic tasks", kind="beat")


def clock_issues(known: Sequence[WorkerStatus]) -> Iterator[HealthIssue]:
    """Whoever is heard and whose clock is off."""
    for each in known:
        if each.state == "alive" and each.skew is not None:
            yield from clock_skew.issues(each.name, Skew(each.skew, each.skew_error or 0.0))


def unserved_queues(known: Sequence[WorkerStatus]) -> set[str]:
    """The queues that a worker must listen to and none does; none of them before the first worker."""
    workers = [each for each in known if each.kind == WorkerHeartbeat.Kind.WORKER]
    return _expected(workers) - {queue for each in workers if each.fresh for queue in each.queues}


def forget_replaced(known: Sequence[WorkerStatus]) -> None:
    """Delete the heartbeats of workers that nobody misses: one that stopped or was replaced at once, others later."""
    alive = [each for each in known if each.state == "alive"]
    WorkerHeartbeat.objects.filter(
        name__in=[each.name for each in known if each.state != "alive" and _is_needless(each, alive)]
    ).delete()


def _is_recent(age: float) -> bool:
    """A heartbeat in the future was before the clock was set back: who lives writes another."""
    return 0 <= age <= conf.HEARTBEAT_TIMEOUT_SECONDS.get()


def _is_needless(gone: WorkerStatus, alive: Sequence[WorkerStatus]) -> bool:
    others = [each for each in alive if each.kind == gone.kind]
    if not others or not {queue for each in others for queue in each.queues}.issuperset(gone.queues):
        return False
    replaced = any(each.started_at > gone.beat_at and {*each.queues}.issuperset(gone.queues) for each in others)
    return gone.stopped or replaced or gone.age > conf.FORGET_AFTER_SECONDS.get()


def _expected(workers: Sequence[WorkerStatus]) -> set[str]:
    """The queues that tasks are sent to, and those that workers listened to, once there has been any worker."""
    if not workers:
        return set()
    routes = current_app.conf.task_routes
    routed = {route["queue"] for route in routes.values() if "queue" in route} if isinstance(routes, dict) else set()
    listened = {queue for each in workers for queue in each.queues}
    followed = {each.queue for each in registry.here() if each.queue}
    return {current_app.conf.task_default_queue, *routed, *listened, *followed}


def _why_unserved(queue: str, workers: Sequence[WorkerStatus]) -> str:
    listened = [each for each in workers if queue in each.queues]
    if not listened:
        return "was never listened to by a worker"
    last = min(listened, key=lambda each: each.age)
    return f"has no worker: {last.name} {_left(last)}"


def _left(gone: WorkerStatus) -> str:
    if gone.stopped:
        return f"was stopped {gone.ago}"
    return f"fell silent {gone.ago}" + (f" ({gone.stuck})" if gone.stuck else "")
