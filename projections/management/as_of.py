"""Show a row of a read model as it was at a position or a time, folded by the running code; nothing is written."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import msgspec
from django.core.management.base import OutputWrapper

from eventstore import database, store
from eventstore.codec import encoder
from eventstore.errors import Refused
from eventstore.management import arguments
from eventstore.management.terminal import add_json, console, facts, write_json
from eventstore.subscriptions.registry import registry
from projections.as_of import row_as_of
from projections.in_memory import columns
from projections.projection import Projection


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("projection", help="its name")
    parser.add_argument("--key", required=True, help="of the row, such as the id of an order")
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--position", metavar="N", help="once the event at this position had happened")
    when.add_argument("--time", help="once all that was recorded by this time had happened")
    add_json(parser)


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    projection = registry[arguments.named(options["projection"], options["rank"])]
    assert isinstance(projection, Projection)
    key: str = arguments.value("--key", options["key"], str)
    upto = _upto(options)
    row = row_as_of(projection, key, upto)
    if row is None:
        raise Refused(f"{projection.name} had no row {key!r} at position {upto:,}.")
    told = msgspec.to_builtins(columns(row))
    if options["json"]:
        write_json(stdout, {"projection": projection.name, "upto": upto, "row": told})
        return
    console(stdout).print(facts((name, _plain(value)) for name, value in told.items()))


def _upto(options: dict[str, Any]) -> int:
    """Raises `Refused` for what has not happened yet."""
    horizon = store.horizon()
    if options["time"] is not None:
        moment = arguments.value("--time", options["time"], datetime)
        if moment > database.clock():
            raise Refused(f"--time: {moment} is yet to come.")
        return min(horizon, store.position_until(moment))
    position: int = arguments.value("--position", options["position"], int)
    if not 0 <= position <= horizon:
        raise Refused(f"--position: from 0 to {horizon:,}, where the log ends.")
    return position


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else encoder.encode(value).decode()
