"""The heartbeat of Celery's processes: each writes every few seconds that it works, and looks after the others.

Threads do it, so that neither a lost database nor a slow mail server keeps a loop from turning. The heartbeat is
written only while work was done a moment ago: the loop of a worker turned and a process of its pool worked, and beat
sent something. Who hangs falls silent like one that was killed. A project adds `HeartbeatStep` to the steps of its
workers, names `Scheduler` as that of beat, and starts a `SiteHeartbeat` in each process of its site.
"""

import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import bootsteps
from celery.beat import PersistentScheduler, SchedulingError
from celery.schedules import schedule
from celery.worker.components import Pool
from django.db import connections

from eventstore import conf, database
from eventstore.context import process_name
from eventstore.error_texts import describe
from eventstore.monitoring import clock_skew, queries
from eventstore.monitoring.pool_watch import PoolWatch
from eventstore.transient_errors import OUTAGES

log = structlog.get_logger(__name__)

LOOK = 1.0
FAREWELL = 2.0
"""Seconds that a process which ends waits for its goodbye to be written."""

MISSED = 5
"""So many intervals of what is due most often in which nothing was sent, and beat falls silent."""


class Heartbeat:
    """Beats for one process as long as it works, and checks the health of everything meanwhile. `stuck` says what of it
    doesn't work.
    """

    def __init__(self, name: str, kind: str, queues: list[str]) -> None:
        self._name, self._kind, self._queues = name, kind, queues
        self._worked = time.monotonic()
        self.stuck = ""
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._checking = threading.Thread(target=self._check, name="health-check", daemon=True)

    def start(self) -> None:
        self._beating.start()
        self._checking.start()

    def note_work(self, at: float | None = None) -> None:
        """Work was done: now, or at that time of the monotonic clock."""
        self._worked = time.monotonic() if at is None else at

    def stop(self) -> None:
        """Says goodbye, if that can be done in a moment; asked again, it has done so."""
        self._ended.set()
        self._beating.join(FAREWELL)

    def _beat(self) -> None:
        self._repeat(self._write, conf.HEARTBEAT_TIMEOUT_SECONDS.get() / 6)
        _carefully(lambda: _execute(queries.GOODBYE, [self._name, process_name()]))
        connections.close_all()

    def _write(self) -> None:
        timeout = conf.HEARTBEAT_TIMEOUT_SECONDS.get()
        if time.monotonic() - self._worked < timeout / 2:
            identity = [self._name, self._kind, self._queues, process_name()]
            _execute(queries.BEAT, [*identity, self.stuck, *clock_skew.measure()])
        elif self.stuck:
            _execute(queries.NOTE_STUCK, [self.stuck, self._name, process_name(), timeout])

    def _check(self) -> None:
        from eventstore.monitoring import incidents, notifications, samples

        sampled = 0.0

        def check() -> None:
            nonlocal sampled
            incidents.check_health()
            notifications.send_due()
            if (minute := time.time() // 60) != sampled:
                samples.take()
                sampled = minute

        self._repeat(check, conf.HEALTH_CHECK_SECONDS.get())
        connections.close_all()

    def _repeat(self, work: Callable[[], None], pause: float) -> None:
        _carefully(work)
        while not self._ended.wait(pause):
            _carefully(work)


class SiteHeartbeat(Heartbeat):
    """Tells how the clock stands of a machine that the site runs on. It misses nobody, and nobody misses the site: who
    monitors that asks it from outside.
    """

    def __init__(self) -> None:
        super().__init__(f"site@{socket.gethostname()}", "site", [])

    def start(self) -> None:
        self._beating.start()

    def _write(self) -> None:
        self.note_work()
        super()._write()
        connections.close_all()  # this thread's may be one of few that requests share


class HeartbeatStep(bootsteps.StartStopStep):
    """Gives a worker its heartbeat, once the pool has forked."""

    requires = (Pool,)
    _heartbeat: Heartbeat | None = None

    def start(self, parent: Any) -> None:
        self._heartbeat = Heartbeat(parent.hostname, "worker", sorted(parent.app.amqp.queues.consume_from))
        self._heartbeat.start()
        self._pool = PoolWatch(parent.pool)
        parent.timer.call_repeatedly(LOOK, self._look)
        parent.timer.call_repeatedly(conf.HEARTBEAT_TIMEOUT_SECONDS.get() / 6, self._pool.ask)

    def stop(self, parent: Any) -> None:
        if self._heartbeat:
            self._heartbeat.stop()

    terminate = stop

    def _look(self) -> None:
        assert self._heartbeat
        self._heartbeat.note_work(self._pool.look())
        self._heartbeat.stuck = self._pool.stuck


class Scheduler(PersistentScheduler):
    """Celery's own, with a heartbeat that says that it sends, and a clock that may be set back."""

    _heartbeat: Heartbeat | None = None

    def setup_schedule(self) -> None:
        try:
            super().setup_schedule()
        except Exception as error:
            # Who is killed while it writes leaves a file that Celery may take for sound, to fail on it for ever.
            self._destroy_open_corrupted_schedule(error)  # type: ignore[attr-defined]  # the stubs leave it out
            super().setup_schedule()
        often = [each.schedule.seconds for each in self.schedule.values() if isinstance(each.schedule, schedule)]
        self._silent_after = MISSED * min(often, default=math.inf)
        self._sent_at = time.monotonic()
        self._heartbeat = Heartbeat(f"beat@{socket.gethostname()}", "beat", [])
        self._heartbeat.start()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        self._forget_the_future()
        pause = super().tick(*args, **kwargs)
        if self._heartbeat and time.monotonic() - self._sent_at < self._silent_after:
            self._heartbeat.note_work()
        return min(pause, LOOK)

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        try:
            sent = super().apply_async(*args, **kwargs)
        except SchedulingError as error:
            connections.close_all()  # what rings a bell needs the database, and the next time a new connection
            if not isinstance(error.__context__, OUTAGES):
                raise
            log.warning("call_failed", error=describe(error.__context__))
            return None
        self._sent_at = time.monotonic()
        return sent

    def close(self) -> None:
        super().close()
        if self._heartbeat:
            self._heartbeat.stop()

    def _forget_the_future(self) -> None:
        """What ran at a time that is yet to come ran before the clock was set back. Its interval begins anew, or it
        would not be due until the clock has caught up.
        """
        ahead = [
            entry
            for entry in self.schedule.values()
            if entry.schedule
            and entry.last_run_at
            and entry.schedule.maybe_make_aware(entry.last_run_at) > entry.default_now()
        ]
        for entry in ahead:
            entry.last_run_at = entry.default_now()
        if ahead:
            self.populate_heap()


def _execute(query: str, parameters: list[Any]) -> None:
    with database.cursor() as cursor:
        cursor.execute(query, parameters, prepare=True)


def _carefully(work: Callable[[], None]) -> None:
    """Whatever goes wrong, the next time may go well, on a new connection."""
    try:
        work()
    except Exception as error:
        thread = threading.current_thread().name
        log.warning("heartbeat_failed", thread=thread, error=describe(error))
        connections.close_all()
