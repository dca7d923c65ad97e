"""List timers of sagas: those that wait, the next that is due first; of another status, the last that was set first."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, moment, plucked, show, state, write_json
from eventstore.subscriptions.registry import registry
from sagas.models import Timer

WAITING = Timer.Status.WAITING
TITLES = ("id", "name", "saga", "key", "sends", "status", "when")
NAMES = ("id", "name", "saga", "key", "type", "status", "due_at", "fired_at", "command_id", "created_at")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--saga", help="only of this saga")
    parser.add_argument("--key", help="only of the instance with this key, as far as they wait")
    parser.add_argument("--status", default=WAITING, help=f"one of {', '.join(Timer.Status)} (%(default)s)")
    arguments.add_limit(parser)
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    status = arguments.one_of("--status", options["status"], Timer.Status.values)
    found = arguments.of_subscriber(options["saga"], options["rank"], Timer.objects.filter(status=status), "saga")
    if (key := arguments.key(options)) is not None:
        found = found.filter(saga__in=registry.names(options["rank"]), key=key, status=WAITING)
    order = ("due_at", "id") if status == WAITING else ("-id",)
    rows = list(found.order_by(*order)[: arguments.limit(options)])
    if options["json"]:
        write_json(stdout, plucked(rows, NAMES))
        return
    show(stdout, TITLES, map(_row, rows), numbers={"id"}, empty="No timer is like this.")


def _row(row: Timer) -> Row:
    return {
        "id": str(row.pk),
        "name": row.name,
        "saga": row.saga,
        "key": row.key,
        "sends": row.type,
        "status": state(row.status),
        "when": moment(row.fired_at or row.due_at),
    }
