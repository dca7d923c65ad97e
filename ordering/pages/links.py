"""Addresses that need no login because nobody can guess them: they are signed, and mails lead to them."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.signing import Signer, TimestampSigner, b62_encode
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from ordering import conf
from ordering.domain.mailbox import mailbox_of

SALT = "ordering.pages.profile"
PAYMENT_SALT, SANDBOX_SALT = "ordering.pages.payment", "ordering.pages.sandbox"
WAITLIST_SALT = "ordering.pages.waitlist"
PASSWORD_SALT = "ordering.pages.password"
EMAIL_SALT = "ordering.pages.email"
SEPARATOR = "."


class ProfileLink(NamedTuple):
    """Whose profile a link opens, and for whom: a digest of the mailbox that it was sent to, which is empty in links
    from before that was noted.
    """

    customer_id: UUID
    mailbox: bytes

    def is_for(self, email: str) -> bool:
        """Whether it was sent to this address, however that is written."""
        return self.mailbox == _digest(email)


def profile_url(customer_id: UUID, email: str, since: datetime | None = None) -> str:
    """The address of a customer's profile, as it stands in a mail to this address, good from then on, or from now.

    These pages stand at the root of the site: whoever sends mails need not load all the others.
    """
    path = reverse("profile", urlconf="ordering.pages.urls", args=[profile_token(customer_id, email, since)])
    return f"{settings.BASE_URL}{path}"


def profile_token(customer_id: UUID, email: str, since: datetime | None = None) -> str:
    """83 characters that stand in an address as they are: the id of a customer, a digest of the mailbox, the time, and
    a signature of all that.

    With a time `since` when it is good the token is the same whenever it is made.
    """
    return _dated(SALT, customer_id.bytes + _digest(email), since.timestamp() if since else time.time())


def payment_url(payment_id: UUID) -> str:
    """The address of the page that says how a payment is made, or leads to where."""
    path = reverse("payment", urlconf="ordering.pages.urls", args=[payment_token(payment_id)])
    return f"{settings.BASE_URL}{path}"


def payment_token(payment_id: UUID, salt: str = PAYMENT_SALT) -> str:
    """It is good for as long as there is something to pay."""
    return Signer(salt=salt, sep=SEPARATOR).sign(_encoded(payment_id.bytes))


def payment_of(token: str, salt: str = PAYMENT_SALT) -> UUID:
    """Raises `BadSignature`."""
    return UUID(bytes=_decoded(Signer(salt=salt, sep=SEPARATOR).unsign(token)))


def waitlist_url(conference_id: UUID, entry_id: UUID) -> str:
    """The address of the page of an entry of a waitlist, where its customer leaves, or answers an offer."""
    path = reverse("waitlist", urlconf="ordering.pages.urls", args=[waitlist_token(conference_id, entry_id)])
    return f"{settings.BASE_URL}{path}"


def waitlist_token(conference_id: UUID, entry_id: UUID) -> str:
    """It is good for good: what is behind it ends by itself."""
    return Signer(salt=WAITLIST_SALT, sep=SEPARATOR).sign(f"{_encoded(conference_id.bytes)}{_encoded(entry_id.bytes)}")


def waitlist_entry_of(token: str) -> tuple[UUID, UUID]:
    """The conference, and the entry of its waitlist. Raises `BadSignature`."""
    ids = Signer(salt=WAITLIST_SALT, sep=SEPARATOR).unsign(token)
    half = len(ids) // 2
    return UUID(bytes=_decoded(ids[:half])), UUID(bytes=_decoded(ids[half:]))


class PasswordLink(NamedTuple):
    """Who may choose a new password by a link, and what held when it was made: it is good while that does."""

    customer_id: UUID
    state: bytes

    def is_for(self, email: str, password: str) -> bool:
        """Whether this is still the address, and this the hash of the old password."""
        return constant_time_compare(self.state, _password_state(email, password))


def password_url(customer_id: UUID, email: str, password: str, since: datetime) -> str:
    """The address of the page where a customer with this address, and this hash of a password, chooses another one."""
    token = password_token(customer_id, email, password, since)
    return f"{settings.BASE_URL}{reverse('password', urlconf='ordering.pages.urls', args=[token])}"


def password_token(customer_id: UUID, email: str, password: str, since: datetime) -> str:
    """It is good from then on, for `PASSWORD_LINK_MINUTES`."""
    return _dated(PASSWORD_SALT, customer_id.bytes + _password_state(email, password), since.timestamp())


def password_link(token: str) -> PasswordLink:
    """What a token is good for. Raises `BadSignature` for one that is not ours, or has expired."""
    return PasswordLink(*_parts(PASSWORD_SALT, token, conf.password_link_good_for()))


class EmailLink(NamedTuple):
    """Whose address a link confirms, and which: it is good while that is the one they have."""

    customer_id: UUID
    state: bytes

    def is_for(self, email: str, number: int) -> bool:
        """Whether it was sent to this address, the customer's first, second, and so on by its `number`."""
        return constant_time_compare(self.state, _email_state(email, number))


def email_url(customer_id: UUID, email: str, number: int, since: datetime) -> str:
    """The address of the page where a customer confirms an address, as it stands in a mail to it."""
    token = email_token(customer_id, email, number, since)
    return f"{settings.BASE_URL}{reverse('email', urlconf='ordering.pages.urls', args=[token])}"


def email_token(customer_id: UUID, email: str, number: int, since: datetime) -> str:
    """It is good from then on, for `EMAIL_LINK_MINUTES`."""
    return _dated(EMAIL_SALT, customer_id.bytes + _email_state(email, number), since.timestamp())


def email_link(token: str) -> EmailLink:
    """What a token is good for. Raises `BadSignature` for one that is not ours, or has expired."""
    return EmailLink(*_parts(EMAIL_SALT, token, conf.email_link_good_for()))


def former_email_link(token: str) -> EmailLink:
    """What a token is, or was, good for. Raises `BadSignature` for one that is not ours."""
    return EmailLink(*_parts(EMAIL_SALT, token, None))


def sandbox_path(payment_id: UUID) -> str:
    """The page of the sandbox where one plays the customer who makes this payment."""
    return reverse("sandbox", urlconf="ordering.pages.urls", args=[payment_token(payment_id, SANDBOX_SALT)])


def profile_link(token: str) -> ProfileLink:
    """What a token opens. Raises `BadSignature` for one that is not ours, or has expired."""
    days = settings.PROFILE_LINK_DAYS
    return ProfileLink(*_parts(SALT, token, timedelta(days=days) if days else None))


def _digest(email: str) -> bytes:
    return sha256(mailbox_of(email).encode()).digest()[:8]


def _password_state(email: str, password: str) -> bytes:
    return _state(PASSWORD_SALT, f"{mailbox_of(email)} {password}")


def _email_state(email: str, number: int) -> bytes:
    return _state(EMAIL_SALT, f"{number} {email}")


def _state(salt: str, value: str) -> bytes:
    """Keyed, for nobody guesses a password from it, or an address."""
    return salted_hmac(salt, value, algorithm="sha256").digest()[:16]


def _dated(salt: str, value: bytes, moment: float) -> str:
    """A token that is good from then on."""
    return Signer(salt=salt, sep=SEPARATOR).sign(f"{_encoded(value)}{SEPARATOR}{b62_encode(int(moment))}")


def _parts(salt: str, token: str, good_for: timedelta | None) -> tuple[UUID, bytes]:
    """The customer of such a token, and what else it says. Raises `BadSignature`."""
    value = _decoded(TimestampSigner(salt=salt, sep=SEPARATOR).unsign(token, max_age=good_for))
    return UUID(bytes=value[:16]), value[16:]


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(value: str) -> bytes:
    return urlsafe_b64decode(f"{value}==")
