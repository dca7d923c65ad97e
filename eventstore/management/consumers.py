"""Show where each consumer of the feed is, as it said last, and what is wrong there."""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper

from eventstore.management.terminal import Row, add_json, console, state, table, write_json
from eventstore.monitoring.consumers import ConsumerStatus, consumer_statuses

TITLES = ("name", "state", "reported by", "position", "behind", "reported", "errors")
ALWAYS = {"name", "state", "reported by", "position", "reported"}
NUMBERS = {"position", "behind"}


def add_arguments(parser: ArgumentParser) -> None:
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    found = consumer_statuses()
    if options["json"]:
        write_json(stdout, [_told(each) for each in found])
    elif found:
        console(stdout).print(table(TITLES, [_row(each) for each in found], always=ALWAYS, numbers=NUMBERS))
    else:
        stdout.write("Nobody has reported that they follow the log.")


def _told(each: ConsumerStatus) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(each)
    return {**plain, "state": each.state, "lag": each.lag}


def _row(each: ConsumerStatus) -> Row:
    return {
        "name": each.name,
        "state": state(each.state),
        "reported by": each.by,
        "position": f"{each.position:,} of {each.horizon:,}"
        if each.of_this_log
        else f"{each.position:,} of another log",
        "behind": f"{each.lag:,}, {each.lag_for}" if each.lag and each.of_this_log else "",
        "reported": f"{each.silent_for} ago",
        "errors": "; ".join(each.errors),
    }
