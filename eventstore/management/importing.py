"""What every command that imports a file has in common: how the file is written, progress, and the file of refused
lines.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Generator, Iterable, Mapping
from getpass import getuser
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from eventstore.errors import EventstoreError
from eventstore.imports import error_file, runs
from eventstore.imports.importer import importers
from eventstore.imports.lines import CSV, JSON_LINES, Format
from eventstore.imports.runs import DryRun, Refused, Step
from eventstore.management.base import INTERRUPTED
from eventstore.management.terminal import add_json, on_terminal, write_json
from eventstore.models import ImportRun

JSON_ENDINGS = {".jsonl", ".ndjson"}
SHOWN = 10


class ImportCommand(BaseCommand):
    """Imports a file by the importer of this name."""

    importer: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV, or a JSON object in each line (.jsonl)")
        parser.add_argument("--format", choices=[CSV, JSON_LINES], help="how it is written (as its name ends)")
        parser.add_argument("--encoding", default="", help="such as windows-1252 (UTF-8, or as its first bytes tell)")
        parser.add_argument("--delimiter", default="", help="between cells of CSV (as its first line shows)")
        parser.add_argument(
            "--column", action="append", default=[], metavar="FIELD=HEADER", help="a column that is called otherwise"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would become of it, and import nothing")
        parser.add_argument("--errors", type=Path, help="where refused lines are written (FILE.errors.csv or .jsonl)")
        for choice, what in importers[self.importer].choices.items():
            parser.add_argument(f"--{choice}", action="store_true", help=what)
        add_json(parser)

    def handle(self, **given: Any) -> None:
        path: Path = given["file"]
        written = Format(
            kind=given["format"] or (JSON_LINES if path.suffix in JSON_ENDINGS else CSV),
            encoding=given["encoding"],
            delimiter=given["delimiter"],
            columns=dict(each.partition("=")[::2] for each in given["column"]),
        )
        try:
            with path.open("rb") as file:
                self._import(file, path, written, given)
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror}.") from error
        except EventstoreError as error:
            raise CommandError(f"{path}: {error}") from error
        except KeyboardInterrupt:
            self.stderr.write("Stopped. Run it again, and it goes on where it was.")
            sys.exit(INTERRUPTED)

    def _import(self, file: BinaryIO, path: Path, written: Format, given: Mapping[str, Any]) -> None:
        options = {choice: given[choice] for choice in importers[self.importer].choices}
        size = path.stat().st_size
        about: ImportRun | DryRun
        refused: Iterable[Refused]
        if given["dry_run"]:
            before, about = Step(0, 0), DryRun(self.importer, file, written, options)
            after, refused = self._followed(about.steps(), size, before), about.refused
        else:
            run = runs.begin(self.importer, file, name=path.name, written=written, options=options, by=getuser())
            before = Step(run.read, run.reached, run.carried_out, run.repeated, run.refused)
            after = self._followed(runs.carry_on(run, file), size, before)
            about, refused = ImportRun.objects.defer("content").get(pk=run.pk), runs.refused_of(run)
        self._tell(before, after, dry_run=given["dry_run"], json=given["json"])
        if after.refused:
            errors: Path = given["errors"] or path.with_suffix(f".errors.{written.kind}")
            lines = list[str]()
            with errors.open("w", encoding=error_file.ENCODING, newline="") as out:
                error_file.write(out, _noted(refused, lines), written, about.header, about.delimiter)
            for line in [] if given["json"] else lines:
                self.stderr.write(line)
            raise CommandError(f"Refused lines are in {errors}: correct them there, and import that file.")

    def _followed(self, steps: Generator[Step], size: int, before: Step) -> Step:
        """How far it came in the end, with a bar on the way."""
        columns = (
            *(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[rate]}")),
            *(TimeElapsedColumn(), TimeRemainingColumn()),
        )
        step = before
        shown = Console(file=self.stderr)  # type: ignore[arg-type]  # writes like a file
        with Progress(*columns, console=shown, disable=not on_terminal(self.stderr)) as progress:
            task = progress.add_task(self.importer, total=size, completed=before.read, rate="")
            for step in steps:
                seconds = progress.tasks[task].elapsed or 0.001
                lines = step.reached - before.reached
                progress.update(task, completed=step.read, rate=f"{lines / seconds:,.0f} lines/s")
        return step

    def _tell(self, before: Step, after: Step, *, dry_run: bool, json: bool) -> None:
        """What was skipped are lines that were imported before: by this file's last run, or in one that was stopped."""
        imported = after.carried_out - before.carried_out
        skipped = after.repeated + before.carried_out
        if json:
            write_json(self.stdout, {"imported": imported, "skipped": skipped, "refused": after.refused})
            return
        if before.reached:
            self.stdout.write(f"Goes on behind line {before.reached:,}.")
        self.stdout.write(f"{'would be imported' if dry_run else 'imported'}: {imported:,}")
        self.stdout.write(f"skipped, as imported before: {skipped:,}")
        self.stdout.write(f"refused: {after.refused:,}")


def _noted(refused: Iterable[Refused], lines: list[str]) -> Iterable[Refused]:
    """The same, the first of them put into words as well."""
    for each in refused:
        if len(lines) < SHOWN:
            lines += [f"line {each.number}{f', {column}' if column else ''}: {text}" for column, text in each.faults]
        yield each
