"""What a customer sees behind the link of the welcome mail: all that is known of them, and their orders."""

from typing import Any
from uuid import UUID

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from eventstore import repository, store
from eventstore.errors import StreamNotFound
from eventstore.subscriptions import visibility
from ordering.domain.customer import Customer
from ordering.models import CustomerProfile, OrderSummary
from ordering.pages.links import customer_of
from ordering.projections.customer import CustomerProfiles

PROFILES = CustomerProfiles()
SHOWN = 25
AGAIN = 2
"""Seconds until a page that can't show everything yet asks again."""

# Whoever knows the address sees the page: it is told to nobody, and what it shows is kept by nobody.
SECRET = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
}


@require_safe
def profile(request: HttpRequest, token: str) -> HttpResponse:
    """The profile; 404 if the log knows nobody whom this token is for. While the read model can't show all that the log
    says of them it is 202, and the page asks again by itself.
    """
    try:
        customer = repository.get(Customer, customer_of(token))
    except (BadSignature, StreamNotFound):
        return _page("not_found", 404)
    # Asked before the row is read, which may be newer by then, and never older.
    complete = _shows_all_of(customer.id)
    row = CustomerProfile.objects.filter(pk=customer.id).first()
    if row is None:
        return _page("on_its_way", 202)
    orders = OrderSummary.objects.filter(customer_id=customer.id)[:SHOWN]
    return _page("profile", 200 if complete else 202, customer=row, orders=orders, most=SHOWN)


def _shows_all_of(customer_id: UUID) -> bool:
    """Whether the read model has got to the last event of a customer with nothing of theirs parked."""
    wanted = [recorded for recorded in store.read_stream(customer_id) if recorded.type in PROFILES.types]
    return visibility.shows(PROFILES.name, wanted[-1])


def _page(name: str, status: int, **shown: Any) -> HttpResponse:
    again = {"Refresh": str(AGAIN), "Retry-After": str(AGAIN)} if status == 202 else {}
    content = render_to_string(f"pages/{name}.html", {**shown, "again": AGAIN if again else None})
    return HttpResponse(content, status=status, headers=SECRET | again)
