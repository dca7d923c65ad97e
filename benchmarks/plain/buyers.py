"""What clients do that buy from the plain tables."""

from datetime import timedelta
from decimal import Decimal
from random import Random

from django.utils import timezone

from benchmarks.buyers import CAPACITY, CUSTOMERS, MOST, PRICE, QUANTITIES
from benchmarks.clients import Job
from benchmarks.plain import steps
from benchmarks.plain.models import Conference, Customer, Seats
from eventstore.context import new_id


class Buy(Job):
    """A whole sale, over when the order is confirmed and its seats are sold. Clients share so many `conferences`."""

    def __init__(self, client: int, conferences: int) -> None:
        super().__init__(client)
        self._random = Random(client)
        self._conference_id = on_sale(f"{client % conferences + 1} of {conferences}")
        customers = [Customer(name="Ada Allen", email=f"{new_id().hex}@example.org") for _ in range(CUSTOMERS)]
        self._customers = [customer.pk for customer in Customer.objects.bulk_create(customers)]

    def once(self) -> None:
        customer_id = self._random.choice(self._customers)
        actor = f"customer:{customer_id}"
        order = steps.place(customer_id, self._conference_id, QUANTITIES, actor)
        steps.reserve(order.pk, actor)
        payment = steps.request_payment(order.pk, actor)
        actor = f"provider:{payment.provider}"
        steps.accept(payment.pk, payment.amount, f"REF-{self._random.getrandbits(32):08X}", actor)
        steps.confirm(order.pk, actor)


def on_sale(name: str) -> int:
    """The conference of this name, whichever client is first to ask for it."""
    now = timezone.now()
    times = {"opens_at": now - timedelta(days=1), "closes_at": now + timedelta(days=29)}
    conference, _ = Conference.objects.get_or_create(name=name, defaults=times)
    terms = {"price": Decimal(PRICE.amount), "currency": PRICE.currency, "capacity": CAPACITY, "max_per_order": MOST}
    for code in QUANTITIES:
        Seats.objects.get_or_create(conference=conference, code=code, defaults=terms)
    return conference.pk
