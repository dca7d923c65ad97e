"""A sale as it might really go: who buys, what they ask for, and how it ends. Everything goes through the command path.

A seed fixes every choice; ids are fresh, so the same seed sells again. What time would do (an order that expires) is
done by the command that the timer would send.
"""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.utils import timezone

from eventstore import repository
from eventstore.commands import Receipt, dispatch
from eventstore.context import acting, new_id
from eventstore.errors import DomainError
from ordering.domain.conference import ConferenceSeats
from ordering.domain.customer import RegisterCustomer
from ordering.domain.order import CancelOrder, ExpireOrder, Order, PlaceOrder, Status
from ordering.domain.payment import AcceptPayment, DeclinePayment
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import Line, SeatType
from ordering.domain.values import Money, payment_id_of

GIVEN_NAMES = [
    "Ada",
    "Alan",
    "Annie",
    "Barbara",
    "Dennis",
    "Donald",
    "Edsger",
    "Frances",
    "Grace",
    "Guido",
    "Hedy",
    "Joan",
    "Katherine",
    "Ken",
    "Leslie",
    "Lynn",
    "Margaret",
    "Niklaus",
    "Radia",
    "Tony",
]
FAMILY_NAMES = [
    "Allen",
    "Bartik",
    "Conway",
    "Dijkstra",
    "Easley",
    "Goldberg",
    "Hamilton",
    "Hoare",
    "Hopper",
    "Johnson",
    "Keller",
    "Knuth",
    "Lamport",
    "Liskov",
    "Lovelace",
    "Perlman",
    "Ritchie",
    "Thompson",
    "Turing",
    "Wirth",
]

# What becomes of an order that got its seats, and in how many cases of a hundred.
FATES = {"paid": 70, "expired": 10, "cancelled": 6, "cancelled after paying": 4, "declined, then paid": 4, "waiting": 6}


class Simulation:
    """Sells seats of one conference. `outcomes` counts how orders ended."""

    def __init__(self, seed: int, conference_id: UUID) -> None:
        self.random = random.Random(seed)
        self.conference_id = conference_id
        self.customers: list[UUID] = []
        self.outcomes: Counter[str] = Counter()

    def sell(self, orders: int) -> Iterator[str]:
        """Place and finish that many orders, one at each step; answers how it ended."""
        for _ in range(orders):
            with acting(correlation_id=new_id(), actor="simulation"):
                outcome = self._one_order()
            self.outcomes[outcome] += 1
            yield outcome

    def _one_order(self) -> str:
        order_id = new_id()
        line = Line(
            self.random.choices(("standard", "student", "workshop"), (70, 20, 10))[0], self.random.randint(1, 3)
        )
        fate = self.random.choices(list(FATES), list(FATES.values()))[0]
        try:
            dispatch(
                PlaceOrder(
                    order_id=order_id,
                    customer_id=self._customer(),
                    conference_id=self.conference_id,
                    lines=(line,),
                )
            )
        except DomainError as refusal:
            return f"not placed: {refusal.code}"
        if repository.get(Order, order_id).status is Status.REFUSED:
            return "refused"
        self._finish(order_id, fate)
        return fate

    def _finish(self, order_id: UUID, fate: str) -> None:
        match fate:
            case "paid":
                self._pay(order_id)
            case "declined, then paid":
                dispatch(DeclinePayment(payment_id=payment_id_of(order_id), reason="The card was declined."))
                self._pay(order_id)
            case "cancelled after paying":
                self._pay(order_id)
                dispatch(CancelOrder(order_id=order_id, reason="Something came up."))
            case "cancelled":
                dispatch(CancelOrder(order_id=order_id, reason="Found a better date."))
            case "expired":
                dispatch(ExpireOrder(order_id=order_id))

    def _pay(self, order_id: UUID) -> Receipt:
        total = repository.get(Order, order_id).total
        reference = f"SIM-{self.random.getrandbits(32):08X}-{order_id.hex[-8:].upper()}"
        return dispatch(AcceptPayment(payment_id=payment_id_of(order_id), amount=total, reference=reference))

    def _customer(self) -> UUID:
        """Mostly somebody new, sometimes one who has bought before."""
        if self.customers and self.random.random() < 0.3:
            return self.random.choice(self.customers)
        customer_id = new_id()
        given, family = self.random.choice(GIVEN_NAMES), self.random.choice(FAMILY_NAMES)
        email = f"{given}.{family}.{customer_id.hex[-8:]}@example.org".lower()
        dispatch(RegisterCustomer(customer_id=customer_id, name=f"{given} {family}", email=email))
        self.customers.append(customer_id)
        return customer_id


def schedule(name: str, *, seats: int, starts_in: timedelta = timedelta(days=60)) -> UUID:
    """Put a conference on sale now, with about as many seats, few of them for the workshop."""
    conference_id = new_id()
    now = timezone.now()
    dispatch(
        ScheduleConference(
            conference_id=conference_id,
            name=name,
            starts_at=now + starts_in,
            opens_at=now,
            closes_at=now + starts_in - timedelta(days=1),
            seat_types=(
                SeatType("standard", "Standard", Money(Decimal("199.00"), "EUR"), max(1, seats * 7 // 10), 6),
                SeatType("student", "Student", Money(Decimal("79.00"), "EUR"), max(1, seats * 2 // 10), 4),
                SeatType("workshop", "With workshop", Money(Decimal("349.00"), "EUR"), max(1, seats // 20), 4),
            ),
        )
    )
    return conference_id


def on_sale(conference_id: UUID) -> ConferenceSeats:
    """The seats of a conference. Raises `StreamNotFound`."""
    return repository.get(ConferenceSeats, conference_id)
