"""What is wrong with the environment of this site, judged at start-up."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import URLPattern, URLResolver, get_resolver

from eventstore.conf import faults
from ordering import conf
from ordering.providers.bank_transfer import is_iban
from ordering.providers.registry import installed
from ordering.providers.sandbox import SANDBOX

if TYPE_CHECKING:
    from ordering.api.views import View


@register()
def renamed_variables(**_: Any) -> list[CheckMessage]:
    """A variable that is set under the name that it had would do nothing."""
    return [
        Error(f"The variable {old} of the environment is called {new} now.", hint="Rename it.", id="ordering.E001")
        for old, new in settings.RENAMED_VARIABLES.items()
    ]


@register()
def bank_account(**_: Any) -> list[CheckMessage]:
    """Customers are told all of it, or none."""
    account = {name: getattr(settings, name) for name in BANK_ACCOUNT}
    if not any(account.values()):
        return []
    if missing := [name for name, value in account.items() if not value]:
        return [Error(f"An account needs {' and '.join(missing)}, too.", id="ordering.E011")]
    if not is_iban(settings.BANK_TRANSFER_IBAN):
        return [Error("BANK_TRANSFER_IBAN is no IBAN.", hint="One of its characters is wrong.", id="ordering.E011")]
    return []


@register()
def stripe_keys(**_: Any) -> list[CheckMessage]:
    """With one alone customers could pay and nothing would hear of it, or nobody could pay."""
    keys = {name: getattr(settings, name) for name in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET")}
    missing = [name for name, value in keys.items() if not value]
    if len(missing) == 1:
        return [Error(f"Stripe needs {missing[0]}, too.", hint="Without both it is off.", id="ordering.E012")]
    return []


@register()
def configured(**_: Any) -> list[CheckMessage]:
    """What settings say means something."""
    return [Error(fault, id="ordering.E002") for fault in faults(conf.SETTINGS)]


@register()
def token_life(**_: Any) -> list[CheckMessage]:
    """A token is good for some time."""
    if settings.REST_KNOX["TOKEN_TTL"] > timedelta():
        return []
    return [Error("TOKEN_HOURS has to be a whole number above 0.", id="ordering.E002")]


@register()
def brakes(**_: Any) -> list[CheckMessage]:
    """Each rate is one that a brake can keep, and lets somebody through."""
    return [
        Error(fault, hint="The units are s, min, hour and day.", id="ordering.E013") for fault in faults(conf.BRAKES)
    ]


@register()
def proxies(**_: Any) -> list[CheckMessage]:
    """Where a proxy stands in front it is known how many, or all customers would share its address, and its brakes."""
    if not settings.BEHIND_PROXY or settings.PROXIES:
        return []
    return [
        checks.Warning(
            "With BEHIND_PROXY, and PROXIES at 0, everybody has the address of the proxy.",
            hint="Set PROXIES to how many proxies stand in front, or leave it out for 1.",
            id="ordering.W019",
        )
    ]


@register(Tags.urls)
def scopes(**_: Any) -> list[CheckMessage]:
    """A view of the API that says no scope would fail with the first call; one that no token can be given is open to no
    machine.
    """
    from ordering.api.access import SCOPES

    known = {scope.partition(":")[0] for scope in SCOPES}
    found: list[CheckMessage] = []
    for view in _api_views(get_resolver().url_patterns):
        if not hasattr(view, "scope"):
            fault, hint = f"{view.__name__} says no scope.", "Say what its calls are about, or None."
            found.append(Error(fault, hint=hint, obj=view, id="ordering.E020"))
        elif view.scope not in {*known, None}:
            fault, hint = f"{view.__name__} has a scope that no token has: {view.scope}.", "Name it in SCOPES, too."
            found.append(Error(fault, hint=hint, obj=view, id="ordering.E020"))
    return found


@register(Tags.security, deploy=True)
def keys(**_: Any) -> list[CheckMessage]:
    """In production each process has the same keys, and goes on having them."""
    found: list[CheckMessage] = []
    if "SECRET_KEY" in settings.UNSET_KEYS:
        found.append(
            Error(
                "SECRET_KEY is not set, so each process makes one of its own: what one signs no other accepts.",
                hint="Set it to a long random text, the same in every process.",
                id="ordering.E014",
            )
        )
    if "CLAIM_KEY" in settings.UNSET_KEYS:
        found.append(
            checks.Warning(
                "CLAIM_KEY is not set and follows SECRET_KEY: a new one of those would free every mail address.",
                hint="Set it to the present SECRET_KEY, or before the first start to another long random text.",
                id="ordering.W015",
            )
        )
    return found


@register(deploy=True)
def real_money(**_: Any) -> list[CheckMessage]:
    """In production nobody plays the payment provider, and orders can be paid."""
    if settings.PAYMENT_PROVIDER == SANDBOX:
        return [
            Error(
                "Orders are paid in the sandbox, where everybody can say that they have paid.",
                hint="Set PAYMENT_PROVIDER to `bank-transfer` or `stripe`.",
                id="ordering.E016",
            )
        ]
    if settings.PAYMENT_PROVIDER not in installed():
        return [
            checks.Warning(
                "The provider in PAYMENT_PROVIDER is not installed: orders can be paid only where the conference names "
                "another.",
                hint="Is its name misspelt, or are its own settings missing?",
                id="ordering.W017",
            )
        ]
    return []


@register(deploy=True)
def real_mails(**_: Any) -> list[CheckMessage]:
    """In production mails are sent."""
    if settings.EMAIL_BACKEND != "config.mail.FileBackend":
        return []
    return [
        Error(
            "Mails are written to files, and reach nobody.",
            hint="Name the mail server in EMAIL_URL.",
            id="ordering.E018",
        )
    ]


def _api_views(patterns: Iterable[URLPattern | URLResolver]) -> "Iterator[type[View]]":
    from ordering.api.views import View

    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _api_views(pattern.url_patterns)
        else:
            view = getattr(pattern.callback, "cls", None)
            if isinstance(view, type) and issubclass(view, View):
                yield view


BANK_ACCOUNT = ("BANK_TRANSFER_HOLDER", "BANK_TRANSFER_IBAN", "BANK_TRANSFER_BIC")
