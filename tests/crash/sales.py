"""A few sales at the same time, each with a fate of its own. All that people do has an id of its own, so whoever asks
again what died before it answered has it done once.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from eventstore import context
from eventstore.aggregates import Command
from eventstore.commands import carry_out, dispatch
from eventstore.models import StoredEvent
from ordering.domain.customer import RegisterCustomer
from ordering.domain.order import CancelOrder, ExpireOrder, PlaceOrder
from ordering.domain.payment import AcceptPayment
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import Line, SeatType
from ordering.domain.values import payment_id_of
from sagas.models import Timer
from tests.integration.shop import PRICE

SEATS = 10
FATES = ("paid", "paid as well", "paid too late", "never paid", "cancelled", "without seats")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

ENDS = {
    "paid": ("confirmed", "accepted"),
    "paid as well": ("confirmed", "accepted"),
    "paid too late": ("confirmed", "accepted"),
    "never paid": ("expired", "requested"),
    "cancelled": ("refunded", "refunded"),
    "without seats": ("expired", ""),
}
"""What is to become of the order and of its payment."""

LAST = {
    "paid": {"seats.sold"},
    "paid as well": {"seats.sold"},
    "paid too late": {"order.taken-up", "seats.sold"},
    "never paid": {"seats.released"},
    "cancelled": {"order.refund-debited", "seats.released"},
    "without seats": {"order.expired", "seats.refused"},
}
"""What happens last."""


class Sale(NamedTuple):
    """One customer with one order."""

    fate: str
    customer_id: UUID
    order_id: UUID


class Sales:
    """Every id comes from the seed, so that several processes can go on with the same sales."""

    def __init__(self, seed: UUID) -> None:
        self.seed = seed
        self.conference_id = uuid5(seed, "conference")
        self.all = [Sale(fate, uuid5(seed, f"customer {fate}"), uuid5(seed, f"order {fate}")) for fate in FATES]

    def open(self) -> None:
        """There is a conference, and customers."""
        now = timezone.now()
        schedule = ScheduleConference(
            conference_id=self.conference_id,
            name="PyCon",
            starts_at=now + timedelta(days=30),
            opens_at=now - timedelta(days=1),
            closes_at=now + timedelta(days=29),
            seat_types=(
                SeatType("standard", "Standard", PRICE, SEATS, 2),
                SeatType("balcony", "Balcony", PRICE, 1, 2),
            ),
        )
        self._do(schedule)
        for sale in self.all:
            email = f"{sale.customer_id.hex}@example.org"
            self._do(RegisterCustomer(customer_id=sale.customer_id, name="Ada", email=email))

    def go_on(self) -> None:
        """Let people do what they would do next, if they haven't yet."""
        happened = self.happened()
        for sale in self.all:
            done = happened[sale.order_id]
            if "order.placed" not in done:
                self._place(sale)
            elif "payment.requested" in done and "payment.accepted" not in done:
                self._pay(sale)
            elif "order.confirmed" in done and sale.fate == "cancelled":
                self._do(CancelOrder(order_id=sale.order_id))

    def happened(self) -> dict[UUID, set[str]]:
        """The types of the events of each order, payment and reservation among them."""
        found = defaultdict[UUID, set[str]](set)
        for order_id, kind in StoredEvent.objects.values_list("data__order_id", "type"):
            if order_id:
                found[UUID(order_id)].add(kind)
        return found

    def are_over(self) -> bool:
        happened = self.happened()
        return all(LAST[sale.fate] <= happened[sale.order_id] for sale in self.all)

    def _place(self, sale: Sale) -> None:
        without_seats = sale.fate == "without seats"
        place = PlaceOrder(
            order_id=sale.order_id,
            customer_id=sale.customer_id,
            conference_id=self.conference_id,
            lines=(Line("balcony", 2) if without_seats else Line("standard", 1),),
        )
        if without_seats:
            self._at_once(place, ExpireOrder(order_id=sale.order_id))
        self._do(place)

    def _pay(self, sale: Sale) -> None:
        payment_id, reference = payment_id_of(sale.order_id), f"REF-{sale.order_id.hex[-6:]}"
        accept = AcceptPayment(payment_id=payment_id, amount=PRICE, reference=reference)
        if sale.fate == "never paid":
            Timer.objects.filter(key=sale.order_id, status="waiting").update(due_at=LONG_AGO)
            return
        if sale.fate == "paid too late":
            self._at_once(accept, ExpireOrder(order_id=sale.order_id))
        self._do(accept)

    def _at_once(self, *commands: Command) -> None:
        """Nobody sees the one without the other: so money is booked for an order that has expired, and one is to be
        refused that can't be any more.
        """
        with transaction.atomic(durable=True), context.acting(root=self._id(commands[0])):
            for command in commands:
                carry_out(command, self._id(command), using="default")

    def _do(self, command: Command) -> None:
        dispatch(command, command_id=self._id(command))

    def _id(self, command: Command) -> UUID:
        return uuid5(self.seed, f"{command.stored} {command.stream_id}")
