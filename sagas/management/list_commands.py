"""List commands of sagas: those that are not through, the next that is due first; of another status, the last first."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, moment, plucked, show, state, write_json
from eventstore.subscriptions.registry import registry
from sagas.models import OutboxCommand

TITLES = ("id", "type", "saga", "key", "status", "attempts", "when", "led to", "error")
NAMES = (
    *("id", "saga", "key", "type", "status", "attempts", "error", "command_id", "result"),
    *("due_at", "created_at", "finished_at"),
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--saga", help="only of this saga")
    parser.add_argument("--key", help="only of the instance with this key, as far as they are not through")
    parser.add_argument("--status", help=f"one of {', '.join(OutboxCommand.Status)} (those that are not through)")
    arguments.add_limit(parser)
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    unfinished = [OutboxCommand.Status.PENDING, OutboxCommand.Status.PARKED]
    status = arguments.one_of("--status", options["status"], OutboxCommand.Status.values)
    found = arguments.of_subscriber(options["saga"], options["rank"], OutboxCommand.objects.all(), "saga")
    found = found.filter(status__in=unfinished if status is None else [status])
    if (key := arguments.key(options)) is not None:
        of_key = {"saga__in": registry.names(options["rank"]), "key": key}
        found = found.filter(**of_key, status__in=unfinished)
    order = ("due_at", "id") if status in {None, *unfinished} else ("-id",)
    rows = list(found.order_by(*order)[: arguments.limit(options)])
    if options["json"]:
        write_json(stdout, plucked(rows, NAMES))
        return
    show(stdout, TITLES, map(_row, rows), numbers={"id", "attempts", "led to"}, empty="No command is like this.")


def _row(row: OutboxCommand) -> Row:
    return {
        "id": str(row.pk),
        "type": row.type,
        "saga": row.saga,
        "key": row.key,
        "status": state(row.status),
        "attempts": str(row.attempts) if row.attempts else "",
        "when": moment(row.finished_at or row.due_at),
        "led to": f"{row.result:,}" if row.result else "",
        "error": row.error,
    }
