"""The story of a customer: what is known of them since when, and what it was before."""

from datetime import date
from functools import singledispatch
from uuid import UUID

from django.utils.formats import date_format

from eventstore.events import Event
from ordering.admin import timeline
from ordering.admin.timeline import Entry
from ordering.admin.words import say
from ordering.domain.customer import (
    Customer,
    CustomerAddressChanged,
    CustomerBirthDateSet,
    CustomerEmailChanged,
    CustomerEmailConfirmed,
    CustomerEmailLinkRequested,
    CustomerPasswordChanged,
    CustomerRegistered,
    CustomerRenamed,
)
from ordering.domain.values import Address


def read(customer_id: UUID) -> list[Entry]:
    """The entries of their timeline, the newest at the end. Raises `UnknownHere`."""
    return timeline.changes(Customer, customer_id, Customer.evolvers, tell)


@singledispatch
def tell(event: Event, before: Customer) -> str:
    """What an event has changed about the customer as they were before."""
    return say(event)


@tell.register
def _(event: CustomerRegistered, before: Customer) -> str:
    greeted = "" if event.welcome else ", without a mail of welcome"
    return f"{event.name} was registered as {event.email}{greeted}."


@tell.register
def _(event: CustomerRenamed, before: Customer) -> str:
    return f"The customer is called {event.name} instead of {before.name}."


@tell.register
def _(event: CustomerEmailChanged, before: Customer) -> str:
    return f"The email address is {event.email} instead of {before.email}."


@tell.register
def _(event: CustomerEmailConfirmed, before: Customer) -> str:
    return f"The email address {event.email} was confirmed, by the link of a mail."


@tell.register
def _(event: CustomerEmailLinkRequested, before: Customer) -> str:
    return "Another mail with a link that confirms the email address was asked for."


@tell.register
def _(event: CustomerBirthDateSet, before: Customer) -> str:
    return _instead("The date of birth", _day(event.birth_date), _day(before.birth_date))


@tell.register
def _(event: CustomerAddressChanged, before: Customer) -> str:
    return _instead("The address", _lines(event.address), _lines(before.address))


@tell.register
def _(event: CustomerPasswordChanged, before: Customer) -> str:
    return "The password was changed, by the link of a mail."


def _instead(what: str, now: str, then: str) -> str:
    if not now:
        return f"{what} was removed; it was {then}."
    return f"{what} is {now} instead of {then}." if then else f"{what} is {now}."


def _day(day: date | None) -> str:
    return date_format(day, "j M Y") if day else ""


def _lines(address: Address | None) -> str:
    return f"{address.street}, {address.postal_code} {address.city}, {address.country}" if address else ""
