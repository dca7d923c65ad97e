"""Lists the benchmarks, and runs one."""

import argparse
import signal
import sys
from importlib import import_module
from typing import NoReturn

from benchmarks.errors import BenchmarkFailed
from benchmarks.report import Report, say
from config.bundled import BundledError

BENCHMARKS = {
    "admin": "pages of the admin, on a site that has just begun and on one with 2,000,000 events",
    "append": "appends and commands a second, beside a bare INSERT and beside the library `eventsourcing`",
    "command": "what one simple command costs, beside the least that it can cost: the same written by hand",
    "crowd": "64 and 200 buyers want the last 50 seats at once, over HTTP: when each knows whether it has one",
    "drill": "950 of 2,000,000 events are missed by an outage, then by a bug: noticed, caught up, verified, rebuilt",
    "events_verify": "events a second of a whole log that are read with the code that runs",
    "feed": "when 500 who follow the feed have read an event, and what they cost, one who never reads among them",
    "hot": "reservations a second on one conference, with 1, 8 and 32 clients, and when it has 10,000 orders",
    "http": "GET and POST of orders and PATCH of customers, calls a second beside the same of plain view sets",
    "idle": "the CPU and the memory of all that `make run` starts, while nothing happens",
    "imports": "customers imported a second, beside the same registered by one command each and beside a bare COPY",
    "lag": "how long after its commit an event can be read, with the broker and without",
    "rebuild": "events folded a second into a read table, beside a hand-written loop and beside `eventsourcing`",
    "sale": "whole sales a second, beside the same steps as plain Django, and how soon an order awaits its payment",
    "timers": "how late 1,000 timers fire that are due at one moment, and when mails arrive that were held up",
}

ENVIRONMENT = """\
environment:
  DATABASE_URL   a PostgreSQL to use instead of a bundled one, DATABASE_OWNER_URL for the owner's role, which needs
                 CREATEDB: what is there is left alone, a benchmark makes databases of its own and drops them
  REDIS_URL      a Redis or Valkey to use instead of a bundled one
  TMPDIR         where the bundled servers keep their data: a real disk, or fsync means nothing
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Boxoffice; without a name, list what can be measured.",
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = parser.add_subparsers(dest="name", metavar="NAME", title="benchmarks")
    for name, summary in BENCHMARKS.items():
        one = names.add_parser(name, help=summary, description=summary, epilog=ENVIRONMENT)
        one.formatter_class = argparse.RawDescriptionHelpFormatter
        one.add_argument("--json", action="store_true", help="one JSON object instead of tables")
        import_module(f"benchmarks.{name}").add_arguments(one)
    options = parser.parse_args()
    if options.name is None:
        parser.print_help()
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        report: Report = import_module(f"benchmarks.{options.name}").run(options)
    except KeyboardInterrupt:
        return 130
    except (BenchmarkFailed, BundledError) as error:
        say(str(error))
        return 1
    report.show(json=options.json)
    return 0


def _end(number: int, _: object) -> NoReturn:
    """Leave by the way that stops servers and clients."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
