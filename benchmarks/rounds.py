"""Rounds in which the contenders take turns, and the medians over them."""

from collections.abc import Mapping, Sequence
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
        if len(times) < 2:
            return times[0] * 1e3, times[0] * 1e3
        cuts = quantiles(times, n=100, method="inclusive")
        return cuts[49] * 1e3, cuts[98] * 1e3


def play(clients: Clients, runs: Sequence[Run], rounds: int) -> Results:
    """All runs in order, again and again: what disturbs the machine for a while disturbs neighbours alike."""
    for run in runs:
        say(f"getting ready: {run.figure}")
        clients.prepare(run.turn, run.clients)
    results: dict[str, list[Done]] = {run.figure: [] for run in runs}
    for number in range(1, rounds + 1):
        for run in runs:
            done = clients.take(run.turn, run.clients)
            results[run.figure].append(done)
            say(f"round {number} of {rounds}: {run.figure:<16} {done.rate:>8,.0f} /s")
    return Results(results)
