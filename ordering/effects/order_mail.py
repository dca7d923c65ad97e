"""What every mail about an order has in common: to whom it goes, and the names that it tells.

All of it is read from the log, never from a read model, and as it was when the mail was asked for: so a mail that is
sent again is the same.
"""

from typing import Any, NamedTuple

from eventstore.events import Meta
from ordering.domain.conference import ConferenceScheduled, ConferenceSeats, SeatsAdded
from ordering.domain.conference_changes import ConferenceMoved, ConferenceRenamed, MailNoteChanged, SeatsRenamed
from ordering.domain.customer import Customer
from ordering.domain.mail import MailSent
from ordering.domain.order import Order
from ordering.domain.values import Money
from ordering.effects import mail
from sagas.effects.effect import Effect

NAMES = (ConferenceScheduled, ConferenceRenamed, ConferenceMoved, MailNoteChanged, SeatsAdded, SeatsRenamed)
"""What a mail tells of a conference. Nearly all else in its stream is about the seats of orders."""


class Seats(NamedTuple):
    """A line of an order, by the name of its seat type."""

    name: str
    quantity: int
    unit_price: Money


def conference_of(effect: Effect, order: Order, meta: Meta) -> ConferenceSeats:
    """The names, the time and the place of a conference, and nothing about who has its seats."""
    return effect.look_up(ConferenceSeats, order.conference_id, meta, only=NAMES)


def send(
    effect: Effect,
    order: Order,
    meta: Meta,
    template: str,
    *,
    attachments: tuple[mail.Attachment, ...] = (),
    **values: Any,
) -> MailSent:
    """Send `mail/<template>` to whoever ordered. Raises what `mail.send` does."""
    customer = effect.look_up(Customer, order.customer_id, meta)
    mail.send(
        template,
        to=customer.email,
        message_id=effect.idempotency_key(meta),
        name=customer.name,
        attachments=attachments,
        **told(order, conference_of(effect, order, meta)),
        **values,
    )
    return mail.sent(effect, meta)


def told(order: Order, conference: ConferenceSeats) -> dict[str, Any]:
    """What the templates may say of any order. `paid` is what has come in and not gone back."""
    return {
        "number": order.number,
        "status": order.status,
        "expires_at": order.expires_at,
        "lines": [
            Seats(conference.seat_types[line.seat_type].name, line.quantity, line.unit_price) for line in order.lines
        ],
        "total": order.total,
        "paid": order.total - order.due,
        "conference": conference,
        "note": conference.mail_note,
    }
