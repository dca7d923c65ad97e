"""What it costs that a sale is remembered.

Eight clients sell, each sale from the order to seats that are sold: through the command bus, where a saga leads from
one step to the next and read models follow, and beside it as plain Django, where the same steps change ordinary tables.
All share one conference, whose seats everybody waits for; then each has one of its own. Then orders over HTTP, up to
the answer that they await their payment.
"""

import argparse
import os

import django
from rich.table import Table

from benchmarks import report
from benchmarks.clients import Turn, clients
from benchmarks.environment import Environment, Variables, servers
from benchmarks.report import Report, Target, say
from benchmarks.rounds import Results, Run, play
from config.bundled.valkey import free_port
from config.run import wait_until_answered

CLIENTS = 8
CONFERENCES = {1: "", CLIENTS: "_apart"}  # how many, and how the figure's name ends
CONTENDERS = {"sale": "benchmarks.buyers:Buy", "plain": "benchmarks.plain.buyers:Buy"}
ORDERS = {1: "", CLIENTS: "_8"}
PROGRAMS = ("worker", "clock")
PLAIN = {"DJANGO_SETTINGS_MODULE": "benchmarks.plain.settings"}
FIRST_TIMES = 3  # a sale is many statements, most of them again and again
COUNTED = 20  # sales, for what a sale needs of the database

TARGETS = {
    "cost_vs_plain": Target(at_most=1.6, meaning="plain Django's sales a second / ours, one conference"),
    "round_trips": Target(at_most=45, meaning="round trips of a sale"),
    "transactions": Target(at_most=14, meaning="transactions of a sale"),
}
MEANING = {
    "sale, plain": "whole sales a second by 8 client processes: placed, seats reserved, payment requested and accepted,"
    " order confirmed and seats sold; after each turn it is counted in the database that every sale has ended",
    "sale": "PlaceOrder and AcceptPayment dispatched, each until all that follows is at rest and can be read; the"
    " worker and the clock of `make run` feed the async read models meanwhile and finish what a request left behind",
    "plain": "five transactions with the ORM that lock what they change, note it in a history, count it by day and ask"
    " for the mail; tables that are read directly, with the indexes of the order summaries",
    "_apart": "each client sells seats of a conference of its own, not all of the same",
    "round_trips, transactions": "of one sale by one client, counted in the trace of its connection; a statement that"
    " is in no block is a transaction",
    "to_awaiting_payment": "from POST /orders until it is answered that the order awaits its payment, by one client, or"
    " by eight (_8), over kept connections to the site of `make run`, with worker and clock beside it",
    "orders": "the same as orders a second",
    "failures": "where the database can't do something now, ours asks again under the same id; the time counts, and"
    " it is said while measuring",
}
PROFILED = {
    "ms, cpu_ms, server_cpu_ms": "of one sale by one client, undisturbed: by the wall clock, and the work of this"
    " process and of the one of PostgreSQL that serves it",
    "round_trips, transactions": MEANING["round_trips, transactions"],
    "waited_ms": "from when the last of a round trip was sent until the server was ready again, of the traced_ms that a"
    " sale took while its connection was traced",
    "commits, commits_ms": "COMMITs, and what the round trips with one waited, most of them for the disk",
    "encode_ms, decode_ms, fold_ms": "of events, of aggregates and of rows, under cProfile, which makes Python slower",
    "not measured": "what a worker makes of a sale later: the async read models and the mail, on either side",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each turn of a round lasts (3)")
    parser.add_argument("--profile", action="store_true", help="instead say where the time of one client's sales goes")
    parser.add_argument("--sales", type=int, default=100, help="of each kind for --profile (100)")


def run(options: argparse.Namespace) -> Report:
    """All turns, once a round: a round lasts 6 times `seconds`."""
    say("starting servers")
    with servers() as environment:
        variables = environment.database("sale")
        os.environ.update(variables | PLAIN)
        django.setup()
        from benchmarks import breakdown  # these need the models
        from benchmarks.plain import tables

        tables.make()
        if options.profile:
            measured = report.circumstances(variables["DATABASE_URL"], sales=options.sales, meaning=PROFILED)
            figures, made = breakdown.break_down(options.sales)
            return Report("Where the time of a sale goes", {}, figures, measured, tables=made)
        measured = report.circumstances(variables["DATABASE_URL"], rounds=options.rounds, seconds=options.seconds)
        counted = breakdown.count(COUNTED)  # before anybody else is at work there
        sales = _sell(environment, variables, options)
        orders = _order(environment, options)
    return _report(sales, orders, counted, measured | {"meaning": MEANING})


def _sell(environment: Environment, variables: Variables, options: argparse.Namespace) -> Results:
    from benchmarks.ended import Judge

    environment.keep(PROGRAMS, variables)
    with clients(CLIENTS, variables | PLAIN) as ready:
        runs = [
            Run(f"{contender}{suffix}", _turn(job, options, conferences=count), CLIENTS)
            for count, suffix in CONFERENCES.items()
            for contender, job in CONTENDERS.items()
        ]
        return play(ready, runs, options.rounds, Judge())


def _order(environment: Environment, options: argparse.Namespace) -> Results:
    """On a database of their own, so that the programs have this log to follow and no other."""
    variables, port = environment.database("orders"), free_port()
    environment.keep(("site", *PROGRAMS), variables, port)
    wait_until_answered("127.0.0.1", port)
    turn = _turn("benchmarks.shoppers:Order", options, port=port)
    with clients(CLIENTS, variables) as ready:
        runs = [Run(f"orders{suffix}", turn, count) for count, suffix in ORDERS.items()]
        return play(ready, runs, options.rounds)


def _turn(job: str, options: argparse.Namespace, **more: int) -> Turn:
    return Turn(job, options.seconds, tuple(more.items()), first_times=FIRST_TIMES)


def _report(sales: Results, orders: Results, counted: dict[str, float], measured: dict[str, object]) -> Report:
    figures = sales.rates() | orders.rates() | counted
    for figure in sales.rates():
        figures[f"{figure}_p50_ms"], figures[f"{figure}_p99_ms"] = sales.latency(figure)
    for suffix in ORDERS.values():
        name = f"to_awaiting_payment{suffix}"
        figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = orders.latency(f"orders{suffix}")
    return Report(
        title="What it costs that a sale is remembered",
        ratios={
            f"cost_vs_plain{suffix}": figures[f"plain{suffix}"] / figures[f"sale{suffix}"]
            for suffix in CONFERENCES.values()
        },
        figures=figures,
        measured=measured | {"slowest and fastest round": sales.spread() | orders.spread()},
        targets=TARGETS,
        tables=[_sales_table(figures), _needs_table(figures), _orders_table(figures)],
    )


def _sales_table(figures: dict[str, float]) -> Table:
    made = report.table("Sales a second, 8 clients", "", "ours", "plain", "plain / ours", "ours p50 ms", "plain p50 ms")
    for name, suffix in {"one conference": "", "one conference a client": "_apart"}.items():
        rates = [figures[f"{contender}{suffix}"] for contender in CONTENDERS]
        latencies = (f"{figures[f'{contender}{suffix}_p50_ms']:.1f}" for contender in CONTENDERS)
        made.add_row(name, *(f"{rate:,.1f}" for rate in rates), f"{rates[1] / rates[0]:.2f}", *latencies)
    return made


def _needs_table(figures: dict[str, float]) -> Table:
    made = report.table("What a sale needs of the database", "", "ours", "plain")
    for name in ("round_trips", "transactions"):
        made.add_row(name.replace("_", " "), *(f"{figures[f'{prefix}{name}']:.1f}" for prefix in ("", "plain_")))
    return made


def _orders_table(figures: dict[str, float]) -> Table:
    made = report.table("POST /orders until awaiting_payment", "", "p50 ms", "p99 ms", "orders a second")
    for count, suffix in ORDERS.items():
        latencies = (f"{figures[f'to_awaiting_payment{suffix}_{percentile}_ms']:.1f}" for percentile in ("p50", "p99"))
        made.add_row(f"{count} client{'s' * (count > 1)}", *latencies, f"{figures[f'orders{suffix}']:,.1f}")
    return made
