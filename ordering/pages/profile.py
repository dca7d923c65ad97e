"""What a customer sees behind the link of the welcome mail: all that is known of them, and their orders."""

from uuid import UUID

from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from eventstore import repository, store
from eventstore.errors import StreamNotFound
from eventstore.subscriptions import visibility
from ordering.domain.customer import Customer, CustomerRegistered
from ordering.domain.mailbox import mailbox_of
from ordering.models import CustomerProfile, OrderSummary
from ordering.pages.links import ProfileLink, profile_link
from ordering.pages.serving import page
from ordering.projections.customer import CustomerProfiles

PROFILES = CustomerProfiles()
SHOWN = 25


@require_safe
def profile(request: HttpRequest, token: str) -> HttpResponse:
    """The profile; 404 if the log knows nobody whom this token is for, or they have another address by now. While the
    read model can't show all that the log says of them it is 202, and the page asks again by itself.
    """
    try:
        link = profile_link(token)
        customer = repository.get(Customer, link.customer_id)
    except (BadSignature, StreamNotFound):
        return page("not_found", 404)
    if not _is_theirs(link, customer):
        return page("not_found", 404)
    # Asked before the row is read, which may be newer by then, and never older.
    complete = _shows_all_of(customer.id)
    row = CustomerProfile.objects.filter(pk=customer.id).first()
    if row is None:
        return page("on_its_way", 202)
    orders = OrderSummary.objects.filter(customer_id=customer.id)[:SHOWN]
    return page("profile", 200 if complete else 202, customer=row, orders=orders, most=SHOWN)


def _is_theirs(link: ProfileLink, customer: Customer) -> bool:
    """Whether it was sent to the address that the customer has. One that doesn't say so was sent to the first."""
    if link.mailbox:
        return link.is_for(customer.email)
    registered = store.read_stream(customer.id)[0].event
    assert isinstance(registered, CustomerRegistered)
    return mailbox_of(registered.email) == mailbox_of(customer.email)


def _shows_all_of(customer_id: UUID) -> bool:
    """Whether the read model has got to the last event of a customer with nothing of theirs parked."""
    wanted = [recorded for recorded in store.read_stream(customer_id) if recorded.type in PROFILES.types]
    return visibility.shows(PROFILES.name, wanted[-1])
