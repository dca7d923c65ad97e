"""What clients do that write. Those who append record the same order, each time to a stream of its own."""

import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec
import psycopg

from benchmarks.clients import Job
from benchmarks.watcher import EACH, customer_of
from eventstore import context, store
from eventstore.codec import encode
from eventstore.commands import dispatch
from eventstore.subscriptions import feeding, read_your_writes
from eventstore.subscriptions.read_your_writes import Settled
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.domain.customer import ChangeCustomer, CustomerRegistered, RegisterCustomer
from ordering.domain.order import OrderPlaced
from ordering.domain.seats import PricedLine
from ordering.domain.values import Money, order_number

TWIN = "benchmark_insert"
CUSTOMERS = 200  # of each client, so that no stream grows long


def placed(order_id: UUID) -> OrderPlaced:
    price = Money(Decimal("199.00"), "EUR")
    return OrderPlaced(
        order_id=order_id,
        number=order_number(order_id.int),
        customer_id=order_id,
        conference_id=order_id,
        lines=(PricedLine("standard", 2, price), PricedLine("workshop", 1, price)),
        total=price * 3,
        expires_at=datetime.now(UTC) + timedelta(minutes=15),
    )


class Append(Job):
    """Ours, as any caller would: declared events, encoded and checked, versions checked, announced to readers."""

    def __init__(self, client: int, events: int) -> None:
        super().__init__(client)
        self._template = placed(context.new_id())
        self._events = events

    def once(self) -> None:
        order_id = context.new_id()
        events = [msgspec.structs.replace(self._template, order_id=order_id) for _ in range(self._events)]
        store.append(store.Changes(stream_id=order_id, category="order", expected=0, events=events))


class Insert(Job):
    """The limit: one prepared INSERT of so many rows, committed by itself, into a table and indexes like the log's.

    Everything that can be made beforehand is; only the ids are new each time. Nothing is checked, and no reader could
    follow such a log without missing events.
    """

    def __init__(self, client: int, events: int) -> None:
        super().__init__(client)
        self._cursor = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True).cursor()
        row = f"({', '.join(['%s'] * 11)})"
        self._statement = f"""INSERT INTO {TWIN} (stream_id, category, version, type, schema_version, data, event_id,
            correlation_id, causation_id, actor, metadata) VALUES {", ".join([row] * events)}"""
        self._data = encode(placed(context.new_id())).decode()
        self._events = events

    def once(self) -> None:
        stream_id, correlation_id, data = context.new_id(), context.new_id(), self._data
        values: list[Any] = []
        for version in range(1, self._events + 1):
            values += stream_id, "order", version, "order.placed", 1, data, context.new_id(), correlation_id, None
            values += "", "{}"
        self._cursor.execute(self._statement, values, prepare=True)


class Register(Job):
    """A command from beginning to end: the address claimed, the event appended, all sync subscribers fed."""

    def once(self) -> None:
        customer_id = context.new_id()
        dispatch(RegisterCustomer(customer_id=customer_id, name="Ada Allen", email=f"{customer_id.hex}@example.org"))


class Rename(Job):
    """A command to a customer who is there already, another one each time."""

    def __init__(self, client: int) -> None:
        super().__init__(client)
        self._random = Random(client)
        self._customers = [context.new_id() for _ in range(CUSTOMERS)]
        register(self._customers)

    def once(self) -> None:
        name = f"Ada {self._random.getrandbits(48):012x}"
        dispatch(ChangeCustomer(customer_id=self._random.choice(self._customers), name=name))


class RenameInTurn(Job):
    """A command to one of the client's customers after the other, each an event; over as soon as it is committed."""

    def __init__(self, client: int, turn: int) -> None:
        super().__init__(client)
        self._turn, self._number = turn, 0
        self._random = Random(client)
        self._committed = 0.0
        self._settle = read_your_writes.settle
        patch.object(read_your_writes, "settle", self._committed_and_settle).start()
        registry.make_rows()
        for number in range(EACH):
            _register(customer_of(turn, client, number))

    def once(self) -> float:
        customer_id = customer_of(self._turn, self.client, self._number)
        dispatch(ChangeCustomer(customer_id=customer_id, name=f"Ada {self._random.getrandbits(48):012x}"))
        self._number += 1
        return self._committed

    def _committed_and_settle(self, root: UUID, position: int, *, using: str) -> Settled:
        """What dispatch does first after the commit."""
        self._committed = time.monotonic()
        return self._settle(root, position, using=using)


def register(customers: Iterable[UUID]) -> None:
    """Let these be customers, whom the sync subscribers know."""
    registry.make_rows()
    for customer_id in customers:
        _register(customer_id)
    feeding.catch_up(registry.of(Mode.SYNC))


def _register(customer_id: UUID) -> None:
    registered = CustomerRegistered(customer_id=customer_id, name="Ada Allen", email="ada@example.org")
    store.append(store.Changes(stream_id=customer_id, category="customer", expected=0, events=[registered]))
