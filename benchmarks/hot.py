"""What a conference bears that everybody wants at once.

Clients order seats of one conference, whose stream all of them wait for: one client, eight, and thirty-two. Then one
client orders at a conference that has ten thousand orders, by turns with one that has none.
"""

import argparse

from rich.table import Table

from benchmarks import report
from benchmarks.clients import Clients, Turn, clients
from benchmarks.environment import servers
from benchmarks.report import Report, Target, say
from benchmarks.rounds import Results, Run, play

CLIENTS = (1, 8, 32)
PROGRAMS = ("worker", "clock")
FIRST_TIMES = 3
TOGETHER, EARLY, LATE = range(3)  # the conferences, by number
FILLERS = 8  # clients
FILL_FOR = 10.0  # seconds, until it is counted how many orders there are

TARGETS = {
    "clients_32_vs_8": Target(0.9, "reservations a second on one conference, 32 clients / 8 clients"),
    "late_vs_early": Target(0.9, "reservations a second at a conference with 10,000 orders / with none, 1 client"),
}
MEANING = {
    "reserve": "PlaceOrder dispatched by so many client processes, over when the order has its seats and awaits its"
    " payment, and that can be read; all order at one conference, and the worker and the clock of `make run` run beside"
    " them",
    "early, late": "the same by one client at a conference that had no orders before the first round, and at one that"
    " had `orders` of them, none of them paid",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each turn of a round lasts (4)")
    parser.add_argument("--orders", type=int, default=10_000, help="that are placed before the late ones (10,000)")


def run(options: argparse.Namespace) -> Report:
    """All turns, once a round: a round lasts 5 times `seconds`; and 10,000 orders before, which take a few minutes."""
    say("starting servers")
    with servers() as environment:
        log = environment.database("hot")
        measured = report.circumstances(
            log["DATABASE_URL"], rounds=options.rounds, seconds=options.seconds, orders=options.orders
        )
        environment.keep(PROGRAMS, log)
        with clients(max(CLIENTS), log) as ready:
            _fill(ready, options.orders)
            together = [Run(f"reserve_{count}", _turn(options.seconds, TOGETHER), count) for count in CLIENTS]
            alone = [Run("early", _turn(options.seconds, EARLY), 1), Run("late", _turn(options.seconds, LATE), 1)]
            results = play(ready, [*together, *alone], options.rounds)
    return _report(results, measured | {"meaning": MEANING})


def _turn(seconds: float, conference: int) -> Turn:
    return Turn("benchmarks.buyers:Reserve", seconds, (("conference", conference),), first_times=FIRST_TIMES)


def _fill(ready: Clients, orders: int) -> None:
    placed = 0
    while placed < orders:
        say(f"{placed:,} of {orders:,} orders are placed")
        placed += len(ready.take(_turn(min(FILL_FOR, orders / 100), LATE), FILLERS).seconds)


def _report(results: Results, measured: dict[str, object]) -> Report:
    figures = results.rates()
    for figure in results.rates():
        figures[f"{figure}_p50_ms"], figures[f"{figure}_p99_ms"] = results.latency(figure)
    return Report(
        title="What a conference bears that everybody wants at once",
        ratios={
            "clients_32_vs_8": figures["reserve_32"] / figures["reserve_8"],
            "late_vs_early": figures["late"] / figures["early"],
        },
        figures=figures,
        measured=measured | {"slowest and fastest round": results.spread()},
        targets=TARGETS,
        tables=[_table(figures)],
    )


def _table(figures: dict[str, float]) -> Table:
    made = report.table("Reservations on one conference", "", "a second", "p50 ms", "p99 ms")
    names = {f"reserve_{count}": f"{count} client{'s' * (count > 1)}" for count in CLIENTS}
    for figure, name in {**names, "early": "1 client, no orders", "late": "1 client, many orders"}.items():
        latencies = (f"{figures[f'{figure}_{percentile}_ms']:.1f}" for percentile in ("p50", "p99"))
        made.add_row(name, f"{figures[figure]:,.1f}", *latencies)
    return made
