"""What is wrong with the environment of this site, judged at start-up."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from eventstore.conf import faults
from ordering import conf
from ordering.providers.bank_transfer import is_iban


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
    """What settings say of money means something."""
    return [Error(fault, id="ordering.E002") for fault in faults(conf.SETTINGS)]


BANK_ACCOUNT = ("BANK_TRANSFER_HOLDER", "BANK_TRANSFER_IBAN", "BANK_TRANSFER_BIC")
