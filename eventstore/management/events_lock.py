"""Write down what each event says, so that no change goes unnoticed that somebody could not read."""

from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from django.core.management.base import CommandError, OutputWrapper

from eventstore.errors import Refused
from eventstore.event_types import changes, lockfile
from eventstore.event_types.changes import Change, ChangeKind
from eventstore.management.terminal import add_json, write_json

DONE = {
    ChangeKind.NEW: "added",
    ChangeKind.GONE: "removed",
    ChangeKind.LOWERED: "version as it is",
    ChangeKind.VERSION: "new version",
    ChangeKind.FORMER: "a former name",
    ChangeKind.FIELDS: "changed, everybody can read it",
    ChangeKind.MEANING: "means the same",
}


class Line(msgspec.Struct, frozen=True):
    """One difference, as `--json` tells it. `stored` and `beside` say who could not read it: what is stored already is
    not readable by this code, or what this code records not by an older process that runs beside.
    """

    event: str
    change: str
    refused: bool
    version: int | None
    stored: tuple[str, ...]
    beside: tuple[str, ...]
    advice: str


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the lock is out of date")
    for option, what in (
        ("--same", "the fields of this event mean what they meant, whatever they say (may be repeated)"),
        ("--unreleased", "this event was never released: nothing is stored of it (may be repeated)"),
    ):
        parser.add_argument(option, action="append", default=[], metavar="NAME", help=what)
    add_json(parser)


def run(options: Mapping[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` when something differs (`--check`), or is refused; then nothing is written. Raises
    `UnreadableFile`.
    """
    file = lockfile.path()
    if file is None:
        raise Refused("The setting EVENTSTORE_LOCK names no file.")
    locked, now = lockfile.read(), lockfile.declared()
    differences, faults = list(changes.compare(locked, now)), changes.faults(now)
    refused = _refused(differences, options["same"], options["unreleased"])
    _tell(differences, refused, faults, stdout, json=options["json"])
    if options["check"] and differences:
        raise CommandError(f"{file.name} is out of date: {', '.join(each.name for each in differences)}.")
    if refused:
        raise CommandError(f"{file.name} was left as it is. {' '.join(map(_reason, refused))}")
    if faults:
        raise CommandError(" ".join(faults))
    if differences:
        lockfile.write(file, now)


def _refused(differences: Iterable[Change], same: Iterable[str], unreleased: Iterable[str]) -> list[Change]:
    refused = {each.name: each for each in differences if each.is_refused}
    for option, names in (("--same", same), ("--unreleased", unreleased)):
        for name in sorted({*names} - refused.keys()):
            raise Refused(f"{option} {name}: no change of this event is refused.")
    for name in same:
        if refused[name].change is not ChangeKind.MEANING:
            raise Refused(f"--same {name}: it is not only described in other words.")
    return [each for each in refused.values() if each.name not in {*same, *unreleased}]


def _reason(change: Change) -> str:
    return " ".join(filter(None, (f"{change.name} {change.change}.", change.told, change.advice)))


def _tell(
    differences: Iterable[Change], refused: Iterable[Change], faults: list[str], stdout: OutputWrapper, *, json: bool
) -> None:
    lines = [
        Line(
            event=each.name,
            change=str(each.change) if each in refused else DONE[each.change],
            refused=each in refused,
            version=each.version,
            stored=each.stored,
            beside=each.beside,
            advice=each.advice if each in refused else "",
        )
        for each in differences
    ]
    if json:
        write_json(stdout, {"changes": lines, "examples": faults})
        return
    for line in lines:
        stdout.write(f"{line.event}: {line.change}" + (f" ({line.version})" if line.version else ""))
    if not lines:
        stdout.write("No changes detected.")
