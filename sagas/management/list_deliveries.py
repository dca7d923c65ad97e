"""List the ledger: what became of events in the hands of effects, the last first."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, moment, plucked, show, state, write_json
from sagas.effects.preconditions import FAR
from sagas.models import Delivery

TITLES = ("id", "effect", "event", "status", "attempts", "waits for", "when", "error")
NAMES = (
    *("id", "effect", "position", "copy", "status", "attempts", "owner", "waits_for", "error"),
    *("due_at", "created_at", "finished_at"),
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--effect", help="only of this effect")
    parser.add_argument("--status", help=f"one of {', '.join(Delivery.Status)} (all)")
    arguments.add_limit(parser)
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    status = arguments.one_of("--status", options["status"], Delivery.Status.values)
    found = arguments.of_subscriber(options["effect"], options["rank"], Delivery.objects.all(), "effect")
    if status is not None:
        found = found.filter(status=status)
    rows = list(found.order_by("-id")[: arguments.limit(options)])
    if options["json"]:
        write_json(stdout, plucked(rows, NAMES))
        return
    show(stdout, TITLES, map(_row, rows), numbers={"id", "event", "attempts"}, empty="No delivery is like this.")


def _row(row: Delivery) -> Row:
    due = None if row.status == Delivery.Status.IN_DOUBT or row.due_at == FAR else row.due_at
    return {
        "id": str(row.pk),
        "effect": row.effect,
        "event": f"{row.position:,}" + (f" (copy {row.copy})" if row.copy else ""),
        "status": state(row.status),
        "attempts": str(row.attempts) if row.attempts else "",
        "waits for": row.waits_for,
        "when": moment(row.finished_at or due),
        "error": row.error,
    }
