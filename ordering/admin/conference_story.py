"""The story of a conference: what was changed about it, and from what. What orders took and gave back is told on their
own pages.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import singledispatch
from uuid import UUID

from eventstore.events import Event
from ordering.admin import timeline
from ordering.admin.formatting import cancellation_rule, in_zone, payment_terms
from ordering.admin.timeline import Entry
from ordering.admin.words import because, say, shown, via
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    CancellationRuleChanged,
    ConferenceCancelled,
    ConferenceMoved,
    ConferenceRenamed,
    CustomerLimitChanged,
    HoldReleased,
    MailNoteChanged,
    OrdersCalledOff,
    PaymentTermsChanged,
    PoolAdded,
    PoolCapacityChanged,
    PoolRenamed,
    PoolsAssigned,
    ProvidersChanged,
    SalesClosed,
    SalesReopened,
    SalesWindowChanged,
    SeatCapacityChanged,
    SeatLimitChanged,
    SeatsHeld,
    SeatsRenamed,
    SeatsRepriced,
)
from ordering.domain.scheduling import ConferenceScheduled
from ordering.domain.seats import OF_ORDERS, SeatsAdded

TOLD = tuple(event for event in ConferenceSeats.evolvers if event not in OF_ORDERS)


def read(conference_id: UUID) -> list[Entry]:
    """The entries of its timeline, the newest at the end. Raises `UnknownHere`."""
    return timeline.changes(ConferenceSeats, conference_id, TOLD, tell)


@singledispatch
def tell(event: Event, before: ConferenceSeats) -> str:
    """What an event has changed about the conference as it was before."""
    return say(event)


@tell.register
def _(event: ConferenceScheduled, before: ConferenceSeats) -> str:
    there = f" in {event.place}" if event.place else ""
    starts, opens, closes = _in(event.time_zone, event.starts_at, event.opens_at, event.closes_at)
    return f"{event.name} was scheduled: it starts on {starts}{there}, and is sold from {opens} until {closes}."


@tell.register
def _(event: ConferenceRenamed, before: ConferenceSeats) -> str:
    return f"The conference is called {event.name} instead of {before.name}."


@tell.register
def _(event: ConferenceMoved, before: ConferenceSeats) -> str:
    (now,), (then,) = _in(event.time_zone, event.starts_at), _in(before.time_zone, before.starts_at)
    moved = _differing(("starts on", now, then), ("is held in", event.place or "no place", before.place or "no place"))
    return f"The conference {moved}."


@tell.register
def _(event: SalesWindowChanged, before: ConferenceSeats) -> str:
    opens, opened, closes, closed = _in(
        before.time_zone, event.opens_at, before.opens_at, event.closes_at, before.closes_at
    )
    return f"Sales {_differing(('open on', opens, opened), ('close on', closes, closed))}."


@tell.register
def _(event: SalesClosed, before: ConferenceSeats) -> str:
    return f"Sales were closed{because(event.reason)}"


@tell.register
def _(event: SalesReopened, before: ConferenceSeats) -> str:
    return "Sales were opened again: the sales window counts."


@tell.register
def _(event: MailNoteChanged, before: ConferenceSeats) -> str:
    if not event.note:
        return f"Mails have no paragraph of the organizer's any more; it was: {before.mail_note}"
    instead = f" instead of “{before.mail_note}”" if before.mail_note else ""
    return f"Mails have another paragraph of the organizer's{instead}: {event.note}"


@tell.register
def _(event: ConferenceCancelled, before: ConferenceSeats) -> str:
    return f"The conference was cancelled{because(event.reason)}"


@tell.register
def _(event: OrdersCalledOff, before: ConferenceSeats) -> str:
    count = len(event.order_ids)
    orders = "One order was" if count == 1 else f"{count:,} orders were"
    return f"{orders} called off; {event.left:,} more are to follow." if event.left else f"{orders} called off."


@tell.register
def _(event: PaymentTermsChanged, before: ConferenceSeats) -> str:
    return f"Orders are to be paid {payment_terms(event.terms)}, instead of {payment_terms(before.payment_terms)}."


@tell.register
def _(event: CancellationRuleChanged, before: ConferenceSeats) -> str:
    now, then = (cancellation_rule(each, before.time_zone) for each in (event.rule, before.cancellation))
    return f"Orders are cancelled by another rule: {now}; before: {then}."


@tell.register
def _(event: CustomerLimitChanged, before: ConferenceSeats) -> str:
    return f"One customer may have {_most(event.max_per_customer)} instead of {_most(before.max_per_customer)}."


@tell.register
def _(event: ProvidersChanged, before: ConferenceSeats) -> str:
    return f"Orders are paid by {_providers(event.providers)} instead of {_providers(before.providers)}."


@tell.register
def _(event: SeatsAdded, before: ConferenceSeats) -> str:
    added = event.seat_type
    if known := before.seat_types.get(added.code):
        return f"{known.name} has {known.capacity + added.capacity:,} seats instead of {known.capacity:,}."
    bounds = f"{added.min_per_order:,} to {added.max_per_order:,} in an order"
    return f"{added.name} was added: {added.capacity:,} seats at {shown(added.price)}, {bounds}."


@tell.register
def _(event: SeatsRepriced, before: ConferenceSeats) -> str:
    known = before.seat_types[event.seat_type]
    return f"{known.name} costs {shown(event.price)} instead of {shown(known.price)}."


@tell.register
def _(event: SeatCapacityChanged, before: ConferenceSeats) -> str:
    known = before.seat_types[event.seat_type]
    return f"{known.name} has {event.capacity:,} seats instead of {known.capacity:,}{because(event.reason)}"


@tell.register
def _(event: SeatsRenamed, before: ConferenceSeats) -> str:
    return f"{before.seat_types[event.seat_type].name} is called {event.name} now."


@tell.register
def _(event: SeatLimitChanged, before: ConferenceSeats) -> str:
    known = before.seat_types[event.seat_type]
    now, then = (
        f"{event.min_per_order:,} to {event.max_per_order:,}",
        f"{known.min_per_order:,} to {known.max_per_order:,}",
    )
    return f"An order with {known.name} has {now} of them instead of {then}."


@tell.register
def _(event: PoolsAssigned, before: ConferenceSeats) -> str:
    known = before.seat_types[event.seat_type]
    now, then = (_pools(before, codes) for codes in (event.pools, before.draws_on.get(known.code, ())))
    return f"{known.name} draws on {now} instead of {then}."


@tell.register
def _(event: PoolAdded, before: ConferenceSeats) -> str:
    return f"The pool {event.pool.name} was added, with {event.pool.capacity:,} places."


@tell.register
def _(event: PoolRenamed, before: ConferenceSeats) -> str:
    return f"The pool {before.pools[event.pool].name} is called {event.name} now."


@tell.register
def _(event: PoolCapacityChanged, before: ConferenceSeats) -> str:
    known = before.pools[event.pool]
    return f"The pool {known.name} has {event.capacity:,} places instead of {known.capacity:,}{because(event.reason)}"


@tell.register
def _(event: SeatsHeld, before: ConferenceSeats) -> str:
    name = before.seat_types[event.seat_type].name
    return f"{event.quantity:,} × {name} are held for {event.label}{because(event.reason)}"


@tell.register
def _(event: HoldReleased, before: ConferenceSeats) -> str:
    hold, name = before.holds[event.hold_id], before.seat_types[event.seat_type].name
    left = hold.quantity - event.quantity
    still = f", and {left:,} are still held" if left else ""
    return f"{event.quantity:,} × {name} that were held for {hold.label} are free again{still}."


def _in(time_zone: str, *moments: datetime) -> list[str]:
    return [in_zone(each, time_zone) for each in moments]


def _differing(*told: tuple[str, str, str]) -> str:
    """Of each that has changed: how it is now, and how it was."""
    return ", and ".join(f"{what} {now} instead of {then}" for what, now, then in told if now != then)


def _most(limit: int | None) -> str:
    return "any number of seats" if limit is None else f"at most {limit:,} seats"


def _providers(names: Iterable[str]) -> str:
    return ", ".join(map(via, names)) or "the usual provider of the site"


def _pools(conference: ConferenceSeats, codes: Iterable[str]) -> str:
    return ", ".join(conference.pools[code].name for code in codes) or "no pool"
