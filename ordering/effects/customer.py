from django.utils import timezone

from eventstore import repository
from eventstore.events import Meta
from ordering import conf, password_reset
from ordering.domain.customer import Customer, CustomerPasswordChanged, CustomerRegistered
from ordering.domain.mail import MailSent
from ordering.domain.password_reset import PasswordResetRequested
from ordering.effects import mail
from ordering.pages.links import password_url, profile_url
from sagas.effects.effect import AT_LEAST_ONCE, effect


def wanted(event: CustomerRegistered) -> bool:
    return event.welcome


@effect(
    "mail.welcome", on=CustomerRegistered, when=wanted, after=["customer-profiles"], delivery=AT_LEAST_ONCE, retries=8
)
def send_welcome(event: CustomerRegistered, meta: Meta) -> MailSent:
    """Greet a new customer, once the profile that the mail speaks of can be read."""
    mail.send(
        "welcome",
        to=event.email,
        message_id=send_welcome.idempotency_key(meta),
        profile_url=profile_url(event.customer_id, event.email, send_welcome.requested_at(meta)),
    )
    return mail.sent(send_welcome, meta)


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
