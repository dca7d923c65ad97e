"""List what is kept of a projection as of positions; or, with a label, write its rows as CSV."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import OutputWrapper

from eventstore.management import arguments
from eventstore.management.terminal import add_json, console, facts, write_json
from projections.kept import as_csv, count
from projections.models import Generation
from projections.rebuild import generations


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("projection", help="its name")
    parser.add_argument("--label", help="what it is called whose rows are written (all are listed)")
    parser.add_argument("--file", type=Path, help="to this file (to the standard output)")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    name = arguments.named(options["projection"], options["rank"])
    if options["label"] is None:
        _list(name, stdout, as_json=options["json"])
        return
    pieces = as_csv(generations.kept(name, options["label"]))
    if options["file"] is None:
        for piece in pieces:
            stdout.write(piece.decode(), ending="")
        return
    with options["file"].open("wb") as file:
        file.writelines(pieces)


def _list(name: str, stdout: OutputWrapper, *, as_json: bool) -> None:
    found = Generation.objects.filter(projection=name, status=Generation.Status.KEPT).order_by("id")
    told = [{"label": each.label, "position": each.target, "rows": count(each)} for each in found]
    if as_json:
        write_json(stdout, {"projection": name, "kept": told})
    elif told:
        console(stdout).print(
            facts((str(each["label"]), f"{each['rows']:,} rows as of position {each['position']:,}") for each in told)
        )
    else:
        stdout.write("Nothing is kept.")
