"""The mails to those who wait. Who accepts or declines an offer, or leaves, knows it already; an order has mails of its
own.
"""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from eventstore import repository
from eventstore.events import Meta
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    ConferenceCancelled,
    SalesClosed,
    SalesReopened,
    SalesWindowChanged,
    SeatsRepriced,
)
from ordering.domain.customer import Customer
from ordering.domain.mail import MailSent
from ordering.domain.order import Order
from ordering.domain.seats import Line, PricedLine, total
from ordering.domain.waitlist import (
    Leaving,
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOffered,
)
from ordering.effects import mail, order_mail
from ordering.pages.links import waitlist_url
from sagas.effects.effect import AT_LEAST_ONCE, Effect, effect

TOLD = (*order_mail.NAMES, SeatsRepriced, SalesWindowChanged, SalesClosed, SalesReopened, ConferenceCancelled)
"""What these mails tell of a conference, and whether it is on sale."""

About = WaitlistJoined | WaitlistOffered | WaitlistLapsed | WaitlistLeft


def unforeseen(event: WaitlistLeft) -> bool:
    return event.reason in (Leaving.CONFERENCE_CANCELLED, Leaving.SALES_ENDED, Leaving.STAFF, Leaving.NOT_ORDERED)


@effect("mail.waitlist-joined", on=WaitlistJoined, delivery=AT_LEAST_ONCE, retries=8)
def send_joined(event: WaitlistJoined, meta: Meta) -> MailSent | None:
    """Tell the customer that they wait, for which seats, and how to leave; unless sales are over by now. That an order
    was refused is told by a mail of its own; this one says what comes of it.
    """
    if timezone.now() >= repository.get(ConferenceSeats, event.conference_id).closes_at:
        return None
    conference = _conference(send_joined, event, meta)
    refused = event.refused_order_id and send_joined.look_up(Order, event.refused_order_id, meta)
    number = refused.number if refused else ""
    return _send(send_joined, event, meta, "waitlist_joined", number=number, **told(event, conference, event.lines))


@effect("mail.waitlist-offered", on=WaitlistOffered, delivery=AT_LEAST_ONCE, retries=8)
def send_offer(event: WaitlistOffered, meta: Meta) -> MailSent | None:
    """Tell the customer which seats are kept for them, until when, and how to order or decline them; unless that is
    over by now, of which another mail tells.
    """
    if timezone.now() >= event.until:
        return None
    conference = _conference(send_offer, event, meta)
    return _send(send_offer, event, meta, "waitlist_offered", until=event.until, **told(event, conference, event.lines))


@effect("mail.waitlist-lapsed", on=WaitlistLapsed, delivery=AT_LEAST_ONCE, retries=8)
def send_offer_lapsed(event: WaitlistLapsed, meta: Meta) -> MailSent:
    """Tell the customer that the offer is over, that they wait no longer, and whether they may again."""
    conference = _conference(send_offer_lapsed, event, meta)
    on_sale = conference.on_sale(send_offer_lapsed.requested_at(meta))
    return _send(
        send_offer_lapsed, event, meta, "waitlist_lapsed", on_sale=on_sale, **told(event, conference, event.lines)
    )


@effect("mail.waitlist-left", on=WaitlistLeft, when=unforeseen, delivery=AT_LEAST_ONCE, retries=8)
def send_left(event: WaitlistLeft, meta: Meta) -> MailSent:
    """Tell the customer that they wait no longer, and why: the conference is cancelled, sales have ended, staff
    took them off, or what they accepted could not be ordered any more.
    """
    conference = _conference(send_left, event, meta)
    on_sale = conference.on_sale(send_left.requested_at(meta))
    return _send(
        send_left, event, meta, "waitlist_left", reason=event.reason, on_sale=on_sale, **told(event, conference)
    )


def told(event: About, conference: ConferenceSeats, lines: Iterable[Line] = ()) -> dict[str, Any]:
    """What the templates may say of an entry, with the prices that seats have at the time."""
    types = conference.seat_types
    priced = [PricedLine(line.seat_type, line.quantity, types[line.seat_type].price) for line in lines]
    return {
        "conference": conference,
        "lines": [order_mail.Seats(types[line.seat_type].name, line.quantity, line.unit_price) for line in priced],
        "total": total(priced) if priced else None,
        "url": waitlist_url(event.conference_id, event.entry_id),
    }


def _conference(effect: Effect, event: About, meta: Meta) -> ConferenceSeats:
    return effect.look_up(ConferenceSeats, event.conference_id, meta, only=TOLD)


def _send(effect: Effect, event: About, meta: Meta, template: str, **values: Any) -> MailSent:
    """Send `mail/<template>` to whoever waits, or did. Raises what `mail.send` does."""
    customer = effect.look_up(Customer, event.customer_id, meta)
    mail.send(template, to=customer.email, message_id=effect.idempotency_key(meta), **values)
    return mail.sent(effect, meta)
