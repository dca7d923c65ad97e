"""What one simple command costs, beside the least that it can cost.

`ChangeCustomer` is dispatched to one customer after the other and is over when it can be read, by one client and by
eight. Beside it, in the same rounds, a program written by hand keeps the same promises for this one command, on the
same tables: the floor. Before that one client of each does the same undisturbed, to see what a command takes.
"""

import argparse
import os

import django
from rich.table import Table

from benchmarks import report
from benchmarks.alone import Passed, repeat, trace
from benchmarks.clients import FIRST_TIMES, Turn, clients
from benchmarks.environment import servers
from benchmarks.report import Report, Target, say
from benchmarks.rounds import Results, Run, play

CLIENTS = (1, 8)
CONTENDERS = {"command": "benchmarks.writers:Rename", "floor": "benchmarks.floor:Rename"}
NAMES = {"command": "ours", "floor": "floor"}
PREFIXES = {"command": "", "floor": "floor_"}  # how the figures begin of what one command takes
COUNTED = 50  # commands, for what one says to the database
ALONE = 300  # commands, for what one takes

TARGETS = {
    "vs_floor_1": Target(0.55, "commands / floor, 1 client"),
    "vs_floor_8": Target(0.55, "commands / floor, 8 clients"),
    "statements_per_command": Target(at_most=12, meaning="statements of a command, BEGIN and COMMIT among them"),
}
MEANING = {
    "command, floor": "commands a second, by 1 and 8 client processes, each answered when it can be read; after each"
    " turn it is compared in the database that all are recorded, that the read table says what the events say, and that"
    " every sync subscriber has seen them",
    "command": "ChangeCustomer dispatched to one of 200 customers of each client, its read tables fed",
    "floor": "the same written by hand for this command, with psycopg alone: in the same two transactions it takes the"
    " same locks, writes the same rows and reads what it must; it waits for others as a command does, but knows no"
    " other event, no failures, and rings no bell for async subscribers",
    "statements, round_trips, transactions _per_command": "of one client, counted in the trace of its connection, BEGIN"
    " and COMMIT among the statements; a statement that is in no block is a transaction",
    "ms, cpu_ms, server_cpu_ms _per_command": "of one client, undisturbed: by the wall clock, and the work of its"
    " process and of the one of PostgreSQL that serves it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each turn of a round lasts (2)")


def run(options: argparse.Namespace) -> Report:
    """All turns, once a round: a round lasts 4 times `seconds`."""
    say("starting servers")
    with servers() as environment:
        variables = environment.database("command")
        os.environ.update(variables)
        django.setup()
        from benchmarks.renamed import Judge

        measured = report.circumstances(variables["DATABASE_URL"], rounds=options.rounds, seconds=options.seconds)
        figures = _alone()
        runs = [
            Run(f"{contender}_{count}", Turn(job, options.seconds), count)
            for count in CLIENTS
            for contender, job in CONTENDERS.items()
        ]
        with clients(max(CLIENTS), variables) as ready:
            results = play(ready, runs, options.rounds, Judge(variables["DATABASE_URL"]))
    return _report(results, figures, measured | {"meaning": MEANING})


def _alone() -> dict[str, float]:
    """What a command takes, by one client of each in this process; makes the customers of all clients of the floor."""
    from benchmarks import floor, writers  # these need the models
    from eventstore import database

    me = max(CLIENTS)
    ours = writers.Rename(me)
    for client in range(me + 1):
        writers.register(floor.customers_of(client))
    by_hand = floor.Rename(me)
    figures = dict[str, float]()
    for name, job, connection in (
        ("command", ours, database.session()),
        ("floor", by_hand, by_hand.connection),
    ):
        say(f"{ALONE} times undisturbed, then {COUNTED} times traced: {name}")
        repeat(job, FIRST_TIMES, connection)
        figures |= _each(PREFIXES[name], repeat(job, ALONE, connection), trace(job, COUNTED, connection))
    return figures


def _each(prefix: str, undisturbed: Passed, followed: Passed) -> dict[str, float]:
    said = {
        "statements": followed.statements,
        "round_trips": followed.round_trips,
        "transactions": followed.transactions,
    }
    return {f"{prefix}{name}_per_command": value for name, value in (said | undisturbed.each()).items()}


def _report(results: Results, each: dict[str, float], measured: dict[str, object]) -> Report:
    figures = results.rates()
    for figure in results.rates():
        figures[f"{figure}_p50_ms"], figures[f"{figure}_p99_ms"] = results.latency(figure)
    return Report(
        title="What one simple command costs",
        ratios={f"vs_floor_{count}": figures[f"command_{count}"] / figures[f"floor_{count}"] for count in CLIENTS},
        figures=figures | each,
        measured=measured | {"slowest and fastest round": results.spread()},
        targets=TARGETS,
        tables=[_rates_table(figures), _each_table(each)],
    )


def _rates_table(figures: dict[str, float]) -> Table:
    made = report.table("Commands a second", "", "rate", "p50 ms", "p99 ms")
    for count in CLIENTS:
        for contender, name in NAMES.items():
            figure = f"{contender}_{count}"
            latencies = (f"{figures[f'{figure}_{percentile}_ms']:.1f}" for percentile in ("p50", "p99"))
            made.add_row(f"{name}, {count} client{'s' * (count > 1)}", f"{figures[figure]:,.0f}", *latencies)
    return made


def _each_table(each: dict[str, float]) -> Table:
    made = report.table("A command by one client", "", *NAMES.values())
    for name in (name for name in each if not name.startswith(PREFIXES["floor"])):
        made.add_row(
            name.removesuffix("_per_command"), *(f"{each[f'{prefix}{name}']:.2f}" for prefix in PREFIXES.values())
        )
    return made
