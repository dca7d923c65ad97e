"""Writes `BirthYear`: of all that happens to customers it wants one event, and is told of no other."""

from eventstore.events import Meta
from ordering.domain.customer import CustomerBirthDateSet
from ordering.models import BirthYear
from projections.projection import ASYNC, Projection, on


class Demographics(Projection[BirthYear], name="demographics", version=1, mode=ASYNC):
    model = BirthYear

    @on(CustomerBirthDateSet, key="customer_id")
    def birth_date_set(self, row: BirthYear, event: CustomerBirthDateSet, meta: Meta) -> None:
        row.year = event.birth_date.year if event.birth_date else None
