"""How long after its commit an event can be read.

An async read model is fed by the worker of `make run`, beside its clock, while clients rename customers at a steady
pace: with the broker, and without. Then sync read models, which a request feeds itself, so that what counts is how long
its answer takes.
"""

import argparse
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from rich.table import Table

from benchmarks import report
from benchmarks.clients import Clients, Done, Turn, clients
from benchmarks.environment import Environment, servers
from benchmarks.report import Report, Target, say
from benchmarks.rounds import Results, Run, percentiles, play
from benchmarks.watcher import Watcher

CLIENTS = 8
RATE = 200  # events a second, of all clients together
PROGRAMS = ("worker", "clock")
ASYNC = {"SUBSCRIBER_MODES": "customer-profiles=async"}
SYNC = {1: "sync_1", 8: "sync_8"}

TARGETS = {
    "p50_ms": Target(at_most=25, meaning="commit to readable, half of the events"),
    "p99_ms": Target(at_most=150, meaning="commit to readable, 99 of 100 events"),
    "redis_down_max_ms": Target(at_most=1500, meaning="the same without a broker: workers look once a second"),
}
MEANING = {
    "p50, p99, max": "from when COMMIT was answered until the changed row was read by another connection",
    "redis_down": "the same with the broker stopped while everything else runs",
    "rate": f"events a second; well below {RATE}, the machine was too busy for the other figures to mean anything",
    "from_due_p99": "from when the event was due to be sent until it was committed: how steady the pace was",
    "sync": "ChangeCustomer dispatched until it is answered, its read tables fed, by 1 and 8 clients without a pace",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each part (3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each round lasts (20)")


def run(options: argparse.Namespace) -> Report:
    """A round with the broker and one without last `seconds` each, of the sync ones two tenths of it."""
    say("starting servers")
    with servers() as environment:
        sync = environment.database("sync")
        measured = report.circumstances(sync["DATABASE_URL"], rounds=options.rounds, seconds=options.seconds)
        with clients(CLIENTS, sync) as ready:
            answered = play(ready, _sync(options.seconds / 10), options.rounds)
        lags, looked = _async(environment, options)
    return _report(answered, lags, measured | {"looked every": looked, "meaning": MEANING})


def _sync(seconds: float) -> list[Run]:
    return [Run(figure, Turn("benchmarks.writers:Rename", seconds), count) for count, figure in SYNC.items()]


class _Lags:
    """What became of all events sent with the broker, or without."""

    def __init__(self) -> None:
        self.readable = list[float]()  # seconds from commit
        self.committed = list[float]()  # seconds from when it was due
        self.rates = list[float]()  # events a second, of each round


def _async(environment: Environment, options: argparse.Namespace) -> tuple[dict[str, _Lags], str]:
    """The lags with the broker, and without if it is ours to stop; and how finely they were measured."""
    variables = environment.database("lag") | ASYNC
    with clients(CLIENTS, variables) as ready:
        environment.keep(PROGRAMS, variables)
        watcher, turns = Watcher(variables["DATABASE_URL"], CLIENTS), itertools.count()
        lags = {"": _play(ready, watcher, options, "with the broker", turns)}
        if environment.stop_redis():
            lags["redis_down_"] = _play(ready, watcher, options, "without the broker", turns)
    return lags, watcher.resolution()


def _play(ready: Clients, watcher: Watcher, options: argparse.Namespace, name: str, turns: Iterator[int]) -> _Lags:
    """The first round does not count: then workers start, or end what was begun before the broker went."""
    say(f"getting ready: {name}")
    found = _Lags()
    _take(ready, watcher, next(turns), options.seconds)
    for number in range(1, options.rounds + 1):
        done, lags = _take(ready, watcher, next(turns), options.seconds)
        found.committed += done.seconds
        found.rates.append(done.rate)
        found.readable += lags
        p50, p99 = percentiles(lags)
        say(f"round {number} of {options.rounds}: {name}, {done.rate:.0f} /s, p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return found


def _take(ready: Clients, watcher: Watcher, number: int, seconds: float) -> tuple[Done, list[float]]:
    turn = Turn("benchmarks.writers:RenameInTurn", seconds, (("turn", number),), every=CLIENTS / RATE)
    with ThreadPoolExecutor(1) as beside:
        taken = beside.submit(ready.take, turn, CLIENTS)
        lags = watcher.watch(number, taken)
        return taken.result(), lags


def _report(answered: Results, lags: dict[str, _Lags], measured: dict[str, object]) -> Report:
    figures = dict[str, float]()
    for prefix, found in lags.items():
        figures[f"{prefix}p50_ms"], figures[f"{prefix}p99_ms"] = percentiles(found.readable)
        figures[f"{prefix}max_ms"] = max(found.readable) * 1e3
        figures[f"{prefix}rate"] = median(found.rates)
        figures[f"{prefix}from_due_p99_ms"] = percentiles(found.committed)[1]
    for figure in SYNC.values():
        figures[f"{figure}_p50_ms"], figures[f"{figure}_p99_ms"] = answered.latency(figure)
    return Report(
        title="How long after its commit an event can be read",
        ratios={},
        figures=figures,
        measured=measured,
        targets={name: target for name, target in TARGETS.items() if name in figures},
        tables=[_async_table(figures), _sync_table(figures)],
    )


def _async_table(figures: dict[str, float]) -> Table:
    made = report.table(f"Async, {RATE} events a second: ms from commit", "", "p50", "p99", "max")
    for prefix, name in {"": "with the broker", "redis_down_": "without the broker"}.items():
        if f"{prefix}p50_ms" in figures:
            made.add_row(name, *(f"{figures[f'{prefix}{figure}_ms']:.1f}" for figure in ("p50", "p99", "max")))
    return made


def _sync_table(figures: dict[str, float]) -> Table:
    made = report.table("Sync: ms until the answer", "", "p50", "p99")
    for count, figure in SYNC.items():
        latencies = (f"{figures[f'{figure}_{percentile}_ms']:.1f}" for percentile in ("p50", "p99"))
        made.add_row(f"{count} client{'s' * (count > 1)}", *latencies)
    return made
