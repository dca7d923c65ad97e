"""The payment providers that are installed, by name."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from django.conf import settings

from ordering.providers.bank_transfer import BankTransfer
from ordering.providers.provider import Provider
from ordering.providers.sandbox import SANDBOX, Sandbox

STRIPE = ("SECRET_KEY", "WEBHOOK_SECRET", "RETURN_URL", "API_URL")


_registered: dict[str, Provider] = {}


def register(provider: Provider) -> None:
    """Install one more, in the place of one that was registered under its name before."""
    _registered[provider.name] = provider


def unregister(name: str) -> None:
    """Take one out that was registered."""
    del _registered[name]


def installed() -> Mapping[str, Provider]:
    """Those that the settings tell enough of and those that are registered, that of the site first; the sandbox nowhere
    where money is real.
    """
    found: list[Provider | None] = [
        Sandbox() if settings.PAYMENT_PROVIDER == SANDBOX else None,
        BankTransfer.configured(),
        _stripe(*(getattr(settings, f"STRIPE_{name}") for name in STRIPE)),
        *_registered.values(),
    ]
    there = sorted(filter(None, found), key=lambda each: each.name != settings.PAYMENT_PROVIDER)
    return {each.name: each for each in there}


def provider(name: str) -> Provider | None:
    """The provider of this name; None where none is installed."""
    return installed().get(name)


def offered(providers: Iterable[str]) -> list[str]:
    """Which of the providers that a conference names are installed; that of the site, if it names none."""
    there = installed()
    return [name for name in (tuple(providers) or (settings.PAYMENT_PROVIDER,)) if name in there]


@lru_cache(maxsize=1)
def _stripe(secret_key: str, webhook_secret: str, *others: str) -> Provider | None:
    """Made once for these settings. Its library takes long to load: who doesn't use it need not have it."""
    if not (secret_key and webhook_secret):
        return None
    from ordering.providers.stripe import Stripe

    return Stripe.configured()
