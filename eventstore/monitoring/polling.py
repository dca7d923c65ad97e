"""A worker also looks by itself, again and again: with the broker away neither bell nor clock calls it, and still async
read models are behind by no more than a second, and what is due happens when it is due.

It looks in threads, because a worker that has lost its broker does nothing but try to reach it again. The threads
belong into the processes of the pool: they never fork, and a connection must not be forked.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import structlog
from django.db import connections

from eventstore.error_texts import describe

log = structlog.get_logger(__name__)


SOONEST = 0.02
"""Seconds until something is done again that could not wait, such as what another process is at."""


class Poll(NamedTuple):
    """What is done again and again, and how many seconds lie between two times, unless it answers how many it can wait:
    then that many, if they are fewer.
    """

    work: Callable[[], float | None]
    every: float


_polls: list[Poll] = []


def register(work: Callable[[], float | None], *, every: float) -> None:
    """Have something done every so many seconds, or sooner if it says so, by each process of a pool that polls."""
    _polls.append(Poll(work, every))


def unregister(work: Callable[[], float | None]) -> None:
    """Have it done no longer by threads that start from now on."""
    _polls[:] = [poll for poll in _polls if poll.work != work]


def start() -> None:
    """Poll from now on, until this process ends. A batch that it ends in the midst of was never fed."""
    for poll in _polls:
        threading.Thread(target=_repeat, args=poll, name="polling", daemon=True).start()


def _repeat(work: Callable[[], float | None], every: float) -> NoReturn:
    while True:
        wait: float | None = None
        try:
            wait = work()
        except Exception as error:
            log.warning("polling_failed", error=describe(error))
            connections.close_all()  # those of this thread
        time.sleep(every if wait is None else min(max(wait, SOONEST), every))
