"""The peer's read side: a projection of `eventsourcing` over its PostgreSQL recorders, run by its own runner."""

from random import Random
from typing import Any

import msgspec
import psycopg
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg import sql
from psycopg.types.json import Jsonb

from benchmarks import history
from benchmarks.peer import Orders, environment

BATCH = 100
PATIENCE = 600.0

_PLACE = """INSERT INTO {}.ordering_ordersummary (order_id, number, customer_id, conference_id, status, lines, total,
    currency, placed_at, expires_at, payment_status, version, as_of)
    VALUES (%s, %s, %s, %s, 'placed', %s, %s, %s, %s, %s, '', 1, %s)"""
_REQUEST = """UPDATE {}.ordering_ordersummary SET payment_id = %s, payment_status = 'requested', payment_amount = %s,
    status = 'awaiting_payment', as_of = %s WHERE order_id = %s"""
_ACCEPT = """UPDATE {}.ordering_ordersummary SET payment_status = 'accepted', payment_amount = %s, as_of = %s
    WHERE order_id = %s"""
_CONFIRM = "UPDATE {}.ordering_ordersummary SET status = 'confirmed', version = 2, as_of = %s WHERE order_id = %s"
_TRACKING = r"SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE '%\_tracking'"
_MAIL = "UPDATE {}.ordering_ordersummary SET version = 3, as_of = %s WHERE order_id = %s"


class Sold(Aggregate):
    """An order with the five events of its life, their fields plain JSON values."""

    @event("Placed")
    def __init__(self, placed: dict[str, Any]) -> None:
        self.placed = placed

    @event("Requested")
    def request(self, payment_id: str, amount: str) -> None:
        self.payment_id = payment_id

    @event("Accepted")
    def accept(self, amount: str) -> None:
        self.paid = amount

    @event("Confirmed")
    def confirm(self) -> None:
        self.confirmed = True

    @event("Mailed")
    def mail(self) -> None:
        self.mailed = True


class View(PostgresTrackingRecorder):
    """Changes a row and records the position in one transaction, as its documentation shows."""

    schema = ""

    def change(self, statement: str, parameters: list[Any], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(statement.format(self.schema), parameters, prepare=True)
            self._insert_tracking(cursor, tracking)


class Summaries(Projection[View]):
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        kind, key, as_of = type(domain_event).__name__, domain_event.originator_id, tracking.notification_id
        if kind == "Placed":
            found = domain_event.placed
            row = [key, found["number"], found["customer_id"], found["conference_id"], Jsonb(found["lines"])]
            total = found["total"]
            row += total["amount"], total["currency"], domain_event.timestamp, found["expires_at"], as_of
            self.view.change(_PLACE, row, tracking)
        elif kind == "Requested":
            self.view.change(_REQUEST, [domain_event.payment_id, domain_event.amount, as_of, key], tracking)
        elif kind == "Accepted":
            self.view.change(_ACCEPT, [domain_event.amount, as_of, key], tracking)
        else:
            self.view.change(_CONFIRM if kind == "Confirmed" else _MAIL, [as_of, key], tracking)


def sell(url: str, events: int) -> None:
    """Fill the peer's own log with orders of five events."""
    application = Orders(env=environment(url, create_table=True))
    random = Random(1)
    for begin in range(0, events // history.EVENTS_AN_ORDER, BATCH):
        application.save(*(_sold(begin + number, random) for number in range(BATCH)))
    application.close()


def fold(url: str, schema: str) -> int:
    """Run the projection until it has applied every event. Its threads go on: end the process."""
    _begin_anew(url)
    View.schema = schema
    runner: ProjectionRunner[Orders, View]
    runner = ProjectionRunner(
        application_class=Orders, projection_class=Summaries, view_class=View, env=environment(url, create_table=True)
    )
    last = runner.app.recorder.max_notification_id()
    runner.wait(last, PATIENCE)
    return int(last or 0)


def _begin_anew(url: str) -> None:
    """Forget how far an earlier run came: it is recorded beside the log, and not in the schema of the rows."""
    with psycopg.connect(url) as connection:
        for (name,) in connection.execute(_TRACKING).fetchall():
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("public", name)))


def _sold(number: int, random: Random) -> Sold:
    placed, requested, accepted, *_ = (msgspec.to_builtins(event) for *_, event in history.events_of(number, random))
    order = Sold(placed=placed)
    order.request(payment_id=requested["payment_id"], amount=requested["amount"]["amount"])
    order.accept(amount=accepted["amount"]["amount"])
    order.confirm()
    order.mail()
    return order
