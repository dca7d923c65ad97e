"""The secrets by which receivers know that a webhook is ours: drawn here, kept sealed, shown once."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

HEADER = "Boxoffice-Signature"


def draw() -> str:
    """A new secret."""
    return f"whsec_{secrets.token_urlsafe(32)}"


def seal(secret: str) -> bytes:
    """A secret as it is kept: nobody reads it who has just the database."""
    return _cipher().encrypt(secret.encode())


def unseal(sealed: bytes | memoryview) -> str:
    """The secret itself. Raises `cryptography.fernet.InvalidToken` where it was sealed by a key that is gone."""
    return _cipher().decrypt(bytes(sealed)).decode()


def signature(body: bytes, moment: int, known: Sequence[str]) -> str:
    """The value of the header: when it was signed, in seconds since 1970, and a signature by each secret."""
    signed = str(moment).encode() + b"." + body
    each = (hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in known)
    return ",".join([f"t={moment}", *(f"v1={digest}" for digest in each)])


def _cipher() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    derived = (salted_hmac("sagas.webhooks.secrets", "", secret=key, algorithm="sha256").digest() for key in keys)
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in derived])
