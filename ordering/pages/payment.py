"""How to pay, behind the link of a mail: the page of the provider, or what to transfer and where to."""

from typing import Any
from uuid import UUID

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe

from eventstore import repository
from eventstore.errors import StreamNotFound
from ordering.domain.order import Order
from ordering.domain.payment import Payment
from ordering.domain.payment import Status as PaymentStatus
from ordering.pages.links import payment_of
from ordering.pages.serving import SECRET, page
from ordering.providers import registry
from ordering.providers.paying import ProviderUnavailable, asked
from ordering.providers.provider import Instructions

PAYABLE = {PaymentStatus.REQUESTED, PaymentStatus.DECLINED}


@require_safe
def payment(request: HttpRequest, token: str) -> HttpResponse:
    """The provider is asked for its page whenever this one is opened, so that the link of an old mail is as good as any
    other: it leads to the same page while that is open.
    """
    try:
        payment_id: UUID = payment_of(token)
        requested = repository.get(Payment, payment_id)
        order = repository.get(Order, requested.order_id)
    except (BadSignature, StreamNotFound):
        return page("not_found", 404)
    shown: dict[str, Any] = {"order": order, "payment": requested}
    provider = registry.provider(requested.provider)
    if not order.awaits_payment or requested.status not in PAYABLE or provider is None:
        return page("payment", 200, **shown, how=None)
    try:
        how: Instructions = asked(provider, payment_id, order_number=order.number, amount=requested.amount)
    except ProviderUnavailable:
        return page("payment", 503, **shown, how=None, unavailable=True)
    if how.pay_url is None:
        return page("payment", 200, **shown, how=how)
    return HttpResponseRedirect(how.pay_url, headers=SECRET)
