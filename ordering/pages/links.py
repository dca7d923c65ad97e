"""Addresses that need no login because nobody can guess them: they are signed, and mails lead to them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.signing import TimestampSigner
from django.urls import reverse

SALT = "ordering.pages.profile"


def profile_url(customer_id: UUID) -> str:
    """The address of a customer's profile, as it stands in a mail."""
    return f"{settings.BASE_URL}{reverse('profile', args=[profile_token(customer_id)])}"


def profile_token(customer_id: UUID) -> str:
    """73 characters that stand in an address as they are: the id of a customer, the time, and a signature of both."""
    return _signer().sign(urlsafe_b64encode(customer_id.bytes).decode().rstrip("="))


def customer_of(token: str) -> UUID:
    """Whose profile a token opens. Raises `BadSignature` for one that is not ours, or has expired."""
    days = settings.PROFILE_LINK_DAYS
    value = _signer().unsign(token, max_age=timedelta(days=days) if days else None)
    return UUID(bytes=urlsafe_b64decode(f"{value}=="))


def _signer() -> TimestampSigner:
    return TimestampSigner(salt=SALT, sep=".")
