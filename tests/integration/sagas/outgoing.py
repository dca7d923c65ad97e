"""Commands that a saga is about to send, as its rows say; and lines of the log as production says them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict

from eventstore import advisory_locks
from eventstore.aggregates import Command
from eventstore.codec import encoder
from eventstore.context import new_id
from ordering.domain.customer import ChangeCustomer
from sagas.models import OutboxCommand
from tests.integration import shop
from tests.integration.eventstore import raw


def rename(name: str = "Ada King") -> ChangeCustomer:
    """A command for a customer that nobody else has to do with."""
    return ChangeCustomer(customer_id=shop.customer(), name=name)


def decided(key: str, command: Command | None = None, **more: Any) -> OutboxCommand:
    """An instance of the sale has decided to send this."""
    command = command or rename()
    data = msgspec.json.decode(encoder.encode(command))
    ids = {name: new_id() for name in ("command_id", "root", "correlation_id", "causation_id")}
    return OutboxCommand.objects.create(
        saga="sale", key=key, type=command.stored, data=data, **{"hops": 1, **ids, **more}
    )


@contextmanager
def held(row: OutboxCommand) -> Iterator[None]:
    """While it lasts, whoever carries this command out waits in the midst of it."""
    with closing(raw.connect()) as holder:
        lock = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
        holder.execute(lock, [advisory_locks.COMMAND, str(row.command_id)])
        yield


@contextmanager
def lines() -> Iterator[list[EventDict]]:
    """What is said to the log meanwhile, however quietly, by all threads of this process."""
    heard: list[EventDict] = []

    def hear(logger: Any, method: str, line: EventDict) -> EventDict:
        heard.append(dict(line))
        return line

    processors = structlog.get_config()["processors"]
    processors.insert(0, hear)
    try:
        yield heard
    finally:
        processors.remove(hear)
