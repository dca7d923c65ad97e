"""Every setting of the business that changes what it does, and those of the site that would only fail when used."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from email.utils import getaddresses
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator, validate_email

from eventstore.conf import Setting, duration, is_count, is_duration, is_mapping
from ordering.domain.seats import UnpaidLimit

AT_ONCE, STAFF = "at once", "staff"

RATE = re.compile("[1-9][0-9]*/(s|sec|second|m|min|minute|h|hour|d|day)")


def is_whole(value: Any) -> bool:
    return value == 0 or is_count(value)


def is_address(value: Any) -> bool:
    """Where a path can be put behind it."""
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and value == f"{parts.scheme}://{parts.netloc}"


def is_rate(value: Any) -> bool:
    """A number and a unit, as `60/min`."""
    return isinstance(value, str) and bool(RATE.fullmatch(value))


def is_sender(value: Any) -> bool:
    found = getaddresses([value])
    return len(found) == 1 and _passes(validate_email, found[0][1])


def is_domain(value: Any) -> bool:
    return _passes(DomainNameValidator(accept_idna=False), value)


def _passes(validate: Callable[[Any], None], value: Any) -> bool:
    try:
        validate(value)
    except ValidationError:
        return False
    return True


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
WAITLIST_OFFER_HOURS = duration(
    "WAITLIST_OFFER_HOURS",
    24.0,
    "For which seats that have become free are kept for who is next on the waitlist, unless sales close before.",
    unit="hours",
)
STATUS_MAIL_MINUTES = Setting(
    "STATUS_MAIL_MINUTES",
    5,
    "By which two mails that say how one order stands are apart at least, 0 for none.",
    "a whole number, 0 or above",
    is_whole,
)
UNPAID_ORDERS = Setting(
    "UNPAID_ORDERS",
    3,
    "How many orders of one conference a customer may have at once that are not paid, 0 for any number.",
    "a whole number, 0 or above",
    is_whole,
)
UNPAID_SEATS = Setting(
    "UNPAID_SEATS",
    20,
    "How many seats these may have together where they are more than one, 0 for any number.",
    "a whole number, 0 or above",
    is_whole,
)
IDEMPOTENCY_HOURS = Setting(
    "IDEMPOTENCY_HOURS",
    24.0,
    "How many hours a call with an `Idempotency-Key` can be repeated.",
    "a number of hours, 24 or above",
    lambda value: is_duration(value) and value >= 24,
)
CONSUMERS_PER_USER = Setting(
    "CONSUMERS_PER_USER",
    20,
    "How many consumers of the feed a user may have reported, 0 for any number.",
    "a whole number, 0 or above",
    is_whole,
)
BASE_URL = Setting(
    "BASE_URL",
    "http://localhost:8000",
    "How people reach the site.",
    "an address such as https://tickets.example, without a path or a slash behind it",
    is_address,
)
SENDERS = [
    Setting(
        name,
        "Boxoffice <boxoffice@localhost>",
        meaning,
        'one mail address, with its name in quotes where that has a comma, such as "Bar, Club" <tickets@example.org>',
        is_sender,
    )
    for name, meaning in (
        ("DEFAULT_FROM_EMAIL", "Whom mails to customers are from."),
        ("SERVER_EMAIL", "Whom mails to staff are from."),
    )
]
MAIL_DOMAIN = Setting(
    "MAIL_DOMAIN", "boxoffice.localhost", "Stands in the ids of mails.", "the name of a domain", is_domain
)
PROFILE_LINK_DAYS = Setting(
    "PROFILE_LINK_DAYS",
    90,
    "For which the link of a welcome mail is good, 0 for good.",
    "a whole number, 0 or above",
    is_whole,
)
PASSWORD_LINK_MINUTES = Setting(
    "PASSWORD_LINK_MINUTES",
    60,
    "For which the link of a mail is good that leads to a new password.",
    "a whole number above 0",
    is_count,
)
EMAIL_LINK_MINUTES = Setting(
    "EMAIL_LINK_MINUTES",
    60,
    "For which the link of a mail is good that confirms an address.",
    "a whole number above 0",
    is_count,
)
SITE_THREADS = Setting(
    "SITE_THREADS",
    16,
    "Requests that a process of the site serves at once, each with a connection of its own.",
    "a whole number above 0",
    is_count,
)
SITE_QUEUE = Setting(
    "SITE_QUEUE",
    400,
    "Requests that wait for their turn at most.",
    "a whole number, 0 or above",
    is_whole,
)
SITE_LOCK_TIMEOUT = duration(
    "SITE_LOCK_TIMEOUT_SECONDS", 2.0, "For which a statement of a request waits for a lock, at the most."
)
SITE_STATEMENT_TIMEOUT = duration(
    "SITE_STATEMENT_TIMEOUT_SECONDS", 30.0, "For which a statement of a request is executed, at the most."
)
MIN_POSITION_SECONDS = duration(
    "MIN_POSITION_SECONDS",
    2.0,
    "For which a read with `Min-Position` waits for its read models, at the most; then it answers pending.",
)
PROXIES = Setting(
    "PROXIES",
    0,
    "How many proxies of ours stand in front: so many entries at the end of `X-Forwarded-For` are believed.",
    "a whole number, 0 or above",
    is_whole,
)
THROTTLE_REGISTER, THROTTLE_TOKEN, THROTTLE_ACCOUNT, THROTTLE_LINKS, THROTTLE_MAILBOX = BRAKES = [
    Setting(name, rate, meaning, "a number above 0 and a unit, such as 60/min", is_rate)
    for name, rate, meaning in (
        ("THROTTLE_REGISTER", "120/min", "How many customers may be registered from one address."),
        ("THROTTLE_TOKEN", "60/min", "How often one address may try to sign in, in the API or to the admin."),
        ("THROTTLE_ACCOUNT", "20/hour", "How many wrong passwords of one login strangers may try together."),
        ("THROTTLE_LINKS", "30/hour", "How often one address may ask for mails with a link."),
        ("THROTTLE_MAILBOX", "5/hour", "How many mails with such a link may be asked for to one mailbox."),
    )
]
EMAIL_TIMEOUT = Setting("EMAIL_TIMEOUT", 10, "Seconds to wait for the mail server.", "a whole number above 0", is_count)

SETTINGS: Sequence[Setting[Any]] = (
    EXCESS,
    PENDING_HOURS,
    REMINDER_HOURS,
    CANCELLATION_RATE,
    WAITLIST_OFFER_HOURS,
    STATUS_MAIL_MINUTES,
    UNPAID_ORDERS,
    UNPAID_SEATS,
    IDEMPOTENCY_HOURS,
    CONSUMERS_PER_USER,
    BASE_URL,
    *SENDERS,
    MAIL_DOMAIN,
    PROFILE_LINK_DAYS,
    PASSWORD_LINK_MINUTES,
    EMAIL_LINK_MINUTES,
    SITE_THREADS,
    SITE_QUEUE,
    SITE_LOCK_TIMEOUT,
    SITE_STATEMENT_TIMEOUT,
    MIN_POSITION_SECONDS,
    PROXIES,
    EMAIL_TIMEOUT,
)


def returned_at_once(provider: str) -> bool:
    """Whether what this provider collected in excess goes back without being asked for."""
    return EXCESS.get().get(provider, AT_ONCE) == AT_ONCE


def unpaid_limit() -> UnpaidLimit:
    """What a customer may have of one conference without having paid."""
    return UnpaidLimit(orders=UNPAID_ORDERS.get(), seats=UNPAID_SEATS.get())


def pending_bound() -> timedelta:
    """How long an order is kept under a payment that is pending."""
    return timedelta(hours=PENDING_HOURS.get())


def reminded_before() -> timedelta:
    """How long before its deadline an order is reminded of."""
    return timedelta(hours=REMINDER_HOURS.get())


def offered_for() -> timedelta:
    """How long seats are on offer to who waits for them."""
    return timedelta(hours=WAITLIST_OFFER_HOURS.get())


def keyed_calls_kept() -> timedelta:
    """How long a call that its client gave a key is known."""
    return timedelta(hours=IDEMPOTENCY_HOURS.get())


def status_mail_pause() -> int:
    """How many seconds after a status mail of an order the next can be asked for."""
    return 60 * STATUS_MAIL_MINUTES.get()


def password_link_good_for() -> timedelta:
    """How long after it was asked for the link to a new password is good."""
    return timedelta(minutes=PASSWORD_LINK_MINUTES.get())


def email_link_good_for() -> timedelta:
    """How long after it was asked for the link that confirms an address is good."""
    return timedelta(minutes=EMAIL_LINK_MINUTES.get())
