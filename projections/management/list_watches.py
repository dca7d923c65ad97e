"""List the watches: what each looks for, how it is, and the incidents of what it has found that stand."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper
from rich.text import Text

from eventstore.management.terminal import BAD, Row, add_json, joined, show, state, write_json
from eventstore.models import Incident
from eventstore.monitoring.status import SubscriberStatus, subscriber_statuses
from projections.watch import watches

TITLES = ("name", "state", "position", "finds", "left out", "incident", "broken", "since")


def add_arguments(parser: ArgumentParser) -> None:
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    told = _told()
    if options["json"]:
        write_json(stdout, told)
    else:
        rows = [row for watch in told for row in _rows(watch)]
        show(stdout, TITLES, rows, numbers={"position", "incident"}, empty="No watch is declared.")


def _told() -> list[dict[str, Any]]:
    """A watch that has no row yet has not begun."""
    stands = {each.name: each for each in subscriber_statuses()}
    kinds = [watch.kind for watch in watches()]
    found = list(Incident.objects.filter(kind__in=kinds, ended_at=None).order_by("began_at", "id"))
    return [
        {
            "name": watch.name,
            "state": stands[watch.name].state if watch.name in stands else "not begun",
            "position": stands[watch.name].checkpoint if watch.name in stands else 0,
            "finds": watch.kind,
            "held_back": {used: held for used in watch.uses if (held := _held_back(stands.get(used)))},
            "incidents": [
                {"id": each.pk, "about": each.about, "text": each.text, "began_at": each.began_at}
                for each in found
                if each.kind == watch.kind
            ],
        }
        for watch in watches()
    ]


def _held_back(status: SubscriberStatus | None) -> int:
    """Events that are parked there, and so in nothing that can be judged."""
    return status.failed + status.behind if status else 0


def _rows(watch: dict[str, Any]) -> list[Row]:
    """One for each incident, or one that says that there is none."""
    first: Row = {
        "name": watch["name"],
        "state": state(watch["state"]),
        "position": f"{watch['position']:,}",
        "finds": watch["finds"],
        "left out": joined(f"{held:,} parked in {used}" for used, held in watch["held_back"].items()),
    }
    found: list[Row] = [
        {"incident": str(each["id"]), "broken": Text(each["about"], BAD), "since": each["text"].removeprefix("since ")}
        for each in watch["incidents"]
    ]
    return [{**first, **found[0]}, *found[1:]] if found else [first]
