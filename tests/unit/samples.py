"""Things that the tests talk about: a customer, a conference with a few seats, an order."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from eventstore.testing import NOON
from ordering.domain.customer import CustomerRegistered
from ordering.domain.order import OrderPlaced
from ordering.domain.scheduling import ConferenceScheduled
from ordering.domain.seats import PricedLine, SeatsAdded, SeatType
from ordering.domain.values import Money, order_number

ADA = UUID("01890000-0000-7000-8000-00000000000a")
CONFERENCE = UUID("01890000-0000-7000-8000-00000000000c")
ORDER = UUID("01890000-0000-7000-8000-000000000001")
ANOTHER_ORDER = UUID("01890000-0000-7000-8000-000000000002")


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


STANDARD = SeatType("standard", "Standard", euros("199.00"), capacity=10, max_per_order=4)
BALCONY = SeatType("balcony", "Balcony", euros("99.50"), capacity=2, max_per_order=2)

REGISTERED = CustomerRegistered(customer_id=ADA, name="Ada", email="ada@example.com")
SCHEDULED = ConferenceScheduled(
    conference_id=CONFERENCE,
    name="Logs",
    opens_at=NOON - timedelta(days=1),
    closes_at=NOON + timedelta(days=1),
    starts_at=NOON + timedelta(days=2),
    time_zone="UTC",
    place="",
)
ON_SALE = (
    SCHEDULED,
    SeatsAdded(conference_id=CONFERENCE, seat_type=STANDARD),
    SeatsAdded(conference_id=CONFERENCE, seat_type=BALCONY),
)
PLACED = OrderPlaced(
    order_id=ORDER,
    number=order_number(0),
    customer_id=ADA,
    conference_id=CONFERENCE,
    lines=(PricedLine("standard", 2, STANDARD.price),),
    total=euros("398.00"),
    expires_at=NOON + timedelta(minutes=15),
)
