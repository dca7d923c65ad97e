"""Seats: of which types there are how many, which of them an order asks for, and what has become of those."""

from collections.abc import Iterable
from functools import reduce
from operator import add
from uuid import UUID, uuid5

import msgspec

from eventstore.aggregates import Command, command
from eventstore.events import Event, event
from ordering.domain.conference_changes import ConferenceChange
from ordering.domain.errors import InvalidQuantity
from ordering.domain.values import Money

SOLD_OUT, CANCELLED, CUSTOMER_LIMIT = "sold-out", "conference-cancelled", "customer-limit"
UNPAID_LIMIT, NO_SEATS = "unpaid-limit", "no-seats"


class SeatType(msgspec.Struct, frozen=True, omit_defaults=True):
    """Seats that are alike: how many there are, what one costs, and how many of them an order that has any may have."""

    code: str
    name: str
    price: Money
    capacity: int
    max_per_order: int
    min_per_order: int = 1


class Line(msgspec.Struct, frozen=True):
    """How many seats of the type with this code."""

    seat_type: str
    quantity: int


class PricedLine(msgspec.Struct, frozen=True):
    """The same, and what one seat costs."""

    seat_type: str
    quantity: int
    unit_price: Money


class UnpaidLimit(msgspec.Struct, frozen=True):
    """How many orders of a conference that are not paid yet one customer may have at once, and how many seats in them
    together, where these are more than one. 0: any number.
    """

    orders: int = 0
    seats: int = 0


@event("seats.added")
class SeatsAdded(Event):
    """The capacity of `seat_type` is the number of seats added, whether or not there were some of that type before."""

    conference_id: UUID
    seat_type: SeatType


@event("seats.reserved", version=3)
class SeatsReserved(Event):
    """Version 1 named no customer: these seats count for nobody. Those that are `on_offer` to who waits are no order's:
    `order_id` is the id that they have until then.
    """

    conference_id: UUID
    order_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money
    customer_id: UUID | None = None
    on_offer: bool = False


@event("seats.refused")
class SeatsRefused(Event):
    conference_id: UUID
    order_id: UUID
    lines: tuple[Line, ...]
    reason: str


@event("seats.released")
class SeatsReleased(Event):
    conference_id: UUID
    order_id: UUID
    lines: tuple[Line, ...]


@event("seats.sold")
class SeatsSold(Event):
    conference_id: UUID
    order_id: UUID
    lines: tuple[Line, ...]


@event("seats.changed")
class SeatsChanged(Event):
    """An order has other seats now: those of `lines` instead of those of `before`."""

    conference_id: UUID
    order_id: UUID
    change: int
    before: tuple[Line, ...]
    lines: tuple[Line, ...]


@event("seats.change-refused")
class SeatsChangeRefused(Event):
    conference_id: UUID
    order_id: UUID
    change: int
    lines: tuple[Line, ...]
    reason: str


@command("seats.add", stream="conference_id")
class AddSeats(ConferenceChange):
    """A new seat type, or as many more seats of one that exists, on the terms it already has."""

    seat_type: SeatType


@command("seats.reserve", stream="conference_id")
class ReserveSeats(Command):
    """An order that was placed in time has its seats even if sales have closed since, and at the prices of then: what
    one seat of each type costs. Without them, as commands were once, it is the price of now, and without a customer the
    seats count for nobody. Seats that were reserved for an offer become those of the order that accepts it, whatever
    the limit of what is `unpaid`.
    """

    conference_id: UUID
    order_id: UUID
    lines: tuple[Line, ...]
    prices: dict[str, Money] = {}
    customer_id: UUID | None = None
    on_offer: bool = False
    unpaid: UnpaidLimit | None = None


@command("seats.release", stream="conference_id")
class ReleaseSeats(Command):
    conference_id: UUID
    order_id: UUID


@command("seats.sell", stream="conference_id")
class SellSeats(Command):
    conference_id: UUID
    order_id: UUID


@command("seats.change", stream="conference_id")
class ChangeSeats(Command):
    """An order that has seats is to have these instead, all of them or as before. Of each type it has at least as many
    as are `kept`, which it gives up later or not at all. More seats of one that isn't paid keep to the limit.
    """

    conference_id: UUID
    order_id: UUID
    change: int
    lines: tuple[Line, ...]
    kept: tuple[Line, ...] = ()
    unpaid: UnpaidLimit | None = None


OF_ORDERS = (SeatsReserved, SeatsRefused, SeatsReleased, SeatsSold, SeatsChanged, SeatsChangeRefused)


def merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line for each seat type, in the order in which they are first named. Raises `InvalidQuantity`."""
    quantities: dict[str, int] = {}
    for line in lines:
        if line.quantity < 1:
            raise InvalidQuantity
        quantities[line.seat_type] = quantities.get(line.seat_type, 0) + line.quantity
    if not quantities:
        raise InvalidQuantity
    return tuple(Line(seat_type, quantity) for seat_type, quantity in quantities.items())


def difference(before: Iterable[Line | PricedLine], after: Iterable[Line | PricedLine]) -> tuple[Line, ...]:
    """How many seats of each type there are more, or less, after than before; a type with as many is not named."""
    quantities: dict[str, int] = {}
    for line in after:
        quantities[line.seat_type] = line.quantity
    for line in before:
        quantities[line.seat_type] = quantities.get(line.seat_type, 0) - line.quantity
    return tuple(Line(seat_type, quantity) for seat_type, quantity in quantities.items() if quantity)


def at_least(kept: Iterable[Line | PricedLine], lines: Iterable[Line | PricedLine]) -> tuple[Line, ...]:
    """The lines, with as many seats of each type as are kept where these are more."""
    quantities = {line.seat_type: line.quantity for line in lines}
    for line in kept:
        quantities[line.seat_type] = max(line.quantity, quantities.get(line.seat_type, 0))
    return tuple(Line(seat_type, quantity) for seat_type, quantity in quantities.items())


def offered_seats_id(order_id: UUID) -> UUID:
    """As what seats are reserved while they are on offer: those that the order with this id will have if it is
    accepted.
    """
    return uuid5(order_id, "offered seats")


def total(lines: Iterable[PricedLine]) -> Money:
    """What the lines, at least one, cost together."""
    return reduce(add, (line.unit_price * line.quantity for line in lines))
