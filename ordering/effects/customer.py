from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from eventstore import repository
from eventstore.events import Meta
from ordering import conf, password_reset
from ordering.domain.customer import (
    Customer,
    CustomerEmailChanged,
    CustomerEmailLinkRequested,
    CustomerPasswordChanged,
    CustomerRegistered,
)
from ordering.domain.mail import MailSent
from ordering.domain.password_reset import PasswordResetRequested
from ordering.effects import mail
from ordering.pages.links import email_url, password_url, profile_url
from sagas.effects.effect import AT_LEAST_ONCE, Effect, effect

FIRST = 1
"""The number of the address that a customer registers with."""


def wanted(event: CustomerRegistered) -> bool:
    return event.welcome


@effect(
    "mail.welcome", on=CustomerRegistered, when=wanted, after=["customer-profiles"], delivery=AT_LEAST_ONCE, retries=8
)
def send_welcome(event: CustomerRegistered, meta: Meta) -> MailSent:
    """Greet a new customer, once the profile that the mail speaks of can be read, and have the address confirmed."""
    mail.send(
        "welcome",
        to=event.email,
        message_id=send_welcome.idempotency_key(meta),
        **links_of(event, send_welcome.requested_at(meta)),
    )
    return mail.sent(send_welcome, meta)


def links_of(event: CustomerRegistered, since: datetime) -> dict[str, Any]:
    """To the profile, and to where the address is confirmed."""
    return {
        "profile_url": profile_url(event.customer_id, event.email, since),
        "email_url": email_url(event.customer_id, event.email, FIRST, since),
        "minutes": conf.EMAIL_LINK_MINUTES.get(),
    }


@effect("mail.email-changed", on=CustomerEmailChanged, delivery=AT_LEAST_ONCE, retries=8)
def send_email_changed(event: CustomerEmailChanged, meta: Meta) -> MailSent | None:
    """Have the new address confirmed, unless that is over before the mail leaves."""
    return _send_email_link(send_email_changed, "email_changed", event.customer_id, meta)


@effect("mail.email-link", on=CustomerEmailLinkRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_email_link(event: CustomerEmailLinkRequested, meta: Meta) -> MailSent | None:
    """Have the address confirmed by another link, unless that is over before the mail leaves."""
    return _send_email_link(send_email_link, "email_link", event.customer_id, meta)


def _send_email_link(sender: Effect, template: str, customer_id: UUID, meta: Meta) -> MailSent | None:
    asked, customer = sender.look_up(Customer, customer_id, meta), repository.get(Customer, customer_id)
    requested_at = sender.requested_at(meta)
    is_late = timezone.now() > requested_at + conf.email_link_good_for()
    if is_late or customer.email_confirmed or asked.email_number != customer.email_number:
        return None
    mail.send(
        template,
        to=customer.email,
        message_id=sender.idempotency_key(meta),
        email_url=email_url(customer_id, customer.email, customer.email_number, requested_at),
        minutes=conf.EMAIL_LINK_MINUTES.get(),
    )
    return mail.sent(sender, meta)


@effect("mail.password-link", on=PasswordResetRequested, delivery=AT_LEAST_ONCE, retries=8)
def send_password_link(event: PasswordResetRequested, meta: Meta) -> MailSent | None:
    """Say where a new password is chosen. Nothing, where nobody has a login by this mailbox, or the link is over."""
    customer_id = password_reset.customer_of(event.mailbox)
    user = customer_id and password_reset.login_of(customer_id)
    requested_at = send_password_link.requested_at(meta)
    if not customer_id or not user or timezone.now() > requested_at + conf.password_link_good_for():
        return None
    email = repository.get(Customer, customer_id).email
    mail.send(
        "password_link",
        to=email,
        message_id=send_password_link.idempotency_key(meta),
        password_url=password_url(customer_id, email, user.password, requested_at),
        minutes=conf.PASSWORD_LINK_MINUTES.get(),
    )
    return mail.sent(send_password_link, meta)


@effect("mail.password-changed", on=CustomerPasswordChanged, delivery=AT_LEAST_ONCE, retries=8)
def send_password_changed(event: CustomerPasswordChanged, meta: Meta) -> MailSent:
    """Tell the customer, who may have been somebody else."""
    customer = send_password_changed.look_up(Customer, event.customer_id, meta)
    mail.send("password_changed", to=customer.email, message_id=send_password_changed.idempotency_key(meta))
    return mail.sent(send_password_changed, meta)
