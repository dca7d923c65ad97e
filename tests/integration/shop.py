"""A conference on sale, customers and orders, as most tests need them."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.utils import timezone

from eventstore import repository, store
from eventstore.commands import Receipt, dispatch
from eventstore.context import new_id
from ordering.domain.customer import Customer, RegisterCustomer
from ordering.domain.order import PlaceOrder
from ordering.domain.payment import AcceptPayment
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import Line, SeatType
from ordering.domain.values import Money, payment_id_of
from ordering.domain.waitlist import JoinWaitlist, waitlist_id_of
from ordering.pages.links import profile_token
from tests.integration.processes import eventually

PRICE = Money(Decimal("99.50"), "EUR")


def conference_on_sale(capacity: int = 100, *, name: str = "PyCon", price: Money = PRICE) -> UUID:
    conference_id, now = new_id(), timezone.now()
    dispatch(
        ScheduleConference(
            conference_id=conference_id,
            name=name,
            starts_at=now + timedelta(days=30),
            opens_at=now - timedelta(days=1),
            closes_at=now + timedelta(days=29),
            seat_types=(SeatType("standard", "Standard", price, capacity, 10),),
        )
    )
    return conference_id


def customer(name: str = "Ada Lovelace", domain: str = "example.org") -> UUID:
    customer_id = new_id()
    dispatch(RegisterCustomer(customer_id=customer_id, name=name, email=f"{customer_id.hex}@{domain}"))
    return customer_id


def profile_path(customer_id: UUID) -> str:
    """Where a link leads that was sent to the address that a customer has."""
    return f"/profile/{profile_token(customer_id, repository.get(Customer, customer_id).email)}"


def order(customer_id: UUID, conference_id: UUID, seats: int = 1) -> UUID:
    return place(customer_id, conference_id, seats).stream_id


def place(customer_id: UUID, conference_id: UUID, seats: int = 1) -> Receipt:
    return dispatch(
        PlaceOrder(
            order_id=new_id(),
            customer_id=customer_id,
            conference_id=conference_id,
            lines=(Line("standard", seats),),
        )
    )


def pay(order_id: UUID, seats: int = 1, *, reference: str = "") -> Receipt:
    """Pays as soon as the payment was asked for, which on a busy machine a worker does later than the order."""
    payment_id = payment_id_of(order_id)
    eventually(lambda: store.version_of(payment_id), what="the payment is asked for")
    reference = reference or f"REF-{order_id.hex[-12:]}"
    return dispatch(AcceptPayment(payment_id=payment_id, amount=PRICE * seats, reference=reference))


def wait(customer_id: UUID, conference_id: UUID, seats: int = 1) -> UUID:
    """Joins the waitlist, by wish; answers the id of the entry."""
    entry_id = new_id()
    dispatch(
        JoinWaitlist(
            waitlist_id=waitlist_id_of(conference_id),
            conference_id=conference_id,
            entry_id=entry_id,
            customer_id=customer_id,
            lines=(Line("standard", seats),),
        )
    )
    return entry_id
