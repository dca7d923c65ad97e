"""How a customer pays: what can be told at once, and what a provider is asked for when the customer wants to pay."""

from uuid import UUID

import structlog

from eventstore.error_texts import describe
from ordering.domain.values import Money
from ordering.pages.links import payment_url
from ordering.providers import registry
from ordering.providers.provider import Instructions, Provider

log = structlog.get_logger(__name__)


class ProviderUnavailable(Exception):
    """The payment provider can't be reached. Please try again."""

    code = "provider-unavailable"


def told(provider: str, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions | None:
    """What is told without asking anybody: a provider that would have to be asked has a page of ours, which asks it
    when it is opened. None where no such provider is installed.
    """
    known = registry.provider(provider)
    if known is None:
        return None
    if known.remote:
        return Instructions(pay_url=payment_url(payment_id))
    return known.start(payment_id, order_number=order_number, amount=amount)


def asked(provider: Provider, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
    """What the provider says when it is asked: the same for the same payment, however often. Never in a transaction.
    Raises `ProviderUnavailable`, whatever the trouble is; the log says which.
    """
    try:
        return provider.start(payment_id, order_number=order_number, amount=amount)
    except Exception as error:
        log.warning("payment_not_started", provider=provider.name, payment_id=str(payment_id), error=describe(error))
        raise ProviderUnavailable(ProviderUnavailable.__doc__) from error
