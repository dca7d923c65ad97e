"""Addresses that need no login because nobody can guess them: they are signed, and mails lead to them."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.signing import Signer, TimestampSigner, b62_encode
from django.urls import reverse

SALT = "ordering.pages.profile"
PAYMENT_SALT, SANDBOX_SALT = "ordering.pages.payment", "ordering.pages.sandbox"
SEPARATOR = "."


def profile_url(customer_id: UUID, since: datetime | None = None) -> str:
    """The address of a customer's profile, as it stands in a mail, good from then on, or from now.

    These pages stand at the root of the site: whoever sends mails need not load all the others.
    """
    path = reverse("profile", urlconf="ordering.pages.urls", args=[profile_token(customer_id, since)])
    return f"{settings.BASE_URL}{path}"


def profile_token(customer_id: UUID, since: datetime | None = None) -> str:
    """73 characters that stand in an address as they are: the id of a customer, the time, and a signature of both.

    With a time `since` when it is good the token is the same whenever it is made.
    """
    value = _encoded(customer_id)
    moment = since.timestamp() if since else time.time()
    return Signer(salt=SALT, sep=SEPARATOR).sign(f"{value}{SEPARATOR}{b62_encode(int(moment))}")


def payment_url(payment_id: UUID) -> str:
    """The address of the page that says how a payment is made, or leads to where."""
    path = reverse("payment", urlconf="ordering.pages.urls", args=[payment_token(payment_id)])
    return f"{settings.BASE_URL}{path}"


def payment_token(payment_id: UUID, salt: str = PAYMENT_SALT) -> str:
    """It is good for as long as there is something to pay."""
    return Signer(salt=salt, sep=SEPARATOR).sign(_encoded(payment_id))


def payment_of(token: str, salt: str = PAYMENT_SALT) -> UUID:
    """Raises `BadSignature`."""
    return _decoded(Signer(salt=salt, sep=SEPARATOR).unsign(token))


def sandbox_path(payment_id: UUID) -> str:
    """The page of the sandbox where one plays the customer who makes this payment."""
    return reverse("sandbox", urlconf="ordering.pages.urls", args=[payment_token(payment_id, SANDBOX_SALT)])


def customer_of(token: str) -> UUID:
    """Whose profile a token opens. Raises `BadSignature` for one that is not ours, or has expired."""
    days = settings.PROFILE_LINK_DAYS
    signer = TimestampSigner(salt=SALT, sep=SEPARATOR)
    value = signer.unsign(token, max_age=timedelta(days=days) if days else None)
    return _decoded(value)


def _encoded(value: UUID) -> str:
    return urlsafe_b64encode(value.bytes).decode().rstrip("=")


def _decoded(value: str) -> UUID:
    return UUID(bytes=urlsafe_b64decode(f"{value}=="))
