"""How far the clock of a process is off the database's, which alone decides what is due."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from eventstore import conf, database
from eventstore.monitoring.health import HealthIssue, duration

UNNOTICED = 0.1
"""Seconds by which a clock may be off and still is said to be right."""


class Skew(NamedTuple):
    """How many seconds a clock is ahead of the database's, and how many that may be off."""

    seconds: float
    error: float


def measure() -> Skew:
    """The skew of this process, as far as it can be told: the answer came at some moment of the round trip."""
    here, begun = time.time(), time.monotonic()
    there = database.clock().timestamp()
    error = (time.monotonic() - begun) / 2
    return Skew(here + error - there, error)


def in_words(seconds: float) -> str:
    """How a clock stands that is ahead by so many seconds."""
    if abs(seconds) < UNNOTICED:
        return "right"
    return f"{duration(abs(seconds))} {'ahead' if seconds > 0 else 'behind'}"


def issues(about: str, skew: Skew) -> Iterator[HealthIssue]:
    """A clock that is certainly off by more than is allowed. What is due is decided rightly all the same."""
    if abs(skew.seconds) - skew.error > conf.MAX_CLOCK_SKEW_SECONDS.get():
        text = f"has a clock that is {in_words(skew.seconds)}, by the database's"
        yield HealthIssue(about, text, grave=False, kind="clock")
