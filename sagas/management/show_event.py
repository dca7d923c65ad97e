"""Tell what each effect made of the event at a position, and why, where it made nothing of it."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper

from eventstore.management import arguments
from eventstore.management.terminal import Row, add_json, moment, show, state, write_json
from sagas.effects.outcomes import EffectOutcome, effect_outcomes

TITLES = ("effect", "delivery", "copy", "status", "attempts", "waits for", "when", "error")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("position", help="of the event in the log")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    position = arguments.value("position", options["position"], int)
    found = effect_outcomes(position)
    if options["json"]:
        write_json(stdout, {"position": position, "effects": msgspec.to_builtins(found)})
        return
    rows = [row for outcome in found for row in _rows(outcome)]
    show(stdout, TITLES, rows, numbers={"delivery", "copy", "attempts"}, empty="This project declares no effect.")


def _rows(outcome: EffectOutcome) -> Iterator[Row]:
    if not outcome.deliveries:
        yield {"effect": outcome.effect, "status": state(outcome.why_none)}
    for each in outcome.deliveries:
        yield {
            "effect": outcome.effect,
            "delivery": str(each.id),
            "copy": str(each.copy) if each.copy else "",
            "status": state(each.status),
            "attempts": str(each.attempts) if each.attempts else "",
            "waits for": each.waits_for,
            "when": moment(each.finished_at),
            "error": each.error,
        }
