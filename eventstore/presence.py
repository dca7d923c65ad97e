"""Who is at work, as the pulses tell: workers, beat, and the queues that somebody must listen to."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec
from celery import current_app
from django.db import DEFAULT_DB_ALIAS
from psycopg.rows import class_row

from eventstore import store
from eventstore.limits import seconds
from eventstore.models import Pulse
from eventstore.panels import Trouble, duration

_PULSES = """SELECT name, kind, queues, process, started_at, beat_at, stopped_at IS NOT NULL AS stopped,
        extract(epoch FROM clock_timestamp() - beat_at)::float AS age
    FROM eventstore_pulse WHERE kind <> 'watch' ORDER BY kind, name"""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """One worker, or beat. `age` is that of its last pulse, in seconds."""

    name: str
    kind: str
    queues: list[str]
    process: str
    started_at: datetime
    beat_at: datetime
    stopped: bool
    age: float

    @property
    def state(self) -> str:
        return state(self.age, stopped=self.stopped)

    @property
    def fresh(self) -> bool:
        """Whether it is there, or was a moment ago: one that said goodbye may be about to start again."""
        return self.age <= seconds("SILENT")

    @property
    def ago(self) -> str:
        return f"{duration(max(0.0, self.age))} ago"


def state(age: float, *, stopped: bool) -> str:
    """One word for how it is, by the age of its last pulse in seconds and whether it said goodbye."""
    if stopped:
        return "stopped"
    return "alive" if age <= seconds("SILENT") else "silent"


def everybody(*, using: str = DEFAULT_DB_ALIAS) -> list[Presence]:
    """Workers and beats that were ever heard of and are not forgotten."""
    with store.cursor(using) as cursor:
        reading = cursor.connection.cursor(row_factory=class_row(Presence))
        return reading.execute(_PULSES, prepare=True).fetchall()


def troubles(known: Sequence[Presence]) -> Iterator[Trouble]:
    """Queues that nobody listens to, workers that fell silent beside others, and a beat that is not heard.

    Before the first worker there is nobody to miss. The last one of a queue is missed with its queue, not by itself.
    """
    workers = [each for each in known if each.kind == Pulse.Kind.WORKER]
    served = {queue for each in workers if each.fresh for queue in each.queues}
    for queue in sorted(_expected(workers) - served):
        yield Trouble(f"queue {queue}", _unserved(queue, workers), kind="worker")
    for each in workers:
        if each.state == "silent" and served.issuperset(each.queues):
            yield Trouble(each.name, f"fell silent {each.ago}; others serve its queues", kind="worker")
    beats = [each for each in known if each.kind == Pulse.Kind.BEAT]
    if beats and not any(each.fresh for each in beats):
        last = min(beats, key=lambda each: each.age)
        yield Trouble("beat", f"{_left(last)}: nobody sends the periodic tasks", kind="beat")
    elif workers and not beats and current_app.conf.beat_schedule:
        yield Trouble("beat", "was never started: nobody sends the periodic tasks", kind="beat")


def forget(known: Sequence[Presence]) -> None:
    """Those whose work others do: who said goodbye or was replaced at once, the others after a while."""
    alive = [each for each in known if each.state == "alive"]
    Pulse.objects.filter(
        name__in=[each.name for each in known if each.state != "alive" and _is_needless(each, alive)]
    ).delete()


def _is_needless(gone: Presence, alive: Sequence[Presence]) -> bool:
    others = [each for each in alive if each.kind == gone.kind]
    if not others or not {queue for each in others for queue in each.queues}.issuperset(gone.queues):
        return False
    replaced = any(each.started_at > gone.beat_at and {*each.queues}.issuperset(gone.queues) for each in others)
    return gone.stopped or replaced or gone.age > seconds("FORGOTTEN")


def expect(queues: Callable[[], set[str]]) -> None:
    """Have workers missed at queues that no route names, for tasks are sent there one by one."""
    _more.append(queues)


_more: list[Callable[[], set[str]]] = []


def _expected(workers: Sequence[Presence]) -> set[str]:
    """The queues that workers listened to, and those that tasks are sent to, once there has been any worker."""
    if not workers:
        return set()
    routes = current_app.conf.task_routes
    routed = {route["queue"] for route in routes.values() if "queue" in route} if isinstance(routes, dict) else set()
    listened = {queue for each in workers for queue in each.queues}
    return {current_app.conf.task_default_queue, *routed, *listened}.union(*(queues() for queues in _more))


def _unserved(queue: str, workers: Sequence[Presence]) -> str:
    listened = [each for each in workers if queue in each.queues]
    if not listened:
        return "was never listened to by a worker"
    last = min(listened, key=lambda each: each.age)
    return f"has no worker: {last.name} {_left(last)}"


def _left(gone: Presence) -> str:
    return f"{'was stopped' if gone.stopped else 'fell silent'} {gone.ago}"
