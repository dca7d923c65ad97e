"""Whether the processes of a worker's pool work. Those that have nothing to do are asked for an answer again and again;
one that is stopped, or hangs in a task, gives none, though the loop of its worker turns.
"""

import os
import time
from typing import Any

from celery.worker import state

from eventstore import conf
from eventstore.monitoring.health import duration


class PoolWatch:
    """Watches a pool from the loop of its worker. `stuck` says which of its processes don't work."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._asked: list[tuple[float, Any]] = []
        self._worked: dict[int, float] = {}
        self._begun: dict[str, float] = {}
        self.stuck = ""

    def ask(self) -> None:
        """Give each process one thing to do: to answer. Who is at a task does so afterwards.

        Who has not answered after a while is asked again: with the connection to the broker Celery drops what waits.
        """
        now, patience = time.monotonic(), conf.HEARTBEAT_TIMEOUT_SECONDS.get() / 2
        self._asked = [(at, each) for at, each in self._asked if not each.ready() and now - at < patience]
        for _ in range(len(self._processes()) - len(self._asked)):
            if asked := self._pool.apply_async(os.getpid, callback=self._hear):
                self._asked.append((now, asked))

    def look(self) -> float:
        """Judge every process, and answer when one of them last worked, by the monotonic clock.

        Who is at a task works, unless it takes longer than any may.
        """
        now, processes = time.monotonic(), self._processes()
        tasks = {task.worker_pid: task for task in list(state.active_requests)}
        self._begun = {task.id: self._begun.get(task.id, now) for task in tasks.values()}
        longest = conf.STUCK_AFTER_SECONDS.get()
        works = {process for process, task in tasks.items() if now - self._begun[task.id] < longest}
        self._worked = {each: now if each in works else self._worked.get(each, now) for each in processes}
        self.stuck = "; ".join(
            f"process {process} of {len(processes)} has {self._how_long(process, tasks.get(process), now)}"
            for process, worked in self._worked.items()
            if now - worked > conf.HEARTBEAT_TIMEOUT_SECONDS.get()
        )
        return max(self._worked.values(), default=now)

    def _how_long(self, process: int, task: Any, now: float) -> str:
        if task:
            return f"been at {task.name} for {duration(now - self._begun[task.id])}"
        return f"not answered for {duration(now - self._worked[process])}"

    def _hear(self, process: int) -> None:
        self._worked[process] = time.monotonic()

    def _processes(self) -> list[int]:
        """None of a pool that has no processes of its own."""
        return list(self._pool.info.get("processes", ()))
