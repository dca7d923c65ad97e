"""What the measured processes of the benchmarks `rebuild` and `events_verify` do: each goes through one log once,
reports, and ends.

Started as `python -m benchmarks.folding CONTENDER SCHEMA INDEX COUNT`; says a line when it is ready, begins at a line
of input, and answers with one JSON object.
"""

import gc
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import django
import msgspec
import psycopg
from psycopg import sql

TABLE = "ordering_ordersummary"
PROJECTION = "order-summaries"


class Folded(msgspec.Struct, frozen=True):
    """How many events a process folded, in how many seconds, and the most memory it ever held."""

    events: int
    began: float
    ended: float
    peak_mib: float


def make_table(url: str, schema: str) -> None:
    """An empty twin of the table of order summaries, with its indexes."""
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        names = {"schema": sql.Identifier(schema), "table": sql.Identifier(TABLE)}
        for statement in (
            "DROP SCHEMA IF EXISTS {schema} CASCADE",
            "CREATE SCHEMA {schema}",
            "CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)",
        ):
            cursor.execute(sql.SQL(statement).format(**names))


class Rebuild:
    """Ours: what the Rebuild button begins and workers do, from an empty table until it is live."""

    def __init__(self, schema: str, index: int, count: int) -> None:
        from eventstore.subscriptions.registry import registry
        from projections.models import Generation
        from projections.rebuild import generations

        self.index = index
        # Read from the source once in the life of a worker.
        assert generations.projection_named(PROJECTION).fingerprint
        if index == 0:
            registry.make_rows()
            Generation.objects.filter(status=Generation.Status.BUILDING).delete()
            generations.rebuild(PROJECTION, parts=count)

    def __call__(self) -> int:
        from projections.models import Generation, Part
        from projections.rebuild import builder

        generation = Generation.objects.filter(projection=PROJECTION).latest("id")
        part = Part.objects.get(generation=generation, shard=self.index)
        while not builder.build(part.pk) and generation.status == Generation.Status.BUILDING:
            generation.refresh_from_db()
        part.refresh_from_db()
        return part.processed


class Price(msgspec.Struct):
    amount: str
    currency: str


class Placed(msgspec.Struct):
    order_id: UUID
    number: str
    customer_id: UUID
    conference_id: UUID
    lines: msgspec.Raw
    total: Price
    expires_at: datetime


class Paid(msgspec.Struct):
    order_id: UUID
    payment_id: UUID
    amount: Price


class Moved(msgspec.Struct):
    order_id: UUID


class Row:
    order_id: UUID
    number: str
    customer_id: UUID
    conference_id: UUID
    status: str
    lines: msgspec.Raw
    total: str
    currency: str
    placed_at: datetime
    expires_at: datetime
    payment_id: UUID
    payment_status: str
    payment_amount: str
    version: int
    as_of: int
    __slots__ = tuple(__annotations__)

    def line(self) -> str:
        """A line of COPY."""
        lines = bytes(self.lines).decode().replace("\\", "\\\\")
        return (
            f"{self.as_of}\t{self.order_id}\t{self.number}\t{self.customer_id}\t{self.conference_id}\t{self.status}"
            f"\t{lines}\t{self.total}\t{self.currency}\t{self.placed_at}\t{self.expires_at}\t{self.payment_id}"
            f"\t{self.payment_status}\t{self.payment_amount}\t{self.version}\n"
        )


def _placed(row: Row, event: Placed, version: int, recorded_at: datetime) -> None:
    row.number, row.customer_id, row.conference_id = event.number, event.customer_id, event.conference_id
    row.lines, row.total, row.currency = event.lines, event.total.amount, event.total.currency
    row.placed_at, row.expires_at = recorded_at, event.expires_at
    row.status, row.version = "placed", version


def _requested(row: Row, event: Paid, version: int, recorded_at: datetime) -> None:
    row.payment_id, row.payment_status, row.payment_amount = event.payment_id, "requested", event.amount.amount
    if row.status == "placed":
        row.status = "awaiting_payment"


def _accepted(row: Row, event: Paid, version: int, recorded_at: datetime) -> None:
    row.payment_status, row.payment_amount = "accepted", event.amount.amount


def _confirmed(row: Row, event: Moved, version: int, recorded_at: datetime) -> None:
    row.status, row.version = "confirmed", version


def _mailed(row: Row, event: Moved, version: int, recorded_at: datetime) -> None:
    row.version = version


def _cancelled(row: Row, event: Moved, version: int, recorded_at: datetime) -> None:
    row.status, row.version = "cancelled", version


HANDLERS: dict[str, tuple[Callable[[str], Any], Callable[[Row, Any, int, datetime], None]]] = {
    "order.placed": (msgspec.json.Decoder(Placed).decode, _placed),
    "payment.requested": (msgspec.json.Decoder(Paid).decode, _requested),
    "payment.accepted": (msgspec.json.Decoder(Paid).decode, _accepted),
    "order.confirmed": (msgspec.json.Decoder(Moved).decode, _confirmed),
    "order.status-mail-requested": (msgspec.json.Decoder(Moved).decode, _mailed),
    "order.cancelled": (msgspec.json.Decoder(Moved).decode, _cancelled),
}

_LEAN = """SELECT position, version, type, data::text, recorded_at FROM eventstore_event
    WHERE position > 0 AND type = ANY(%s) ORDER BY position"""
_INDEXES = """SELECT format('DROP INDEX %%I.%%I', schemaname, indexname), indexdef FROM pg_indexes
    WHERE schemaname = %s AND indexdef NOT LIKE 'CREATE UNIQUE%%'"""
_COPY = """COPY {}.ordering_ordersummary (as_of, order_id, number, customer_id, conference_id, status, lines, total,
    currency, placed_at, expires_at, payment_id, payment_status, payment_amount, version) FROM STDIN"""


def by_hand(schema: str) -> int:
    """The limit: a loop written for this one table, which holds all of it in memory and can't be stopped half-way."""
    gc.disable()
    rows: dict[UUID, Row] = {}
    done = 0
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
        cursor = connection.cursor()
        indexes = cursor.execute(_INDEXES, [schema]).fetchall()
        for dropping, _ in indexes:
            cursor.execute(dropping)
        for position, version, kind, data, recorded_at in cursor.stream(_LEAN, [list(HANDLERS)], binary=True, size=500):
            decode, handle = HANDLERS[kind]
            event = decode(data)
            row = rows.get(event.order_id)
            if row is None:
                row = rows[event.order_id] = Row()
                row.order_id = event.order_id
            handle(row, event, version, recorded_at)
            row.as_of = position
            done += 1
        lines = list(rows.values())
        with cursor.copy(_COPY.format(schema)) as copy:
            for begin in range(0, len(lines), 1_000):
                copy.write("".join([row.line() for row in lines[begin : begin + 1_000]]))
        for _, making in indexes:
            cursor.execute(making)
    return done


def as_peer(schema: str) -> int:
    """The library `eventsourcing`, over a log of its own."""
    from benchmarks import peer_view

    return peer_view.fold(os.environ["DATABASE_OWNER_URL"], schema)


def verify() -> int:
    """What `manage.py events verify` does."""
    from eventstore import store
    from eventstore.event_types import verification

    read = 0
    for progress in verification.verify(upto=store.horizon()):
        assert not progress.unreadable
        read = progress.read
    return read


CONTENDERS: dict[str, Callable[[str, int, int], Callable[[], int]]] = {
    "rebuild": Rebuild,
    "loop": lambda schema, index, count: partial(by_hand, schema),
    "peer": lambda schema, index, count: partial(as_peer, schema),
    "verify": lambda schema, index, count: verify,
}


def main() -> None:
    contender, schema, index, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    django.setup()
    fold = CONTENDERS[contender](schema, index, count)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    events = fold()
    ended = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(msgspec.json.encode(Folded(events, began, ended, peak)).decode(), flush=True)
    os._exit(0)  # the peer's threads would wait for more events


if __name__ == "__main__":
    main()
