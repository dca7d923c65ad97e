"""The drill for missed events: of 2,000,000 events 950 are missed, once by an outage and once by a bug.

Three acts on one log, with the workers of `make run`: a killed worker comes back and catches up; a bug that skips
events in silence is found by a verification; a rebuild mends its rows under load. It is no benchmark of speed alone:
where a promise is broken it fails and says which.
"""

import argparse
import os

import django
from rich.table import Table

from benchmarks import report
from benchmarks.environment import servers
from benchmarks.errors import promise
from benchmarks.history import EVENTS_AN_ORDER
from benchmarks.report import Report, Target, say

EVENTS = 2_000_000
FEWEST = 5_000
THROTTLE = 20_000  # events a second: half of what two cores can do, so that writes keep their pace
ASYNC = {"SUBSCRIBER_MODES": "order-summaries=async"}

TARGETS = {
    "catch_up_950_s": Target(at_most=1, meaning="from spawning the worker"),
    "write_p99_vs_before": Target(at_most=2.5, meaning="writes during the rebuild / before it, 99 of 100"),
}
MEANING = {
    "catch_up_950_s": "from spawning the worker until its transaction with the last of the 950 events was seen by"
    " another connection; observed by triggers that note every write, which cost it some time",
    "catch_up_950_from_ready_s": "the same from its first heartbeat: its pool is forked, its loop begins",
    "gaps_ms": "how long it took to say exactly which events are missing",
    "verify": "from asking until the differences are stored; a worker folds every row anew and compares it",
    "rebuild": "from asking until the new table is live, while commands are sent to its orders and it is read;"
    " throttled as an operator would, for else it takes whatever the machine has left",
    "writes": "RequestStatusMail dispatched at a steady pace until answered; latencies count from when each was due;"
    " where fewer than 100 a second were reached, the machine was too busy for them to mean anything",
    "reads": "20 orders by key, every tenth time the count of all; none missing, none going back; timed as writes are",
    "turns": "reads and writes go in turns of 2 s; what passes between two of them is done, but not timed",
    "sagas and effects": "paused, so that every event is the drill's own",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=EVENTS, help=f"in the log, 950 of them missed ({EVENTS:,})")
    parser.add_argument("--seconds", type=float, default=10.0, help="of writes and reads before the rebuild (10)")
    parser.add_argument(
        "--throttle", type=int, default=THROTTLE, help=f"of the rebuild, events a second; 0 for none ({THROTTLE:,})"
    )


def run(options: argparse.Namespace) -> Report:
    """The three acts, one after the other."""
    few = options.events < FEWEST or options.events % EVENTS_AN_ORDER
    promise(not few, f"At least {FEWEST:,} events, and a multiple of {EVENTS_AN_ORDER}.")
    say("starting servers")
    with servers() as environment:
        variables = environment.database("drill") | ASYNC
        measured = report.circumstances(variables["DATABASE_URL"], events=options.events)
        os.environ.update(variables)
        django.setup()
        from benchmarks import damage, mending, outage  # these need the models
        from benchmarks.site import Site

        site = Site(environment, variables)
        outage.prepare(site, options.events)
        figures = outage.suffer(site, options.events) | damage.suffer(site)
        figures |= mending.mend(site, options.seconds, options.throttle or None)
    return Report(
        title=f"The drill: 950 of {options.events:,} events are missed",
        ratios={"write_p99_vs_before": figures["write_p99_ms"] / figures["write_p99_before_ms"]},
        figures=figures,
        measured=measured | {"meaning": MEANING},
        targets=TARGETS,
        tables=[_table(figures)],
    )


def _table(figures: dict[str, float]) -> Table:
    made = report.table("What it came to", "", "")
    for name, figure in figures.items():
        made.add_row(name, f"{figure:,.2f}" if figure < 1_000 else f"{figure:,.0f}")
    return made
