"""Any operation as a subcommand: its fields are options, and it is recorded like one that was done in the admin."""

import sys
import time
from argparse import ArgumentParser, BooleanOptionalAction
from getpass import getuser
from typing import Any

import msgspec
from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm

from eventstore.errors import Refused
from eventstore.management import arguments
from eventstore.management.terminal import add_json, on_terminal, write_json
from eventstore.operations.base import Operation, Result, perform
from eventstore.operations.fields import OperationField, make_operation, operation_fields

POLL = 0.5


def add_arguments(parser: ArgumentParser, kind: type[Operation]) -> None:
    if _target(kind) is None:
        parser.add_argument("target", metavar=kind.noun, help="its name" if kind.ranks else "its number")
    for each in operation_fields(kind):
        _add_option(parser, each)
    needed = "needed: " if kind.needs_reason else ""
    parser.add_argument("--reason", default="", help=f"{needed}for those who look at the records later")
    parser.add_argument("--by", help="who does it (the user of the operating system)")
    parser.add_argument("--yes", action="store_true", help="don't ask whether to go on")
    parser.add_argument(
        "--wait",
        action=BooleanOptionalAction,
        default=None,
        help="stay until workers have done their part (on a terminal, with a progress bar)",
    )
    add_json(parser)


def run(kind: type[Operation], options: dict[str, Any], stdout: OutputWrapper) -> None:
    target = _target(kind) or _named(kind, options)
    said = {each.name: _value(each, options[each.name]) for each in operation_fields(kind)}
    operation = make_operation(kind, target, said)
    if sys.stdin.isatty() and not options["yes"]:
        _confirm(operation)
    outcome = perform(operation, by=options["by"] or getuser(), reason=options["reason"])
    if not options["json"]:
        stdout.write(f"{operation.target}: {outcome}.")
    result = Result()
    if on_terminal(stdout) if options["wait"] is None else options["wait"]:
        _wait(operation, kind.verb)
        result = operation.result()
    if options["json"]:
        told = {"operation": kind.word, "target": operation.target, "outcome": outcome, **result.told}
        write_json(stdout, told)
    else:
        _tell(result.told, stdout)
    if result.fault:
        raise CommandError(f"{operation.target}: {result.fault}.")


def _target(kind: type[Operation]) -> str | None:
    """The one thing that it can be done to, if there is but one."""
    (named,) = (field for field in msgspec.structs.fields(kind) if field.name == "target")
    return None if named.required else named.default


def _named(kind: type[Operation], options: dict[str, Any]) -> str:
    """The one that was named. Raises `UnknownSubscriber` and `Refused`."""
    target: str = options["target"]
    if kind.ranks:
        return (arguments.kept if kind.of_former else arguments.named)(target, options["rank"])
    if not kind.concerns(target):
        raise Refused(f"There is no {kind.noun} {target!r} that this could be done to.")
    return target


def _tell(told: dict[str, Any], stdout: OutputWrapper) -> None:
    for name, value in told.items():
        if isinstance(value, list):
            for each in value:
                stdout.write("  " + "  ".join(f"{field}={said}" for field, said in each.items() if said))
        elif value not in ("", None):
            stdout.write(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}")


def _add_option(parser: ArgumentParser, each: OperationField) -> None:
    option, described = _option(each), each.description or each.title
    if each.kind is bool:
        parser.add_argument(option, action="store_true", help=described)
    elif each.many:
        parser.add_argument(option, nargs="+", required=each.required, help=described)
    else:
        parser.add_argument(option, required=each.required, help=described)


def _option(each: OperationField) -> str:
    return f"--{each.name.replace('_', '-')}"


def _value(each: OperationField, said: Any) -> Any:
    if each.many and said is not None:
        return tuple(arguments.value(_option(each), one, each.kind) for one in said)
    return arguments.value(_option(each), said, each.kind)


def _confirm(operation: Operation) -> None:
    """On the error stream, so that the answer alone is on the other."""
    console = Console(stderr=True)
    console.print(operation.preview(), highlight=False, markup=False)
    if not Confirm.ask("Go on?", console=console, default=False):
        raise Refused("Nothing was done.")


def _wait(operation: Operation, verb: str) -> None:
    """Until nothing is left for workers."""
    total = left = operation.remaining()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not total) as progress:
        task = progress.add_task(f"{verb}: {operation.target}", total=total)
        while left:
            time.sleep(POLL)
            left = operation.remaining()
            progress.update(task, completed=max(0, total - left))
