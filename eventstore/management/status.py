"""Show where each stands, or everybody who follows the log."""

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper
from rich.live import Live
from rich.table import Table

from eventstore.management.terminal import Row, add_json, console, joined, state, table, write_json
from eventstore.monitoring.status import SubscriberStatus, subscriber_statuses

EVERY = 1.0
TITLES = ("name", "state", "fed by", "position", "behind", "processed", "parked", "warnings", "remark")
ALWAYS = {"name", "state", "fed by", "position"}
NUMBERS = {"position", "behind", "processed", "parked", "warnings"}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="everybody who follows the log")
    how = parser.add_mutually_exclusive_group()
    add_json(how)
    how.add_argument("--watch", action="store_true", help="refresh every second, until Ctrl-C")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    kind = options["rank"].name.lower()

    def found() -> list[SubscriberStatus]:
        return [status for status in subscriber_statuses() if options["all"] or status.kind == kind]

    if options["json"]:
        write_json(stdout, [_told(status) for status in found()])
    elif options["watch"]:
        _watch(lambda: _table(found()), stdout)
    else:
        console(stdout).print(_table(found()))


def _told(status: SubscriberStatus) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(status)
    return {**plain, "state": status.state, "lag": status.lag, "needs_attention": status.needs_attention}


def _watch(shown: Any, stdout: OutputWrapper) -> None:
    """Until Ctrl-C, which is how it ends well."""
    with suppress(KeyboardInterrupt), Live(shown(), console=console(stdout), auto_refresh=False) as live:
        while True:
            time.sleep(EVERY)
            live.update(shown(), refresh=True)


def _table(found: Sequence[SubscriberStatus]) -> Table:
    return table(TITLES, [_row(each) for each in found], always=ALWAYS, numbers=NUMBERS)


def _row(each: SubscriberStatus) -> Row:
    behind = f"{'over ' if each.uncounted else ''}{each.pending:,}, {each.lag_for}" if each.pending else ""
    if each.unknown:
        behind = "can't be told"
    return {
        "name": each.name,
        "state": state(each.state),
        "fed by": "requests" if each.mode == "sync" else "workers",
        "position": f"{each.checkpoint:,} of {each.head:,}",
        "behind": behind,
        "processed": f"{each.processed:,}",
        "parked": _parked(each),
        "warnings": f"{each.warnings:,}" if each.warnings else "",
        "remark": _remark(each),
    }


def _parked(status: SubscriberStatus) -> str:
    counts = (
        (status.needs_attention, "needs attention"),
        (status.retrying, "being retried"),
        (status.behind, "behind"),
    )
    return joined(f"{count:,} {what}" if count else "" for count, what in counts)


def _remark(status: SubscriberStatus) -> str:
    shards = (f"{shard.shard + 1}/{shard.shards} at {shard.checkpoint:,}" for shard in status.shards)
    split = ", ".join(shards) if len(status.shards) > 1 else ""
    error = status.last_error if status.state in {"halted", "failing"} else ""
    return joined((status.mismatch, status.stale, error, split), "; ")
