"""Read the log with the code that runs, and list the events that it can't read."""

import re
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import msgspec
from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar
from rich.text import Text

from eventstore import store
from eventstore.event_types.verification import Unreadable, verify
from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, on_terminal, show, write_json

TITLES = ("position", "type", "version", "stream", "error", "detail")


class Rate(ProgressColumn):
    """Events a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--since", metavar="POSITION|TIME", help="only from this position on, or recorded since then")
    arguments.add_limit(parser)
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` where something can't be read."""
    after, since = _since(options["since"])
    most, upto = arguments.limit(options), store.horizon()
    read, count, listed = 0, 0, list[Unreadable]()
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    quiet = options["json"] or not on_terminal(stdout)
    with ProgressBar(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("reading", total=max(0, upto - after))
        for progress in verify(after=after, upto=upto, since=since):
            read, count = progress.read, count + len(progress.unreadable)
            listed += progress.unreadable[: most - len(listed)]
            bar.update(task, completed=progress.position - after)
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
    if re.fullmatch(r"\d{1,18}", said):
        return max(0, int(said) - 1), None
    return 0, arguments.value("--since", said, datetime)


def _row(each: Unreadable) -> Row:
    return {
        "position": f"{each.position:,}",
        "type": each.type,
        "version": str(each.schema_version),
        "stream": f"{each.stream_id} {each.version}",
        "error": each.error,
        "detail": each.detail,
    }
