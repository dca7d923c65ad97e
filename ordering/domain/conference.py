"""Conferences: their seats, what they cost, and who has them. No seat is ever given out twice."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import reduce
from operator import add
from uuid import UUID

import msgspec

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.events import Event, event
from ordering.domain.errors import (
    ConferenceNotOnSale,
    DuplicateSeatType,
    InvalidQuantity,
    InvalidSalesWindow,
    InvalidSeatType,
    MixedCurrencies,
    NoSeatTypes,
    SeatTypeDiffers,
    TooManySeats,
    UnknownSeatType,
)
from ordering.domain.values import Moment, Money

SOLD_OUT = "sold-out"
NEVER = datetime.max.replace(tzinfo=UTC)


class SeatType(msgspec.Struct, frozen=True):
    """Seats that are alike: how many there are, what one costs, and how many of them one order may have."""

    code: str
    name: str
    price: Money
    capacity: int
    max_per_order: int


class Line(msgspec.Struct, frozen=True):
    """How many seats of the type with this code."""

    seat_type: str
    quantity: int


class PricedLine(msgspec.Struct, frozen=True):
    """The same, and what one seat costs."""

    seat_type: str
    quantity: int
    unit_price: Money


@event("conference.scheduled", version=2)
class ConferenceScheduled(Event):
    """Version 1 had no `closes_at`."""

    conference_id: UUID
    name: str
    starts_at: Moment
    opens_at: Moment
    closes_at: Moment


@event("seats.added")
class SeatsAdded(Event):
    """The capacity of `seat_type` is the number of seats added, whether or not there were some of that type before."""

    conference_id: UUID
    seat_type: SeatType


@event("seats.reserved")
class SeatsReserved(Event):
    conference_id: UUID
    order_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money


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


@command("conference.schedule", stream="conference_id")
class ScheduleConference(Command):
    conference_id: UUID
    name: str
    starts_at: Moment
    opens_at: Moment
    closes_at: Moment
    seat_types: tuple[SeatType, ...]


@command("seats.add", stream="conference_id")
class AddSeats(Command):
    """A new seat type, or as many more seats of one that exists, on the terms it already has."""

    conference_id: UUID
    seat_type: SeatType


@command("seats.reserve", stream="conference_id")
class ReserveSeats(Command):
    """An order that was placed in time has its seats even if sales have closed since."""

    conference_id: UUID
    order_id: UUID
    lines: tuple[Line, ...]


@command("seats.release", stream="conference_id")
class ReleaseSeats(Command):
    conference_id: UUID
    order_id: UUID


@command("seats.sell", stream="conference_id")
class SellSeats(Command):
    conference_id: UUID
    order_id: UUID


class ConferenceSeats(Aggregate, category="conference", hot=True, snapshot_every=100):
    """Every seat of a conference is free, reserved for an order, or sold to one.

    An order has all the seats it asks for or none; what it has is remembered until it is released, and no longer.
    """

    opens_at: datetime
    closes_at: datetime
    seat_types: dict[str, SeatType]
    taken: dict[str, int]
    reserved: dict[UUID, tuple[Line, ...]]
    sold: dict[UUID, tuple[Line, ...]]

    def __init__(self, stream_id: UUID) -> None:
        super().__init__(stream_id)
        self.opens_at, self.closes_at = NEVER, NEVER
        self.seat_types = {}
        self.taken = {}
        self.reserved = {}
        self.sold = {}

    def on_sale(self, now: datetime) -> bool:
        """Whether seats can be ordered at this time."""
        return self.opens_at <= now < self.closes_at

    def offer(self, lines: Iterable[Line], now: datetime) -> tuple[PricedLine, ...]:
        """What an order of these lines would cost now, free seats or not, with one line for each seat type.

        Raises `ConferenceNotOnSale`, `InvalidQuantity`, `UnknownSeatType`, `TooManySeats`.
        """
        if not self.on_sale(now):
            raise ConferenceNotOnSale
        offered = self._priced(merged(lines))
        for line in offered:
            most = self.seat_types[line.seat_type].max_per_order
            if line.quantity > most:
                raise TooManySeats(f"One order may have at most {most} seats of the type {line.seat_type!r}.")
        return offered

    def available(self, code: str) -> int:
        """How many seats of a type are neither reserved nor sold. Raises `UnknownSeatType`."""
        return self._seat_type(code).capacity - self.taken[code]

    @handles(ScheduleConference, creates=True)
    def schedule(self, command: ScheduleConference, facts: Facts) -> None:
        if not command.opens_at < command.closes_at <= command.starts_at:
            raise InvalidSalesWindow
        if not command.seat_types:
            raise NoSeatTypes
        if len({seat_type.code for seat_type in command.seat_types}) < len(command.seat_types):
            raise DuplicateSeatType
        self.record(
            ConferenceScheduled(
                conference_id=self.id,
                name=command.name,
                starts_at=command.starts_at,
                opens_at=command.opens_at,
                closes_at=command.closes_at,
            )
        )
        for seat_type in command.seat_types:
            self._add(seat_type)

    @handles(AddSeats)
    def add_seats(self, command: AddSeats, facts: Facts) -> None:
        self._add(command.seat_type)

    @handles(ReserveSeats)
    def reserve_seats(self, command: ReserveSeats, facts: Facts) -> None:
        if self._held_by(command.order_id):
            return
        lines = merged(command.lines)
        if any(line.quantity > self.available(line.seat_type) for line in lines):
            self.record(SeatsRefused(conference_id=self.id, order_id=command.order_id, lines=lines, reason=SOLD_OUT))
        else:
            priced = self._priced(lines)
            self.record(
                SeatsReserved(conference_id=self.id, order_id=command.order_id, lines=priced, total=total(priced))
            )

    @handles(ReleaseSeats)
    def release_seats(self, command: ReleaseSeats, facts: Facts) -> None:
        if lines := self._held_by(command.order_id):
            self.record(SeatsReleased(conference_id=self.id, order_id=command.order_id, lines=lines))

    @handles(SellSeats)
    def sell_seats(self, command: SellSeats, facts: Facts) -> None:
        if lines := self.reserved.get(command.order_id):
            self.record(SeatsSold(conference_id=self.id, order_id=command.order_id, lines=lines))

    @on(ConferenceScheduled)
    def _scheduled(self, event: ConferenceScheduled) -> None:
        self.opens_at, self.closes_at = event.opens_at, event.closes_at

    @on(SeatsAdded)
    def _added(self, event: SeatsAdded) -> None:
        added = event.seat_type
        known = self.seat_types.get(added.code)
        capacity = added.capacity + (known.capacity if known else 0)
        self.seat_types[added.code] = msgspec.structs.replace(added, capacity=capacity)
        self.taken.setdefault(added.code, 0)

    @on(SeatsReserved)
    def _reserved(self, event: SeatsReserved) -> None:
        self.reserved[event.order_id] = tuple(Line(line.seat_type, line.quantity) for line in event.lines)
        for line in event.lines:
            self.taken[line.seat_type] += line.quantity

    @on(SeatsRefused)
    def _refused(self, event: SeatsRefused) -> None:
        """Nothing was given out."""

    @on(SeatsReleased)
    def _released(self, event: SeatsReleased) -> None:
        self.reserved.pop(event.order_id, None)
        self.sold.pop(event.order_id, None)
        for line in event.lines:
            self.taken[line.seat_type] -= line.quantity

    @on(SeatsSold)
    def _sold(self, event: SeatsSold) -> None:
        self.sold[event.order_id] = self.reserved.pop(event.order_id)

    def _add(self, added: SeatType) -> None:
        if not added.code or added.capacity < 1 or added.max_per_order < 1 or added.price.amount < 0:
            raise InvalidSeatType
        if any(other.price.currency != added.price.currency for other in self.seat_types.values()):
            raise MixedCurrencies
        known = self.seat_types.get(added.code)
        if known and msgspec.structs.replace(known, capacity=added.capacity) != added:
            raise SeatTypeDiffers
        if not known:
            added.price.check()
        self.record(SeatsAdded(conference_id=self.id, seat_type=added))

    def _held_by(self, order_id: UUID) -> tuple[Line, ...]:
        return self.reserved.get(order_id) or self.sold.get(order_id) or ()

    def _priced(self, lines: Iterable[Line]) -> tuple[PricedLine, ...]:
        return tuple(PricedLine(line.seat_type, line.quantity, self._seat_type(line.seat_type).price) for line in lines)

    def _seat_type(self, code: str) -> SeatType:
        try:
            return self.seat_types[code]
        except KeyError:
            raise UnknownSeatType(f"The conference has no seats of the type {code!r}.") from None


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


def total(lines: Iterable[PricedLine]) -> Money:
    """What the lines, at least one, cost together."""
    return reduce(add, (line.unit_price * line.quantity for line in lines))
