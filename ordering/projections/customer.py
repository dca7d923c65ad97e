"""Writes `CustomerProfile`."""

import msgspec

from eventstore.events import Meta
from ordering.domain.customer import (
    CustomerAddressChanged,
    CustomerBirthDateSet,
    CustomerEmailChanged,
    CustomerEmailConfirmed,
    CustomerRegistered,
    CustomerRenamed,
)
from ordering.models import CustomerProfile
from projections.projection import SYNC, Projection, on


class CustomerProfiles(Projection[CustomerProfile], name="customer-profiles", version=2, mode=SYNC):
    model = CustomerProfile

    @on(CustomerRegistered, key="customer_id")
    def registered(self, row: CustomerProfile, event: CustomerRegistered, meta: Meta) -> None:
        row.name, row.email, row.email_confirmed = event.name, event.email, False
        row.registered_at, row.version = meta.recorded_at, meta.version

    @on(CustomerRenamed, key="customer_id")
    def renamed(self, row: CustomerProfile, event: CustomerRenamed, meta: Meta) -> None:
        row.name, row.version = event.name, meta.version

    @on(CustomerEmailChanged, key="customer_id")
    def email_changed(self, row: CustomerProfile, event: CustomerEmailChanged, meta: Meta) -> None:
        row.email, row.email_confirmed, row.version = event.email, False, meta.version

    @on(CustomerEmailConfirmed, key="customer_id")
    def email_confirmed(self, row: CustomerProfile, event: CustomerEmailConfirmed, meta: Meta) -> None:
        row.email_confirmed, row.version = True, meta.version

    @on(CustomerBirthDateSet, key="customer_id")
    def birth_date_set(self, row: CustomerProfile, event: CustomerBirthDateSet, meta: Meta) -> None:
        row.birth_date, row.version = event.birth_date, meta.version

    @on(CustomerAddressChanged, key="customer_id")
    def address_changed(self, row: CustomerProfile, event: CustomerAddressChanged, meta: Meta) -> None:
        row.address = msgspec.to_builtins(event.address)
        row.version = meta.version
