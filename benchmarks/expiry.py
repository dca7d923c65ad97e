"""Orders whose payment windows end when we want: all at one moment, or so many a second.

They are placed through the command path, so each has an instance of the sale with a timer of its own. Then the timers
are moved, by an UPDATE of their `due_at`, which is what the operation "Move timer" does for one. From there on
nothing is ours: the installation fires them, and sends each order the command to expire.

Imported once Django knows the database.
"""

import msgspec
import psycopg

from benchmarks.errors import promise
from benchmarks.lateness import Lateness
from benchmarks.report import say
from benchmarks.rounds import percentiles
from benchmarks.site import Site, select, until
from eventstore.commands import dispatch
from eventstore.context import new_id
from ordering import simulation
from ordering.domain.customer import RegisterCustomer
from ordering.domain.order import PlaceOrder
from ordering.domain.seats import Line

AHEAD = 5.0
"""Seconds until the first is due: what workers were called for before is over by then."""

AT_ONCE = 500
"""Orders that are placed before their timers are put off: far fewer than are placed in the time they have to pay."""

PATIENCE = 300.0  # seconds for the last command to be carried out
LOOK_EVERY = 0.2  # seconds, so that looking costs the workers nothing

_PUT_OFF = """UPDATE sagas_timer SET due_at = now() + interval '1 day'
    WHERE status = 'waiting' AND due_at < now() + interval '1 hour'"""
_MOVE = """UPDATE sagas_timer AS timer SET due_at = now() + make_interval(secs => %s + %s * moved.place)
    FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM sagas_timer
        WHERE status = 'waiting' ORDER BY id LIMIT %s) AS moved
    WHERE timer.id = moved.id RETURNING timer.id"""
_WAITING = "SELECT count(*) FROM sagas_timer WHERE id = ANY(%s) AND status = 'waiting'"
_UNSENT = "SELECT count(*) FROM sagas_outbox WHERE status IN ('pending', 'parked')"
_LATENESS = """SELECT extract(epoch FROM timer.fired_at - timer.due_at)::float,
        extract(epoch FROM command.finished_at - timer.due_at)::float
    FROM sagas_timer AS timer JOIN sagas_outbox AS command USING (command_id)
    WHERE timer.id = ANY(%s) AND timer.status = 'fired' AND command.status = 'done'"""


def place(site: Site, orders: int) -> None:
    """Place that many orders, none of which expires before it is told to."""
    conference_id, customer_id = simulation.schedule("Timers", seats=2 * orders), new_id()
    dispatch(RegisterCustomer(customer_id=customer_id, name="Ada Allen", email=f"{customer_id.hex}@example.org"))
    order = PlaceOrder(
        order_id=customer_id, customer_id=customer_id, conference_id=conference_id, lines=(Line("standard", 1),)
    )
    with site.as_application() as application:
        for number in range(orders):
            dispatch(msgspec.structs.replace(order, order_id=new_id()))
            if number % AT_ONCE == 0:
                application.execute(_PUT_OFF)
        _wait_for_rest(application)
        application.execute(_PUT_OFF)


def play(site: Site, rounds: int, name: str, orders: int, every: float = 0.0) -> Lateness:
    """Round after round let so many orders expire, one `every` so many seconds, or all at once.

    Answers by how many seconds each timer fired late, and how long after it was due its order was told to expire.
    Raises `BenchmarkFailed` unless every order expires.
    """
    found = Lateness([], [])
    with site.as_application() as application:
        for number in range(1, rounds + 1):
            fired, sent = _expire(application, orders, every)
            found.fired.extend(fired)
            found.sent.extend(sent)
            late, done = percentiles(fired)[1], percentiles(sent)[1]
            say(f"round {number} of {rounds}: {name}, fired p99 {late:.0f} ms, carried out p99 {done:.0f} ms")
    return found


def _expire(application: psycopg.Connection, orders: int, every: float) -> Lateness:
    timers = [timer for (timer,) in select(application, _MOVE, AHEAD, every, orders)]
    promise(len(timers) == orders, f"Of {orders} orders only {len(timers)} wait for their payment.")
    until(lambda: select(application, _WAITING, timers) == [(0,)], PATIENCE, "every timer fires", pause=LOOK_EVERY)
    _wait_for_rest(application)
    found = select(application, _LATENESS, timers)
    promise(len(found) == orders, f"Of {orders} orders {orders - len(found)} refused to expire.")
    return Lateness([fired for fired, _ in found], [sent for _, sent in found])


def _wait_for_rest(application: psycopg.Connection) -> None:
    """Until the sale of every order has sent what it wants to send."""
    until(lambda: select(application, _UNSENT) == [(0,)], PATIENCE, "every command is sent", pause=LOOK_EVERY)
