"""An address is confirmed by a link that was mailed to it.

Like that to a new password the link is made from what it is about to change: once the address is confirmed, or is
another, it leads nowhere.
"""

from django.core.signing import BadSignature

from eventstore import context, repository
from eventstore.commands import dispatch
from eventstore.errors import StreamNotFound
from ordering import mailed_links
from ordering.domain.customer import ConfirmEmail, Customer, RequestEmailLink
from ordering.domain.errors import EmailOutdated
from ordering.mailed_links import LinkOver
from ordering.pages.links import EmailLink, email_link, former_email_link


def bearer(token: str) -> Customer:
    """Whose address the link with this token confirms, or has confirmed. Raises `LinkOver`."""
    try:
        link = email_link(token)
        customer = repository.get(Customer, link.customer_id)
    except (BadSignature, StreamNotFound) as error:
        raise LinkOver from error
    if not _is_for(link, customer):
        raise LinkOver
    return customer


def former_bearer(token: str) -> Customer:
    """Whom a link with this token was ever sent to. Raises `LinkOver` for one that is not ours."""
    try:
        return repository.get(Customer, former_email_link(token).customer_id)
    except (BadSignature, StreamNotFound) as error:
        raise LinkOver from error


def confirm(token: str) -> None:
    """Raises `LinkOver`, for all but one of those who use the link at once."""
    customer = bearer(token)
    if customer.email_confirmed:
        raise LinkOver
    try:
        with context.acting(actor=f"customer:{customer.id}"):
            receipt = dispatch(ConfirmEmail(customer_id=customer.id, email=customer.email))
    except EmailOutdated as error:
        raise LinkOver from error
    if not receipt.recorded:
        raise LinkOver


def send_another(token: str, network: str) -> None:
    """Ask for another mail in place of the one with this token, where the customer still has the address that it was
    sent to. Raises `LinkOver` for one that is not ours, and `Braked`.
    """
    customer = former_bearer(token)
    mailed_links.count(network, customer.email)
    if _is_for(former_email_link(token), customer):
        with context.acting(actor=f"customer:{customer.id}"):
            dispatch(RequestEmailLink(customer_id=customer.id))


def _is_for(link: EmailLink, customer: Customer) -> bool:
    return link.is_for(customer.email, customer.email_number)
