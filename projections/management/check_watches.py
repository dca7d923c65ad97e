"""Ask watches about the log once more, up to where each stands. Nothing is changed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from eventstore.management import arguments
from eventstore.management.terminal import BAD, Row, add_json, on_terminal, show, write_json
from eventstore.monitoring.status import subscriber_statuses
from projections.watch import Check, Judgement, Watch, check, named, watches

TITLES = ("watch", "broken", "fault", "since")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("watch", nargs="*", help="only these")
    parser.add_argument("--after", default=0, metavar="POSITION", help="only events above this position")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` where something is broken."""
    after: int = arguments.value("--after", options["after"], int)
    wanted = [arguments.named(name, options["rank"]) for name in options["watch"]]
    quiet = options["json"] or not on_terminal(stdout)
    stands = {each.name: each.checkpoint for each in subscriber_statuses()}
    checked = {
        watch: _checked(watch, after, stands.get(watch.name, 0), quiet)
        for watch in watches()
        if not wanted or watch.name in wanted
    }
    if options["json"]:
        write_json(stdout, [_told(watch, after, result) for watch, result in checked.items()])
    else:
        for watch, result in checked.items():
            stdout.write(f"{watch.name}: {result.judged:,} events up to position {result.upto:,}.")
        rows = [_row(watch, each) for watch, result in checked.items() for each in result.broken.values()]
        show(stdout, TITLES, rows, numbers=(), empty="All of it holds.")
    if count := sum(len(result.broken) for result in checked.values()):
        raise CommandError(f"{count:,} that must hold {'does' if count == 1 else 'do'} not.")


def _checked(watch: Watch, after: int, upto: int, quiet: bool) -> Check:
    result = Check(upto, 0, {})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(watch.name, total=max(0, upto - after))
        for result in check(watch, after, upto):
            bar.update(task, completed=max(0, result.upto - after))
    return result


def _told(watch: Watch, after: int, result: Check) -> dict[str, Any]:
    broken = [
        {
            "about": each.about,
            "fault": each.fault,
            "type": each.recorded.type,
            "position": each.recorded.position,
            "stream_id": each.recorded.stream_id,
        }
        for each in result.broken.values()
    ]
    return {"watch": watch.name, "after": after, "upto": result.upto, "judged": result.judged, "broken": broken}


def _row(watch: Watch, each: Judgement) -> Row:
    return {"watch": watch.name, "broken": Text(each.about, BAD), "fault": each.fault, "since": named(each.recorded)}
