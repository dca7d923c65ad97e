"""How fast the log takes events and commands.

Three contenders record the same order, one or three events a transaction: this project's `store.append`; the limit, a
bare prepared INSERT into a table and indexes of the same shape; and the peer, the library `eventsourcing`. Then whole
commands, each answered when the read tables show it. The ratios are those of one event a transaction.
"""

import argparse

import psycopg
from rich.table import Table

from benchmarks import peer, report
from benchmarks.clients import Turn, clients
from benchmarks.environment import servers
from benchmarks.report import Report, Target, say
from benchmarks.rounds import Results, Run, play

CLIENTS = (1, 8)
EVENTS = {1: "", 3: "_three"}  # a transaction, and how the figure's name ends
CONTENDERS = {
    "append": "benchmarks.writers:Append",
    "insert": "benchmarks.writers:Insert",
    "peer": "benchmarks.peer:Save",
}
COMMANDS = {
    "command": "benchmarks.writers:Register",
    "rename": "benchmarks.writers:Rename",
}
TARGETS = {
    "vs_insert_8": Target(0.55, "append / bare INSERT, 8 clients"),
    "vs_insert_1": Target(0.75, "append / bare INSERT, 1 client"),
    "vs_peer_8": Target(5, "append / eventsourcing, 8 clients"),
}
MEANING = {
    "append, insert, peer": "transactions of one event a second, by 1 and 8 client processes; _three: of three events",
    "insert": "one statement a transaction, of one row or of three rows, in autocommit",
    "peer": "Application.save of a new aggregate, all settings as they are by default",
    "command": "RegisterCustomer dispatched, its email claimed, its read tables fed",
    "rename": "ChangeCustomer dispatched to one of 200 customers of each client, its read tables fed",
}

_TWIN = """CREATE TABLE benchmark_insert (LIKE eventstore_event INCLUDING ALL);
    GRANT SELECT, INSERT ON benchmark_insert TO PUBLIC"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each turn of a round lasts (2)")


def run(options: argparse.Namespace) -> Report:
    """All turns, once a round: a round lasts 16 times `seconds`."""
    say("starting servers")
    with servers() as environment:
        log = environment.database("append")
        measured = report.circumstances(log["DATABASE_URL"], rounds=options.rounds, seconds=options.seconds)
        with psycopg.connect(log["DATABASE_OWNER_URL"]) as connection:
            connection.execute(_TWIN)
        peer.make_table(log["DATABASE_OWNER_URL"])
        with clients(max(CLIENTS), log) as ready:
            appends = play(ready, _appends(options.seconds), options.rounds)
        # A log of their own: subscribers that are far behind so many appends would not be fed by a request.
        with clients(max(CLIENTS), environment.database("commands")) as ready:
            commands = play(ready, _commands(options.seconds), options.rounds)
    return _report(appends, commands, measured | {"meaning": MEANING})


def _appends(seconds: float) -> list[Run]:
    return [
        Run(f"{contender}_{count}{suffix}", Turn(job, seconds, (("events", events),)), count)
        for count in CLIENTS
        for events, suffix in EVENTS.items()
        for contender, job in CONTENDERS.items()
    ]


def _commands(seconds: float) -> list[Run]:
    return [Run(f"{name}_{count}", Turn(job, seconds), count) for count in CLIENTS for name, job in COMMANDS.items()]


def _report(appends: Results, commands: Results, measured: dict[str, object]) -> Report:
    figures = appends.rates() | commands.rates()
    for count in CLIENTS:
        for name, results in {"append": appends, **dict.fromkeys(COMMANDS, commands)}.items():
            figure = f"{name}_{count}"
            figures[f"{figure}_p50_ms"], figures[f"{figure}_p99_ms"] = results.latency(figure)
    ratios = {
        "vs_insert_8": figures["append_8"] / figures["insert_8"],
        "vs_insert_1": figures["append_1"] / figures["insert_1"],
        "vs_peer_8": figures["append_8"] / figures["peer_8"],
    }
    return Report(
        title="How fast the log takes events and commands",
        ratios=ratios,
        figures=figures,
        measured=measured | {"slowest and fastest round": appends.spread() | commands.spread()},
        targets=TARGETS,
        tables=[_appends_table(figures), _commands_table(figures)],
    )


def _appends_table(figures: dict[str, float]) -> Table:
    made = report.table(
        "Transactions a second", "clients × events", "append", "bare INSERT", "eventsourcing", "/ INSERT", "/ peer"
    )
    for count in CLIENTS:
        for events, suffix in EVENTS.items():
            ours, limit, other = (figures[f"{contender}_{count}{suffix}"] for contender in CONTENDERS)
            made.add_row(
                f"{count} × {events}",
                *(f"{rate:,.0f}" for rate in (ours, limit, other)),
                *(f"{ours / rate:.2f}" for rate in (limit, other)),
            )
    return made


def _commands_table(figures: dict[str, float]) -> Table:
    made = report.table("Commands a second, read tables fed", "", "rate", "p50 ms", "p99 ms")
    for name in COMMANDS:
        for count in CLIENTS:
            figure = f"{name}_{count}"
            latencies = (f"{figures[f'{figure}_{percentile}_ms']:.1f}" for percentile in ("p50", "p99"))
            made.add_row(f"{name}, {count} client{'s' * (count > 1)}", f"{figures[figure]:,.0f}", *latencies)
    return made
