"""Rounds in which the contenders take turns, and the medians over them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.clients import Clients, Done, Turn
from benchmarks.report import say


@dataclass(frozen=True)
class Run:
    """A turn under the name of its figure, and how many clients take it together."""

    figure: str
    turn: Turn
    clients: int


class Results:
    """What each run came to in each round."""

    def __init__(self, rounds: Mapping[str, Sequence[Done]]) -> None:
        self._rounds = rounds

    def rates(self) -> dict[str, float]:
        """The median rate of every run, a second."""
        return {figure: median(done.rate for done in each) for figure, each in self._rounds.items()}

    def spread(self) -> dict[str, tuple[float, float]]:
        """The slowest and the fastest round of every run: how far to trust its median."""
        return {
            figure: (min(done.rate for done in each), max(done.rate for done in each))
            for figure, each in self._rounds.items()
        }

    def latency(self, figure: str) -> tuple[float, float]:
        """The 50th and the 99th percentile over all rounds, in milliseconds."""
        times = list[float]()
        for done in self._rounds[figure]:
            times.extend(done.seconds)
        return percentiles(times)


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th, in milliseconds."""
    if len(seconds) < 2:
        return seconds[0] * 1e3, seconds[0] * 1e3
    cuts = quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[98] * 1e3


def play(
    clients: Clients, runs: Sequence[Run], rounds: int, judge: Callable[[Run, Done], None] = lambda run, done: None
) -> Results:
    """All runs in order, again and again: what disturbs the machine for a while disturbs neighbours alike.

    `judge` looks at what came of each turn, and raises if that is not what it should be.
    """
    for run in runs:
        say(f"getting ready: {run.figure}")
        clients.prepare(run.turn, run.clients)
    results: dict[str, list[Done]] = {run.figure: [] for run in runs}
    for number in range(1, rounds + 1):
        for run in runs:
            done = clients.take(run.turn, run.clients)
            judge(run, done)
            results[run.figure].append(done)
            say(f"round {number} of {rounds}: {run.figure:<16} {done.rate:>10,.1f} /s")
    return Results(results)
