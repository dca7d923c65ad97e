from eventstore.events import Meta
from ordering.domain.customer import CustomerRegistered
from ordering.domain.mail import MailSent
from ordering.effects import mail
from ordering.pages.links import profile_url
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
