"""Write down which code belongs to which version of each projection."""

from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from django.core.management.base import CommandError, OutputWrapper

from eventstore.errors import EventstoreError
from projections import code_changes
from projections.code_changes import ChangeKind, CodeChange
from projections.fingerprint import lockfile
from projections.fingerprint.lockfile import Entry

DONE = {
    ChangeKind.NEW: "added",
    ChangeKind.GONE: "removed",
    ChangeKind.VERSION: "new version",
    ChangeKind.CODE: "changed, folds the same rows",
}


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference, as `--json` tells it."""

    projection: str
    change: str
    refused: bool
    version: int | None = None
    fingerprint: str | None = None


def add_arguments(parser: ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="change nothing; fail when the lock is out of date")
    either.add_argument(
        "--same",
        action="append",
        default=[],
        metavar="NAME",
        help="this projection's code changed, but folds the same rows: keep its version (may be repeated)",
    )
    parser.add_argument("--json", action="store_true", help="tell it to a program")


def run(options: Mapping[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` when something differs (`--check`), or is refused; then nothing is written."""
    file = lockfile.path()
    if file is None:
        raise CommandError("The setting PROJECTIONS_LOCK names no file.")
    try:
        locked = lockfile.read()
        differences = list(code_changes.compare(locked))
    except EventstoreError as error:
        raise CommandError(str(error)) from error
    same = frozenset(options["same"])
    _ask_for_changes(same, differences)
    refused = [each for each in differences if _is_refused(each, same)]
    _tell(differences, refused, stdout, json=options["json"])
    if options["check"] and differences:
        raise CommandError(f"{file.name} is out of date: {', '.join(each.name for each in differences)}.")
    if refused:
        raise CommandError(f"{file.name} was left as it is. {' '.join(_reason(each) for each in refused)}")
    if differences:
        lockfile.write(file, _taken(locked, differences))


def _ask_for_changes(same: Iterable[str], differences: Iterable[CodeChange]) -> None:
    changed = {each.name for each in differences if each.change is ChangeKind.CODE}
    for name in sorted({*same} - changed):
        raise CommandError(f"--same {name}: no projection of this name changed without a new version.")


def _is_refused(difference: CodeChange, same: Iterable[str]) -> bool:
    if difference.change is ChangeKind.CODE:
        return difference.name not in same
    return _is_lowered(difference)


def _is_lowered(difference: CodeChange) -> bool:
    locked, now = difference.locked, difference.declared
    return locked is not None and now is not None and now.version < locked.version


def _reason(difference: CodeChange) -> str:
    name = difference.name
    if _is_lowered(difference):
        return f"{name}: a version only rises."
    return f"{name} {difference.change}: raise its version, or say --same {name} if it folds the same rows."


def _taken(locked: Mapping[str, Entry], differences: Iterable[CodeChange]) -> dict[str, Entry]:
    """The entries with every difference taken over. A new version forgets what was the same as the former."""
    entries = dict(locked)
    for name, change, old, new in differences:
        if new is None:
            del entries[name]
        elif change is ChangeKind.CODE and old is not None:
            entries[name] = msgspec.structs.replace(new, same_as=(*old.same_as, old.fingerprint))
        else:
            entries[name] = new
    return entries


def _tell(
    differences: Iterable[CodeChange], refused: Iterable[CodeChange], stdout: OutputWrapper, *, json: bool
) -> None:
    lines = [
        Line(
            projection=each.name,
            change=str(each.change) if each in refused else DONE[each.change],
            refused=each in refused,
            version=each.declared.version if each.declared else None,
            fingerprint=each.declared.fingerprint if each.declared else None,
        )
        for each in differences
    ]
    if json:
        stdout.write(msgspec.json.encode(lines).decode())
        return
    for line in lines:
        stdout.write(f"{line.projection}: {line.change}" + (f" ({line.version})" if line.version else ""))
    if not lines:
        stdout.write("No changes detected.")
