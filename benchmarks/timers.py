"""How late timers fire, and mails that were held up arrive.

1,000 orders run out of time at one moment, then some every second, and the programs of `make run` make them expire:
with the broker, and without. And a read model recovers for which welcome mails have waited.
"""

import argparse
import os
from collections.abc import Mapping
from statistics import median

import django
from rich.table import Table

from benchmarks import report
from benchmarks.environment import servers
from benchmarks.lateness import Lateness
from benchmarks.mailbox import mailbox
from benchmarks.report import Report, Target, say
from benchmarks.rounds import percentiles

RATE = 20  # timers a second, in steady state
PROGRAMS = ("worker", "effects", "clock")
PARTS = {"": "at once, with the broker", "steady_": f"{RATE} a second", "redis_down_": "at once, without the broker"}

TARGETS = {
    "fired_p99_ms": Target(at_most=1000, meaning="due to fired, 99 of 100 timers that are due at once"),
    "steady_fired_p99_ms": Target(at_most=1000, meaning=f"due to fired, {RATE} timers a second"),
    "redis_down_fired_p99_ms": Target(at_most=1000, meaning="due to fired, at once, without a broker"),
}
MEANING = {
    "fired": "from when a timer was due until it was moved into the outgoing commands, by the database's clock: the"
    " moment is noted in the transaction that moves up to 500 of them",
    "sent": "from when a timer was due until its order had been told to expire",
    "steady": f"{RATE} timers a second, with the broker",
    "redis_down": "as many as the first at once, with the broker stopped while everything else runs",
    "welcome_after_recovery": "from asking to resume the read model until the last of 20 welcome mails had arrived at a"
    " mail server, the median of the rounds; _max: of the worst round; _first: until the first one had",
    "orders": "placed through the command path; then the due_at of their timers was moved by an UPDATE",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each part (3)")
    parser.add_argument("--timers", type=int, default=1_000, help="how many are due at one moment (1,000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a round of steady state lasts (10)")


def run(options: argparse.Namespace) -> Report:
    """The broker goes last, for it is not started again."""
    say("starting servers")
    with servers() as environment, mailbox() as (mails, mail_url):
        variables = environment.database("timers") | {"EMAIL_URL": mail_url}
        measured = report.circumstances(
            variables["DATABASE_URL"], rounds=options.rounds, timers=options.timers, seconds=options.seconds
        )
        os.environ.update(variables)
        django.setup()
        from benchmarks import expiry, welcome  # these need the models
        from benchmarks.site import Site

        site, rounds, steady = Site(environment, variables), options.rounds, round(options.seconds * RATE)
        environment.keep(PROGRAMS, variables)
        orders = rounds * (2 * options.timers + steady)
        say(f"placing {orders:,} orders")
        expiry.place(site, orders)
        found = {
            "": expiry.play(site, rounds, PARTS[""], options.timers),
            "steady_": expiry.play(site, rounds, PARTS["steady_"], steady, 1 / RATE),
        }
        say("holding up welcome mails")
        recoveries = [welcome.recover(site, mails) for _ in range(rounds)]
        if environment.stop_redis():
            found["redis_down_"] = expiry.play(site, rounds, PARTS["redis_down_"], options.timers)
    figures = _lateness(found) | _recovery(recoveries)
    return Report(
        title="How late timers fire, and mails that were held up arrive",
        ratios={},
        figures=figures,
        measured=measured | {"meaning": MEANING},
        targets={name: target for name, target in TARGETS.items() if name in figures},
        tables=[_timers_table(figures), _mails_table(figures)],
    )


def _lateness(found: Mapping[str, Lateness]) -> dict[str, float]:
    figures = dict[str, float]()
    for prefix, each in found.items():
        figures[f"{prefix}fired_p50_ms"], figures[f"{prefix}fired_p99_ms"] = percentiles(each.fired)
        figures[f"{prefix}sent_p50_ms"], figures[f"{prefix}sent_p99_ms"] = percentiles(each.sent)
    return figures


def _recovery(rounds: list[tuple[float, float]]) -> dict[str, float]:
    """What the seconds until the first and the last mail of every round come to."""
    firsts, lasts = zip(*rounds, strict=True)
    return {
        "welcome_after_recovery_ms": median(lasts) * 1e3,
        "welcome_after_recovery_max_ms": max(lasts) * 1e3,
        "welcome_after_recovery_first_ms": median(firsts) * 1e3,
        "welcome_after_recovery_first_max_ms": max(firsts) * 1e3,
    }


def _timers_table(figures: Mapping[str, float]) -> Table:
    made = report.table("Timers: ms after they were due", "", "fired p50", "p99", "carried out p50", "p99")
    for prefix, name in PARTS.items():
        names = [f"{prefix}{figure}_ms" for figure in ("fired_p50", "fired_p99", "sent_p50", "sent_p99")]
        if names[0] in figures:
            made.add_row(name, *(f"{figures[each]:,.0f}" for each in names))
    return made


def _mails_table(figures: Mapping[str, float]) -> Table:
    made = report.table("Welcome mails: ms after the recovery", "", "p50", "max")
    for name, prefix in {"the first": "welcome_after_recovery_first", "all": "welcome_after_recovery"}.items():
        made.add_row(name, f"{figures[f'{prefix}_ms']:,.0f}", f"{figures[f'{prefix}_max_ms']:,.0f}")
    return made
