"""A log as it looks after some time of selling: orders with five events each, all of them wanted by their summaries.

The events are declared ones, stored as the codec makes them, but written by COPY: appending them would take an hour.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple
from uuid import UUID

import psycopg

from eventstore.codec import encoder
from eventstore.context import new_id
from eventstore.events import Event
from ordering.domain.order import OrderCancelled, OrderConfirmed, OrderPlaced, OrderStatusMailRequested
from ordering.domain.payment import PaymentAccepted, PaymentRequested
from ordering.domain.seats import PricedLine, total
from ordering.domain.values import Money, order_number

EVENTS_AN_ORDER = 5
STEP = timedelta(milliseconds=40)
"""From one event to the next."""

_COPY = """COPY eventstore_event (stream_id, category, version, type, schema_version, data, event_id, correlation_id,
    causation_id, actor, metadata, recorded_at) FROM STDIN"""
_BEGIN = datetime(2030, 1, 1, 8, tzinfo=UTC)
_CHUNK = 1_000

_LINES = [
    (PricedLine("standard", 1, Money(Decimal("199.00"), "EUR")),),
    (PricedLine("standard", 2, Money(Decimal("199.00"), "EUR")),),
    (
        PricedLine("standard", 2, Money(Decimal("199.00"), "EUR")),
        PricedLine("workshop", 1, Money(Decimal("349.50"), "EUR")),
    ),
]


class Parties(NamedTuple):
    """Who orders of whom, by their ids."""

    customers: Sequence[UUID]
    conferences: Sequence[UUID]


_SOME = Parties([new_id() for _ in range(5_000)], [new_id() for _ in range(20)])


def load(
    url: str,
    events: int,
    *,
    apart: int = 0,
    mails: int = 1,
    parties: Parties = _SOME,
    begin: datetime = _BEGIN,
) -> None:
    """Go on with a log, as the owner, by so many `events`, those of one order `apart` positions on average.

    With `apart` 0 they follow each other. Every order has four, and one for each of its `mails`; every tenth was
    cancelled in the end, and asked for one mail less. Of the `parties` the log may know nothing else.
    """
    orders = events // (EVENTS_AN_ORDER - 1 + mails)
    with psycopg.connect(url) as connection:
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            lines: list[str] = []
            for number, line in enumerate(_in_order(orders, apart, mails, parties)):
                lines.append(f"{line}\t{begin + number * STEP}\n")
                if len(lines) == _CHUNK:
                    copy.write("".join(lines))
                    lines.clear()
            copy.write("".join(lines))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE) eventstore_event")


def _in_order(orders: int, apart: int, mails: int, parties: Parties) -> Iterator[str]:
    """The rows of all orders, each order's drawn out: a new one begins where the last would have ended."""
    random = Random(1)
    waiting: list[tuple[float, int, str]] = []
    written = 0
    for number in range(orders):
        place = float(number * (EVENTS_AN_ORDER - 1 + mails))
        while waiting and waiting[0][0] < place:
            yield heappop(waiting)[2]
        correlation_id = new_id()
        for category, stream_id, version, event in events_of(number, random, mails, parties):
            heappush(waiting, (place, written, _row(event, category, stream_id, version, correlation_id)))
            written += 1
            place += apart * random.uniform(0.5, 1.5)
    while waiting:
        yield heappop(waiting)[2]


def events_of(
    number: int, random: Random, mails: int = 1, parties: Parties = _SOME
) -> list[tuple[str, UUID, int, Event]]:
    """What happened to one order: category, stream and version of each event, and the event."""
    order_id, payment_id = new_id(), new_id()
    customer_id, lines = random.choice(parties.customers), random.choice(_LINES)
    amount = total(lines)
    placed = OrderPlaced(
        order_id=order_id,
        number=order_number(order_id.int),
        customer_id=customer_id,
        conference_id=random.choice(parties.conferences),
        lines=lines,
        total=amount,
        expires_at=_BEGIN + number * EVENTS_AN_ORDER * STEP + timedelta(minutes=15),
    )
    requested = PaymentRequested(payment_id=payment_id, order_id=order_id, amount=amount, provider="card")
    accepted = PaymentAccepted(
        payment_id=payment_id, order_id=order_id, amount=amount, reference=f"R{number:08}", provider=""
    )
    last: list[Event] = [OrderStatusMailRequested(order_id=order_id, customer_id=customer_id)] * mails
    if number % 10 == 0:
        last[-1] = OrderCancelled(order_id=order_id, reason="cannot come")
    return [
        ("order", order_id, 1, placed),
        ("payment", payment_id, 1, requested),
        ("payment", payment_id, 2, accepted),
        ("order", order_id, 2, OrderConfirmed(order_id=order_id)),
        *(("order", order_id, version, event) for version, event in enumerate(last, 3)),
    ]


def _row(event: Event, category: str, stream_id: UUID, version: int, correlation_id: UUID) -> str:
    data = encoder.encode(event).decode().replace("\\", "\\\\")
    metadata = f'{{"root": "{correlation_id}"}}'
    return (
        f"{stream_id}\t{category}\t{version}\t{event.stored}\t{event.schema}\t{data}\t{new_id()}\t{correlation_id}"
        f"\t{correlation_id}\tbenchmark\t{metadata}"
    )
