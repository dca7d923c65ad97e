"""What is not as it should be, in words that any front end can show."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

LATE = 10.0
"""Seconds behind the log after which it is worth saying."""


MOST_COUNTED = 10_000


class HealthIssue(msgspec.Struct, frozen=True):
    """One thing that is not as it should be, in words. What is not `grave` is worth a look, and needs no hand.

    With a `kind` it is told to staff who don't look, and neither `about` nor `text` may hold a person's data. It has
    been so `since` then, where that is known. `sign` is one word for what was seen, where others are told apart by it.
    """

    about: str
    text: str
    grave: bool = True
    kind: str = ""
    since: datetime | None = None
    sign: str = ""


Source = Callable[[], Iterable[HealthIssue]]


class Sources:
    """Who tells of health issues, and what staff are advised to do about each kind."""

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self.advice: dict[str, str] = {}
        self.findings: set[str] = set()

    def register(self, source: Source, **advice: str) -> None:
        """Look at these health issues too. Those with a kind become incidents, with the advice for that kind."""
        self._sources.append(source)
        self.advice.update(advice)

    def register_findings(self, **advice: str) -> None:
        """Incidents of these kinds are not seen again at every look: somebody finds them once, as `incidents.find` has
        it. With what staff are advised to do about each kind.
        """
        self.findings.update(advice)
        self.advice.update(advice)

    def unregister(self, source: Source) -> None:
        """Look at them no longer. Raises ValueError for one that isn't registered."""
        self._sources.remove(source)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)


sources = Sources()


def duration(seconds: float) -> str:
    """A length of time as people say it: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, size, until in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
