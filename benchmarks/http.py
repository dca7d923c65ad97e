"""What a call of the API costs, beside the same call of plain view sets.

Two sites run as `make run` starts them, on one database: this one, and one that is nothing but the plain tables behind
view sets. Both have the same server with as many threads, the same tokens, shapes of bodies and problems, and commit as
durably. Eight clients, each a process of its own, ask one of them at a time, by turns.
"""

import argparse
import os

import django

from benchmarks import report
from benchmarks.clients import Clients, Done, Turn, clients
from benchmarks.environment import servers
from benchmarks.report import Report, Target, say
from benchmarks.rounds import Results, Run, play
from benchmarks.sale import PLAIN, PROGRAMS
from config.bundled.valkey import free_port
from config.run import wait_until_answered

CLIENTS = 8
CALLS = {"get_order": "GetOrder", "patch_customer": "PatchCustomer", "post_order": "Order"}
CONTENDERS = {"": "benchmarks.shoppers", "plain_": "benchmarks.plain.shoppers"}
FIRST_TIMES = 20  # each thread of a site has a connection after that, and has found out what it remembers
CAUGHT_UP_WITHIN = 60.0  # seconds

TARGETS = {
    "get_order": Target(at_least=0.9, meaning="GET /orders/{id}, ours a second / plain view sets"),
    "patch_customer": Target(at_least=0.6, meaning="PATCH /customers/{id}, ours a second / plain view sets"),
    "post_order": Target(at_least=0.4, meaning="POST /orders, ours a second / plain view sets"),
}
MEANING = {
    "get_order, patch_customer, post_order": f"calls a second of {CLIENTS} clients, each over one kept connection;"
    " the ratios are ours / plain, the same turn by turn",
    "p50, p99": "from when a call is sent until its answer has been read and parsed",
    "get_order": "one that awaits its payment",
    "patch_customer": "another name, of one of a client's 20 customers after the other; ours is recorded, and can be"
    " read once it is answered",
    "post_order": "two seats of a conference that all order from, until it is answered that the payment is awaited",
    "plain": "rows that are changed in place, the counters of seats locked by SELECT FOR UPDATE, an order in one"
    " transaction with its lines, its payment and its history; Django's own middleware, no tags, no positions, and"
    " nothing that is carried out once when it is sent twice",
    "beside": "the worker and the clock of `make run`; a turn begins when all read models have caught up",
    "absolute figures": "the clients share the cores with what they measure: compare ratios",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each turn of a round lasts (3)")


def run(options: argparse.Namespace) -> Report:
    """All turns, once a round: a round lasts 6 times `seconds`."""
    say("starting servers")
    with servers() as environment:
        variables = environment.database("http")
        os.environ.update(variables | PLAIN)
        django.setup()
        from benchmarks.plain import tables  # needs the models

        tables.make()
        measured = report.circumstances(
            variables["DATABASE_URL"], rounds=options.rounds, seconds=options.seconds, clients=CLIENTS, meaning=MEANING
        )
        ports = {contender: free_port() for contender in CONTENDERS}
        environment.keep(("site", *PROGRAMS), variables, ports[""])
        environment.keep(("site",), variables | PLAIN, ports["plain_"])
        for port in ports.values():
            wait_until_answered("127.0.0.1", port)
        with clients(CLIENTS, variables | PLAIN) as ready:
            return _report(_play(ready, ports, options), measured)


def _play(ready: Clients, ports: dict[str, int], options: argparse.Namespace) -> Results:
    runs = [
        Run(f"{contender}{call}", _turn(f"{module}:{job}", ports[contender], options.seconds), CLIENTS)
        for call, job in CALLS.items()
        for contender, module in CONTENDERS.items()
    ]
    return play(ready, runs, options.rounds, _catch_up)


def _turn(job: str, port: int, seconds: float) -> Turn:
    return Turn(job, seconds, (("port", port),), first_times=FIRST_TIMES)


def _catch_up(run: Run, done: Done) -> None:
    """What workers have yet to make of a turn is no load of the next."""
    from benchmarks.site import until
    from eventstore import store
    from eventstore.models import SubscriberRow

    behind = SubscriberRow.objects.filter(checkpoint__lt=store.head())
    until(lambda: not behind.exists(), CAUGHT_UP_WITHIN, f"all that followed from {run.figure} is done")


def _report(results: Results, measured: dict[str, object]) -> Report:
    figures = results.rates()
    made = report.table(f"Calls a second, {CLIENTS} clients", "", "ours", "plain", "ours / plain", "p50 ms", "p99 ms")
    for figure in results.rates():
        figures[f"{figure}_p50_ms"], figures[f"{figure}_p99_ms"] = results.latency(figure)
    ratios = {call: figures[call] / figures[f"plain_{call}"] for call in CALLS}
    for call, ratio in ratios.items():
        rates = (f"{figures[f'{contender}{call}']:,.1f}" for contender in CONTENDERS)
        latencies = (f"{figures[f'{call}_{percentile}_ms']:.1f}" for percentile in ("p50", "p99"))
        made.add_row(call, *rates, f"{ratio:.2f}", *latencies)
    return Report(
        title="What a call of the API costs",
        ratios=ratios,
        figures=figures,
        measured=measured | {"slowest and fastest round": results.spread()},
        targets=TARGETS,
        tables=[made],
    )
