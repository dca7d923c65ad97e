"""List instances of sagas, the last that began first: where each stands, and what it waits for."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper
from rich.text import Text

from eventstore.management import arguments
from eventstore.management.terminal import BAD, WAITING, Row, add_json, joined, moment, show, write_json
from eventstore.subscriptions.registry import registry
from sagas.history import brief, held_up, instances, ordered, unfinished

TITLES = ("saga", "key", "position", "its state", "waits for", "moved")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--saga", help="only of this saga")
    parser.add_argument("--key", help="only of this key")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--unfinished", action="store_true", help="only with a command to send or a timer that waits")
    either.add_argument("--parked", action="store_true", help="only those that a parked command holds up")
    arguments.add_limit(parser)
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    found = arguments.of_subscriber(options["saga"], options["rank"], instances(), "saga")
    if (key := arguments.key(options)) is not None:
        found = found.filter(saga__in=registry.names(options["rank"]), key=key)
    if options["unfinished"]:
        found = unfinished(found)
    if options["parked"]:
        found = held_up(found)
    rows = list(found.order_by("-id")[: arguments.limit(options)])
    if options["json"]:
        write_json(stdout, [_told(row) for row in rows])
        return
    show(stdout, TITLES, map(_row, rows), numbers={"position"}, empty="No instance of a saga is like this.")


def _told(row: Any) -> dict[str, Any]:
    names = ("saga", "key", "version", "ended", "position", "started_at", "moved_at", "state")
    return {**{name: getattr(row, name) for name in names}, "commands": _commands(row), "timers": row.timers}


def _commands(row: Any) -> dict[str, int]:
    return {"parked": row.parked, "pending": row.pending}


def _row(row: Any) -> Row:
    waits = joined(
        (
            f"{row.parked:,} parked" if row.parked else "",
            f"{row.pending:,} to send" if row.pending else "",
            f"{row.timers:,} timer{'s' * (row.timers != 1)}" if row.timers else "",
        )
    )
    return {
        "saga": row.saga,
        "key": row.key,
        "position": f"{row.position:,}",
        "its state": joined(("ended" if row.ended else "", brief(ordered(row.saga, row.state))), ": "),
        "waits for": Text(waits, BAD if row.parked else WAITING),
        "moved": moment(row.moved_at),
    }
