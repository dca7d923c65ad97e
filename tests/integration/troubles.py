"""What goes wrong with commands of sagas and with mails, brought about by what really goes wrong: a log that refuses an
event, a mail server that is away.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import UUID

from django.test import override_settings

from config.bundled.valkey import free_port
from eventstore.models import ClockTimestamp
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.effects.customer import send_welcome
from sagas import outbox
from sagas.effects import delivery
from sagas.models import Delivery, OutboxCommand
from tests.integration import shop
from tests.integration.eventstore import raw

ERROR = "CheckViolation"
WELCOME = send_welcome.name


@contextmanager
def refused(stored: str) -> Iterator[Callable[[], None]]:
    """The log refuses events of this type, until it is mended: an error that is nobody's rule and passes never."""
    with closing(raw.connect("owner", autocommit=True)) as owner:
        check = f"ALTER TABLE eventstore_event ADD CONSTRAINT refused CHECK (type <> '{stored}') NOT VALID"
        owner.execute(check)

        def mend() -> None:
            owner.execute("ALTER TABLE eventstore_event DROP CONSTRAINT IF EXISTS refused")

        try:
            yield mend
        finally:
            mend()


def parked_orders(many: int = 1) -> list[UUID]:
    """Orders whose first command is parked. The log has to refuse what it would record."""
    customer, conference = shop.customer(), shop.conference_on_sale()
    with override_settings(EVENTSTORE_SETTLE_SECONDS=0.5):
        orders = [shop.order(customer, conference) for _ in range(many)]
    feeding.catch_up(registry.of(Mode.SYNC))
    pending = OutboxCommand.objects.filter(status=OutboxCommand.Status.PENDING)
    while pending.update(due_at=ClockTimestamp()):
        outbox.send_next()
    return orders


def failed_mails(many: int = 1) -> list[Delivery]:
    """Mails to new customers, as the ledger has them when the mail server was away for as long as they were tried."""
    for _ in range(many):
        shop.customer()
    open_ = Delivery.objects.filter(effect=WELCOME, status=Delivery.Status.PENDING)
    smtp = {"EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend", "EMAIL_HOST": "127.0.0.1"}
    with override_settings(**smtp, EMAIL_PORT=free_port()):
        while open_.update(due_at=ClockTimestamp()):
            delivery.deliver_one(send_welcome)
    return list(Delivery.objects.filter(effect=WELCOME, status=Delivery.Status.FAILED).order_by("id"))


def in_doubt(many: int = 1) -> list[Delivery]:
    """Mails of which nobody knows whether they went out, as only an effect that acts at most once has them."""
    for _ in range(many):
        shop.customer()
    Delivery.objects.filter(effect=WELCOME, status=Delivery.Status.PENDING).update(
        status=Delivery.Status.IN_DOUBT, error="Whoever acted has died; it may or may not have happened.", attempts=1
    )
    return list(Delivery.objects.filter(effect=WELCOME, status=Delivery.Status.IN_DOUBT).order_by("id"))
