"""Things that the tests talk about: a customer, a conference with a few seats, an order."""

from decimal import Decimal
from uuid import UUID

from ordering.domain.customer import CustomerRegistered
from ordering.domain.values import Money

ADA = UUID("01890000-0000-7000-8000-00000000000a")
ORDER = UUID("01890000-0000-7000-8000-000000000001")


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


REGISTERED = CustomerRegistered(customer_id=ADA, name="Ada", email="ada@example.com")
