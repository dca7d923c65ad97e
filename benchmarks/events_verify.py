"""How fast a whole log is read with the code that runs, as `manage.py events verify` does."""

import argparse
from statistics import median

from benchmarks import history, rebuild, report
from benchmarks.environment import servers
from benchmarks.rebuild import Run
from benchmarks.report import Report, Target, say

EVENTS = 500_000
TARGETS = {"events_per_s": Target(50_000, "events read and decoded a second, by one process")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take the median of (3)")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"of the log ({EVENTS:,})")


def run(options: argparse.Namespace) -> Report:
    """Load a log, then read it, once a round."""
    say("starting servers")
    with servers() as environment:
        say(f"loading {options.events:,} events")
        log = environment.database("log")
        history.load(log["DATABASE_OWNER_URL"], options.events)
        measured = report.circumstances(log["DATABASE_URL"], rounds=options.rounds, events=options.events)
        came = rebuild.play([Run("verify", "verify", log)], options.rounds)["verify"]
    return Report(
        title="How fast a whole log is read",
        ratios={},
        figures={
            "events_per_s": median(each.rate for each in came),
            "peak_mib": median(each.peak_mib for each in came),
        },
        measured=measured,
        targets=TARGETS,
    )
