"""What every mail about an order has in common: to whom it goes, and the names that it tells.

All of it is read from the log, never from a read model, and as it was when the mail was asked for: so a mail that is
sent again is the same.
"""

from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from eventstore.errors import StreamNotFound
from eventstore.events import Meta
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import ConferenceMoved, ConferenceRenamed, MailNoteChanged, SeatsRenamed
from ordering.domain.customer import Customer
from ordering.domain.finance import Account, account_id_of
from ordering.domain.mail import MailSent
from ordering.domain.order import Order
from ordering.domain.payment import Payment, further_payment_id
from ordering.domain.scheduling import ConferenceScheduled
from ordering.domain.seats import PricedLine, SeatsAdded
from ordering.domain.values import Money, payment_id_of
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
        attachments=attachments,
        **told(order, conference_of(effect, order, meta)),
        **values,
    )
    return mail.sent(effect, meta)


def asking(order: Order, payment_id: UUID) -> str:
    """The template by which this payment is asked for. Any but the first one is for what is still due, after the order
    was changed or a part of the money has come, or for all of it where the order was reopened.
    """
    if payment_id == payment_id_of(order.id):
        return "order_received"
    if order.changed:
        return "order_change_owed" if order.owed else "order_changed"
    return "payment_due" if order.held.amount else "order_reopened"


def newest_payment(effect: Effect, order: Order, meta: Meta) -> Payment | None:
    """That which the order was last asked to be paid by; None while none was asked for."""
    newest = None
    for number in count():
        payment_id = further_payment_id(order.id, number) if number else payment_id_of(order.id)
        try:
            newest = effect.look_up(Payment, payment_id, meta)
        except StreamNotFound:
            # An order that cost nothing, or was paid already, at first has only further ones.
            if number:
                return newest
    return newest


def still_owed(effect: Effect, order: Order, meta: Meta) -> Money:
    """What the order owes, without money that is on its way back."""
    try:
        return order.still_owes(effect.look_up(Account, account_id_of(order.id), meta))
    except StreamNotFound:
        return order.due


def told(order: Order, conference: ConferenceSeats) -> dict[str, Any]:
    """What the templates may say of any order. `paid` is what has come in and not gone back; `change` the lines and the
    total of a change that it owes money for.
    """
    change = order.owed
    return {
        "number": order.number,
        "status": order.status,
        "expires_at": order.expires_at,
        "lines": _named(order.lines, conference),
        "total": order.total,
        "paid": order.held,
        "change": change and {"lines": _named(change.lines, conference), "total": change.total},
        "conference": conference,
        "note": conference.mail_note,
    }


def _named(lines: Iterable[PricedLine], conference: ConferenceSeats) -> list[Seats]:
    return [Seats(conference.seat_types[line.seat_type].name, line.quantity, line.unit_price) for line in lines]
