"""Every setting of the business that changes what it does with money."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from eventstore.conf import Setting, duration, is_count, is_mapping

AT_ONCE, STAFF = "at once", "staff"

EXCESS: Setting[Mapping[str, str]] = Setting(
    "PAYMENT_EXCESS",
    {},
    "By payment provider: whether money that came in above what an order costs goes back at once, which it does unless "
    "said otherwise, or staff decide.",
    "names of providers, each with `at once` or `staff`",
    lambda value: is_mapping(value) and set(value.values()) <= {AT_ONCE, STAFF},
)
PENDING_HOURS = duration(
    "PAYMENT_PENDING_HOURS",
    72.0,
    "For which an order is kept at most while its payment is pending at the provider.",
    unit="hours",
)
CANCELLATION_RATE = Setting(
    "CANCELLED_ORDERS_PER_MINUTE",
    300,
    "How many orders of a cancelled conference are cancelled in a minute at most, each with its refund and its mail.",
    "a whole number above 0",
    is_count,
)
REMINDER_HOURS = duration(
    "PAYMENT_REMINDER_HOURS",
    24.0,
    "By which a reminder of an order that is not paid comes before its deadline. There is none where the order had "
    "less than twice as long to be paid.",
    unit="hours",
)

SETTINGS: Sequence[Setting[Any]] = (EXCESS, PENDING_HOURS, REMINDER_HOURS, CANCELLATION_RATE)


def returned_at_once(provider: str) -> bool:
    """Whether what this provider collected in excess goes back without being asked for."""
    return EXCESS.get().get(provider, AT_ONCE) == AT_ONCE


def pending_bound() -> timedelta:
    """How long an order is kept under a payment that is pending."""
    return timedelta(hours=PENDING_HOURS.get())


def reminded_before() -> timedelta:
    """How long before its deadline an order is reminded of."""
    return timedelta(hours=REMINDER_HOURS.get())
