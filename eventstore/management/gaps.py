"""List the events that a subscriber wants and has not applied, as ranges of positions."""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper

from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, console, table, write_json
from eventstore.subscriptions.gaps import MOST, Range, gaps

TITLES = ("from", "to", "events", "why")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("subscriber", help="its name")
    parser.add_argument("--most", default=MOST, help="count no further than this in a range (%(default)s)")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    name = arguments.named(options["subscriber"], options["rank"])
    found = gaps(name, most=arguments.at_least_one("--most", options["most"]))
    if options["json"]:
        write_json(stdout, {**msgspec.to_builtins(found), "count": found.count, "more": found.more})
        return
    out = console(stdout)
    if found.ranges:
        out.print(table(TITLES, [_row(each) for each in found.ranges], always=TITLES, numbers=TITLES[:3]))
    out.print(f"{found.subscriber}: {'over ' if found.more else ''}{found.count:,} events missing")


def _row(each: Range) -> Row:
    count = f"{'over ' if each.more else ''}{each.count:,}"
    return {"from": f"{each.first:,}", "to": f"{each.last:,}", "events": count, "why": each.why}
