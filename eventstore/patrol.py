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

from eventstore import tasks

log = structlog.get_logger(__name__)


class Round(NamedTuple):
    """What is looked at, and how many seconds lie between two looks."""

    look: Callable[[], object]
    every: float


_rounds = [Round(tasks.look, every=1.0)]


def register(look: Callable[[], object], *, every: float) -> None:
    """Have something else looked at too."""
    _rounds.append(Round(look, every))


def begin() -> None:
    """Look from now on, until this process ends. A batch that it ends in the midst of was never fed."""
    for each in _rounds:
        threading.Thread(target=_look_again_and_again, args=each, name="patrol", daemon=True).start()


def _look_again_and_again(look: Callable[[], object], every: float) -> NoReturn:
    while True:
        try:
            look()
        except Exception as error:
            log.warning("patrol_failed", error=f"{type(error).__name__}: {error}".strip())
            connections.close_all()  # those of this thread
        time.sleep(every)
