"""Tell the code of a saga the history again, and compare what it would do with what was done; nothing is sent or saved.

Ends with 0 where there is no difference, with 1 where there are some, with 2 where it can't be told.
"""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from django.core.management.base import CommandError, OutputWrapper
from django.db import Error as DatabaseError
from psycopg import Error as PsycopgError
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from eventstore.error_texts import describe
from eventstore.errors import Refused
from eventstore.management import arguments
from eventstore.management.terminal import add_json, console, facts, reading_bar, write_json
from eventstore.subscriptions.registry import registry
from sagas.history import plain
from sagas.rehearsal import Difference, InstanceDifference, Rehearsal, TakenStep, rehearse
from sagas.saga import Saga

DIFFERENT, CANNOT = 1, 2


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("saga", help="its name")
    parser.add_argument(
        "--since",
        metavar="POSITION|TIME",
        help="only from this position or time on: its instances go on from the states that they had (all of the log)",
    )
    arguments.add_limit(parser)
    add_json(parser)
    parser.set_defaults(cannot=CANNOT)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Raises `CommandError` where there are differences, and `Refused` where it can't be told."""
    saga = registry[arguments.named(options["saga"], options["rank"])]
    assert isinstance(saga, Saga)
    said = options["since"]
    since = None if said is None else arguments.position_or_time("--since", str(said))
    most = arguments.limit(options)
    try:
        with reading_bar(stdout, quiet=options["json"]) as show_progress:
            found = rehearse(saga, since=since, most=most, progress=show_progress)
    except (DatabaseError, PsycopgError) as error:
        raise Refused(f"It can't be told, the database says: {describe(error)}") from error
    if options["json"]:
        write_json(stdout, msgspec.to_builtins(found))
    else:
        _tell(found, console(stdout))
    if found.differing:
        raise CommandError(_verdict(found), returncode=DIFFERENT)


def _tell(found: Rehearsal, out: Console) -> None:
    for one in found.differences:
        out.print(Text.assemble(f"\n{found.saga} ", (one.key, "bold")))
        for each in one.differences:
            out.print(Padding(Text.assemble((f"{each.position:,}", "bold"), f"  {each.type}"), (0, 0, 0, 3)))
            out.print(Padding(facts(_lines(each)), (0, 0, 0, 6)))
        if one.events > len(one.differences):
            out.print(Padding(Text(_and_more(one), "dim"), (0, 0, 0, 3)))
    out.print(facts(_summary(found)))
    if not found.differing:
        out.print("No difference.")


def _and_more(one: InstanceDifference) -> str:
    return f"and at {one.events - len(one.differences):,} more of its events"


def _summary(found: Rehearsal) -> Iterator[tuple[str, str]]:
    yield found.saga, f"version {found.version}, over positions {found.after + 1:,} to {found.upto:,}"
    yield "instances", f"{found.instances:,}, which were told {found.told:,} events"
    if found.incomplete:
        yield "left out", f"{found.incomplete:,} instances whose history is not known from there on"


def _verdict(found: Rehearsal) -> str:
    more = f"; the first {len(found.differences):,} are shown" if found.differing > len(found.differences) else ""
    return f"{found.differing:,} of {found.instances:,} instances of {found.saga} would go another way{more}."


def _lines(difference: Difference) -> Iterator[tuple[str, str | Text]]:
    """What was done and would not be, and what would be done instead."""
    taken, would_take = _apart(difference.taken, difference.would_take)
    for step in taken:
        yield "did", _words(step, would_take)
    for step in would_take:
        yield "would", _words(step, taken)
    if difference.error:
        yield "would", Text(f"be parked: {difference.error}", "red")
    elif not taken:
        yield "did", "nothing" if not difference.taken else "nothing else"
    elif not would_take:
        yield "would", "do nothing" if not difference.would_take else "do nothing else"


def _apart(taken: Sequence[TakenStep], would_take: Sequence[TakenStep]) -> tuple[list[TakenStep], list[TakenStep]]:
    """Without what both have; all of it where only the order differs."""
    missing, new = list(taken), list[TakenStep]()
    for step in would_take:
        same = next((each for each in missing if each.agrees_with(step)), None)
        if same is None:
            new.append(step)
        else:
            missing.remove(same)
    return (missing, new) if missing or new else (list(taken), list(would_take))


def _words(step: TakenStep, others: Iterable[TakenStep]) -> str:
    """A step in words. Where the others have one of its kind, only those of its fields that differ are told."""
    other = next((each.data for each in others if each.kind == step.kind), None) or {}
    told = {name: value for name, value in (step.data or {}).items() if name not in other or other[name] != value}
    fields = ", ".join(f"{name}={plain(value)}" for name, value in told.items())
    command = f"{step.command} ({fields})" if fields else step.command
    match step.step:
        case "send":
            return f"send {command}"
        case "timer":
            return f"set the timer {step.timer} to {step.due_at:%Y-%m-%d %H:%M:%S}, for {command}"
        case "cancel":
            return f"cancel the timer {step.timer}"
        case _:
            return "end"
