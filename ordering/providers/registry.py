"""The payment providers there are, by name."""

from collections.abc import Mapping

from django.conf import settings

from ordering.providers.provider import Provider
from ordering.providers.sandbox import SANDBOX, Sandbox

PROVIDERS: Mapping[str, Provider] = {SANDBOX: Sandbox()}


def provider(name: str) -> Provider | None:
    """The provider of this name; None where there is no such one, nor the sandbox where money is real."""
    if name == SANDBOX and settings.PAYMENT_PROVIDER != SANDBOX:
        return None
    return PROVIDERS.get(name)
