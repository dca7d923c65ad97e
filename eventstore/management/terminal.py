"""How subcommands show what they have to say."""

from argparse import _ActionsContainer
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Row = Mapping[str, str | Text]
"""What is shown, by the title of its column."""

FILE_WIDTH = 400
SENTENCES, WIDE = {"error", "its state"}, 24
"""Columns whose words a narrow terminal leaves some room."""

GOOD, BAD, WAITING = "green", "red", "yellow"
COLOURS = {
    **dict.fromkeys(("running", "done", "fired", "accepted"), GOOD),
    **dict.fromkeys(("halted", "failing", "parked", "unanswered", "failed", "in doubt", "refused"), BAD),
}
"""Of words that say how something is; all others need no hand."""


def add_json(parser: _ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON value, errors as well")


def write_json(stdout: OutputWrapper, value: Any) -> None:
    stdout.write(msgspec.json.encode(value, enc_hook=str).decode())


def console(stdout: OutputWrapper) -> Console:
    """As wide as the terminal; what goes into a file or another program is never cut off."""
    width = None if on_terminal(stdout) else FILE_WIDTH
    return Console(file=stdout, width=width)  # type: ignore[arg-type]  # writes like a file


def on_terminal(stdout: OutputWrapper) -> bool:
    return bool(stdout.isatty())


def table(titles: Sequence[str], rows: Sequence[Row], *, always: Collection[str], numbers: Collection[str]) -> Table:
    """A row for each; a column that would be empty is left out, so that the rest fits a narrow terminal."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [title for title in titles if title in always or any(row.get(title) for row in rows)]
    for title in shown:
        made.add_column(
            title,
            justify="right" if title in numbers else "left",
            no_wrap=title in always,
            overflow="fold",
            min_width=WIDE if title in SENTENCES else None,
        )
    for row in rows:
        made.add_row(*(_text(row.get(title, "")) for title in shown))
    return made


def show(
    stdout: OutputWrapper, titles: Sequence[str], rows: Iterable[Row], *, numbers: Collection[str], empty: str
) -> None:
    """A table, or why there is none."""
    found = list(rows)
    console(stdout).print(table(titles, found, always=titles[:1], numbers=numbers) if found else Text(empty))


class Rate(ProgressColumn):
    """Events a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def reading_bar(stdout: OutputWrapper, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for who reads the log, on a terminal and unless it is to be quiet: to be told how many of how many
    positions are read.
    """
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not on_terminal(stdout)) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def plucked(rows: Iterable[Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """Of each row the fields of these names."""
    kept = list(names)
    return [{name: getattr(row, name) for name in kept} for row in rows]


def facts(said: Iterable[tuple[str, str | Text]]) -> Table:
    """A name and a value in each line."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in said:
        made.add_row(name, _text(value))
    return made


def state(word: str) -> Text:
    """How something is, in the colour of that."""
    return Text(word, COLOURS.get(word, WAITING))


def joined(parts: Iterable[str], by: str = ", ") -> str:
    """Those that say something."""
    return by.join(part for part in parts if part)


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def _text(said: str | Text) -> Text:
    """Never read as markup: an error may have brackets."""
    return said if isinstance(said, Text) else Text(said)
