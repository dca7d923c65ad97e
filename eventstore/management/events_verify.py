"""Read the log with the code that runs, and list the events that it can't read."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import msgspec
from django.core.management.base import CommandError, OutputWrapper

from eventstore import store
from eventstore.event_types.verification import Unreadable, verify
from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, reading_bar, show, write_json

TITLES = ("position", "type", "version", "stream", "error", "detail")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--since", metavar="POSITION|TIME", help="only from this position on, or recorded since then")
    arguments.add_limit(parser)
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` where something can't be read."""
    after, since = _since(options["since"])
    most, upto = arguments.limit(options), store.horizon()
    read, count, listed = 0, 0, list[Unreadable]()
    with reading_bar(stdout, quiet=options["json"]) as show_progress:
        for progress in verify(after=after, upto=upto, since=since):
            read, count = progress.read, count + len(progress.unreadable)
            listed += progress.unreadable[: most - len(listed)]
            show_progress(progress.position - after, max(0, upto - after))
    if options["json"]:
        write_json(stdout, {"read": read, "upto": upto, "unreadable": count, "events": msgspec.to_builtins(listed)})
    else:
        everything = f"{read:,} events up to position {upto:,}: all of them can be read."
        show(stdout, TITLES, map(_row, listed), numbers={"position", "version"}, empty="" if count else everything)
    if count:
        more = f"; the first {len(listed):,} are shown" if count > len(listed) else ""
        raise CommandError(f"{count:,} of {read:,} events up to position {upto:,} can't be read{more}.")


def _since(said: str | None) -> tuple[int, datetime | None]:
    """The position after which to begin, and a time. Raises `Refused`."""
    if said is None:
        return 0, None
    since = arguments.position_or_time("--since", said)
    return (0, since) if isinstance(since, datetime) else (max(0, since - 1), None)


def _row(each: Unreadable) -> Row:
    return {
        "position": f"{each.position:,}",
        "type": each.type,
        "version": str(each.schema_version),
        "stream": f"{each.stream_id} {each.version}",
        "error": each.error,
        "detail": each.detail,
    }
