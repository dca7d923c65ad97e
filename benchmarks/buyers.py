"""What clients do that buy: an existing customer orders two seats and pays for them."""

import time
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from random import Random
from uuid import UUID, uuid5

from django.utils import timezone

from benchmarks.clients import Job
from benchmarks.report import say
from benchmarks.site import until
from eventstore.aggregates import Command
from eventstore.commands import Receipt, dispatch
from eventstore.context import acting, new_id
from eventstore.errors import StreamExists
from eventstore.transient_errors import is_infrastructure
from ordering.domain.customer import RegisterCustomer
from ordering.domain.order import PlaceOrder
from ordering.domain.payment import AcceptPayment
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import Line, SeatType
from ordering.domain.values import Money, payment_id_of
from ordering.models import OrderSummary

CAPACITY, MOST = 1_000_000, 6
PRICE = Money(Decimal("199.00"), "EUR")
QUANTITIES = {"standard": 2}
CUSTOMERS = 10  # of each client
PATIENCE = 60.0  # seconds for workers to finish what a request left to them

_LINES = tuple(Line(code, quantity) for code, quantity in QUANTITIES.items())
_TOTAL = PRICE * sum(QUANTITIES.values())
_CONFERENCES = UUID("0d3f1a52-6a0b-4d55-9d5e-0f7c3b1e9a44")

Status = OrderSummary.Status


class Reserve(Job):
    """An order that nobody pays for, over when it has its seats and can be read. Clients share a conference."""

    def __init__(self, client: int, conference: int) -> None:
        super().__init__(client)
        self._customer, self._conference_id = customer(), on_sale(f"hot {conference}")

    def once(self) -> None:
        _place(self._customer, self._conference_id)


class Buy(Job):
    """A whole sale through the command bus, over when the order is confirmed, its seats are sold, and both can be read.

    Clients share so many `conferences`.
    """

    def __init__(self, client: int, conferences: int) -> None:
        super().__init__(client)
        self._random, self._customers = Random(client), [customer() for _ in range(CUSTOMERS)]
        self._conference_id = on_sale(f"{client % conferences + 1} of {conferences}")

    def once(self) -> None:
        order_id = _place(self._random.choice(self._customers), self._conference_id)
        reference = f"REF-{order_id.hex[-12:].upper()}"
        accept = AcceptPayment(payment_id=payment_id_of(order_id), amount=_TOTAL, reference=reference)
        with acting(correlation_id=new_id(), actor="provider:sandbox"):
            _carry_out(accept, order_id, Status.CONFIRMED)


def _place(customer_id: UUID, conference_id: UUID) -> UUID:
    order_id = new_id()
    place = PlaceOrder(order_id=order_id, customer_id=customer_id, conference_id=conference_id, lines=_LINES)
    with acting(correlation_id=new_id(), actor=f"customer:{customer_id}"):
        _carry_out(place, order_id, Status.AWAITING_PAYMENT)
    return order_id


def _carry_out(command: Command, order_id: UUID, status: Status) -> None:
    """Until the order has this status. Where a request could not wait for that, look as its client would."""
    if not _dispatched(command).settled:
        orders = OrderSummary.objects.filter(pk=order_id, status=status)
        until(orders.exists, PATIENCE, f"order {order_id} is {status}")


def _dispatched(command: Command) -> Receipt:
    """Under the same id again where the database can't do it now: what was committed before that is not done twice."""
    command_id, deadline = new_id(), time.monotonic() + PATIENCE
    while True:
        try:
            return dispatch(command, command_id=command_id)
        except Exception as error:
            if not is_infrastructure(error) or time.monotonic() > deadline:
                raise
            say(f"again, after {type(error).__name__}: {command.stored}")


def customer() -> UUID:
    """A new one."""
    customer_id = new_id()
    _dispatched(RegisterCustomer(customer_id=customer_id, name="Ada Allen", email=f"{customer_id.hex}@example.org"))
    return customer_id


def on_sale(name: str, capacity: int = CAPACITY) -> UUID:
    """The conference of this name, whichever client is first to ask for it."""
    conference_id, now = uuid5(_CONFERENCES, name), timezone.now()
    schedule = ScheduleConference(
        conference_id=conference_id,
        name=name,
        starts_at=now + timedelta(days=30),
        opens_at=now - timedelta(days=1),
        closes_at=now + timedelta(days=29),
        seat_types=tuple(SeatType(code, code.title(), PRICE, capacity, MOST) for code in QUANTITIES),
    )
    with suppress(StreamExists):
        _dispatched(schedule)
    return conference_id
