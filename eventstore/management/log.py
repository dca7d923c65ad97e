"""Show how long the log is, up to where it is final, and whether anything is sent from this database."""

from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper

from eventstore.identity import identity
from eventstore.management.terminal import add_json, console, facts, write_json
from eventstore.monitoring.health import duration
from eventstore.monitoring.status import LogStatus, log_status


def add_arguments(parser: ArgumentParser) -> None:
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    log, found = log_status(), identity()
    if options["json"]:
        who = {**found._asdict(), "fenced": found.is_fenced}
        write_json(stdout, {**msgspec.to_builtins(log), "fenced": found.is_fenced, "identity": who})
        return
    said = {
        "head": f"{log.head:,}" + (f", {log.last_ago} ago" if log.head else ""),
        "final up to": f"{log.horizon:,}" + _held(log),
        "database": found.here,
        "confirmed": _confirmed(found.confirmed_by, found.confirmed),
        "epoch": str(found.epoch or "none"),
        "sends": "nothing: see `log confirm`" if found.is_fenced else "mails, commands of sagas, timers",
    }
    console(stdout).print(facts(said.items()))


def _held(log: LogStatus) -> str:
    if log.horizon == log.head:
        return ""
    return f", held back for {duration(log.held_seconds)} by {log.holder or 'nobody any more'}: {log.query}"


def _confirmed(by: str, database: str) -> str:
    return f"{database or 'none'}" + (f", by {by}" if by else "")
