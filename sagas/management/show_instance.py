"""Show the history of one instance: each event it heard of, the state after it, and what became of what followed."""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from eventstore.management import arguments
from eventstore.management.terminal import add_json, console, facts, joined, moment, state, write_json
from sagas.history import (
    SHOWN,
    HistoryEntry,
    HistoryStep,
    InstanceHistory,
    ScheduledTimer,
    SentCommand,
    brief,
    instance_history,
    plain,
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("saga", help="its name")
    parser.add_argument("key", help="of the instance, such as the id of an order")
    parser.add_argument("--limit", default=SHOWN, metavar="N", help="the last so many events (%(default)s)")
    parser.add_argument("--before", metavar="POSITION", help="only what it heard before the event at this position")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    saga = arguments.named(options["saga"], options["rank"])
    before = arguments.value("--before", options["before"], int)
    found = instance_history(saga, options["key"], before=before, most=arguments.limit(options))
    if options["json"]:
        write_json(stdout, msgspec.to_builtins(found))
        return
    _tell(found, console(stdout))


def _tell(found: InstanceHistory, out: Console) -> None:
    out.print(facts(_standing(found).items()))
    if found.earlier:
        out.print(Text(f"There are earlier events: --before {found.entries[0].position}", "dim"))
    for entry in found.entries:
        head = f"\n{entry.position:,}"
        out.print(Text.assemble((head, "bold"), f"  {entry.type}  ", (moment(entry.at), "dim")))
        lines: list[tuple[str, str | Text]] = []
        if entry.changed or entry.ended:
            lines.append(("state", _change(entry)))
        lines += [(step.step, _step(step)) for step in entry.steps]
        out.print(Padding(facts(lines), (0, 0, 0, 3)))
    if not found.entries:
        out.print("Nothing is told of it: it began before histories were kept.")


def _standing(found: InstanceHistory) -> dict[str, str | Text]:
    parked = f"{found.parked:,} events of it are parked, and are not part of its history yet" if found.parked else ""
    said: dict[str, str | Text] = {
        found.saga: found.key,
        "position": f"{found.position:,}, by version {found.version}",
        "state": joined(("ended" if found.ended else "", brief(found.state)), ": ") or "empty",
        "began": moment(found.started_at),
        "moved": moment(found.moved_at),
    }
    said |= {f"command {each.id}": _sent(each) for each in found.commands}
    said |= {f"timer {each.id}": _timer(each) for each in found.timers}
    return {**said, "parked": Text(parked, "red")} if parked else said


def _change(entry: HistoryEntry) -> Text:
    changed = ", ".join(f"{name}={plain(entry.state[name])}" for name in entry.changed)
    return Text(joined((changed, "ended" if entry.ended else "")))


def _step(step: HistoryStep) -> Text:
    match step:
        case HistoryStep(sent=SentCommand() as sent, scheduled=None):
            return _sent(sent)
        case HistoryStep(scheduled=ScheduledTimer() as scheduled):
            fired = Text.assemble(", ", _sent(step.sent)) if step.sent else Text("")
            return Text.assemble(_timer(scheduled), fired)
        case HistoryStep(step="cancel"):
            return Text(step.timer)
        case HistoryStep(step="end"):
            return Text("")
    return Text.assemble(step.command, " ", ("is nowhere to be found", "red"))


def _sent(sent: SentCommand) -> Text:
    attempts = f" after {sent.attempts:,} attempts" if sent.attempts > 1 else ""
    result = f" at {sent.result:,}" if sent.result else ""
    error = f": {sent.error}" if sent.error else ""
    return Text.assemble(f"{sent.type}, ", state(sent.status), f"{result}{attempts}{error}")


def _timer(scheduled: ScheduledTimer) -> Text:
    fired = f" at {moment(scheduled.fired_at)}" if scheduled.fired_at else ""
    due = f"{scheduled.name}, {scheduled.type} due at {moment(scheduled.due_at)}, "
    return Text.assemble(due, state(scheduled.status), fired)
