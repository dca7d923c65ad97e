"""How late timers are, as it was measured."""

from typing import NamedTuple


class Lateness(NamedTuple):
    """By how many seconds timers fired late, and how long after they were due their orders were told to expire."""

    fired: list[float]
    sent: list[float]
