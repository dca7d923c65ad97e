"""The waitlist of a conference: who waits for seats that are not free, and is offered them when they are.

Whoever has the highest priority is offered seats first; of those who have the same, whoever joined first. Who wants
more seats than are free is passed over, and keeps the place: so nobody waits while seats that they could have are free.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

import msgspec

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.errors import DomainError, StreamNotFound
from eventstore.events import Event, event
from ordering.domain.conference import ConferenceSeats, check_reason
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    AlreadyWaiting,
    ConferenceNotFound,
    ConferenceNotOnSale,
    CustomerNotFound,
    InvalidPriority,
    OfferOver,
    SeatsAreFree,
    WaitlistEntryNotFound,
)
from ordering.domain.order import Order, look_up
from ordering.domain.seats import Line, merged, offered_seats_id
from ordering.domain.values import Moment

HIGHEST_PRIORITY = 1000

MOST_AT_ONCE = 100
"""Entries that leave by one decision when nobody is to wait any more."""


class Place(StrEnum):
    """What an entry of a waitlist is in: it waits, seats are reserved for it, or it has an offer."""

    WAITING = "waiting"
    CHOSEN = "chosen"
    OFFERED = "offered"


class Leaving(StrEnum):
    """Why an entry is taken off a waitlist without an offer's having come to its end, or comes to nothing after it was
    accepted.
    """

    WISH = "wish"
    STAFF = "staff"
    BOUGHT = "bought"
    CONFERENCE_CANCELLED = "conference-cancelled"
    SALES_ENDED = "sales-ended"
    NOT_ORDERED = "not-ordered"


@event("waitlist.joined")
class WaitlistJoined(Event):
    """A customer waits for these seats, all of them at once, and had seats of these types before: as many as `had`
    says. `refused_order_id` is the order by whose refusal that came about; None if it was wished for. Sales end at
    `closes_at`, unless that is moved; None in what was recorded before that was noted.
    """

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    had: tuple[Line, ...]
    refused_order_id: UUID | None = None
    closes_at: Moment | None = None


@event("waitlist.chosen")
class WaitlistChosen(Event):
    """It is this entry's turn, if the conference still has the seats. Those that were `passed_over` came before it, and
    wanted more than was free, or more than their customer may have.

    The seats are reserved as `seats_id` until the offer ends, and then for the order with this id, if it is accepted.
    """

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    order_id: UUID
    seats_id: UUID
    passed_over: tuple[UUID, ...]


@event("waitlist.seats-missed")
class WaitlistSeatsMissed(Event):
    """Somebody else got the seats first: the entry waits on, in its place."""

    conference_id: UUID
    entry_id: UUID
    seats_id: UUID


@event("waitlist.offered")
class WaitlistOffered(Event):
    """The seats are reserved, and can be ordered `until` then."""

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    order_id: UUID
    seats_id: UUID
    until: Moment


@event("waitlist.accepted")
class WaitlistAccepted(Event):
    """The seats are to be ordered. The entry waits for nothing any more."""

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    order_id: UUID
    seats_id: UUID


@event("waitlist.declined")
class WaitlistDeclined(Event):
    """The customer doesn't want the seats that were offered. The entry waits for nothing any more."""

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    seats_id: UUID


@event("waitlist.lapsed")
class WaitlistLapsed(Event):
    """The offer was not accepted in time. The entry waits for nothing any more."""

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    seats_id: UUID


@event("waitlist.left", version=2)
class WaitlistLeft(Event):
    """The entry was taken off the list, or had accepted seats that could not be ordered any more. Seats that were
    reserved for it have this `seats_id`. Staff say why in a `note`, which is empty otherwise and in what was recorded
    before they had to.
    """

    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    reason: Leaving
    seats_id: UUID | None = None
    note: str = ""


@event("waitlist.prioritised")
class WaitlistPrioritised(Event):
    """The entry comes before all of a lower priority. Without one it has 0."""

    conference_id: UUID
    entry_id: UUID
    priority: int
    reason: str


@command("waitlist.join", stream="waitlist_id")
class JoinWaitlist(Command):
    """By wish, for seats that can't be ordered now."""

    waitlist_id: UUID
    conference_id: UUID
    entry_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]


@command("waitlist.join-refused", stream="waitlist_id")
class JoinAfterRefusal(Command):
    """An order was refused these seats because they were not free. Nothing happens where its customer waits already,
    has got such seats otherwise, or where they are not on sale any more.
    """

    waitlist_id: UUID
    conference_id: UUID
    order_id: UUID
    lines: tuple[Line, ...]


@command("waitlist.choose", stream="waitlist_id")
class ChooseEntries(Command):
    """Seats may have become free: all entries have their turn that can have them. Once sales have ended all leave."""

    waitlist_id: UUID


@command("waitlist.offer", stream="waitlist_id")
class OfferSeats(Command):
    """The seats of an entry are reserved, and are offered `until` then, at the latest until sales close."""

    waitlist_id: UUID
    entry_id: UUID
    seats_id: UUID
    until: Moment


@command("waitlist.miss-seats", stream="waitlist_id")
class MissSeats(Command):
    waitlist_id: UUID
    entry_id: UUID
    seats_id: UUID


@command("waitlist.accept", stream="waitlist_id")
class AcceptOffer(Command):
    waitlist_id: UUID
    entry_id: UUID


@command("waitlist.miss-order", stream="waitlist_id")
class MissOrder(Command):
    """The seats that were accepted could not be ordered: sales had closed meanwhile, for example."""

    waitlist_id: UUID
    seats_id: UUID


@command("waitlist.decline", stream="waitlist_id")
class DeclineOffer(Command):
    waitlist_id: UUID
    entry_id: UUID


@command("waitlist.lapse", stream="waitlist_id")
class LapseOffer(Command):
    waitlist_id: UUID
    entry_id: UUID
    seats_id: UUID


@command("waitlist.leave", stream="waitlist_id")
class LeaveWaitlist(Command):
    waitlist_id: UUID
    entry_id: UUID
    reason: Leaving = Leaving.WISH
    note: str = ""


@command("waitlist.prioritise", stream="waitlist_id")
class PrioritiseEntry(Command):
    waitlist_id: UUID
    entry_id: UUID
    priority: int
    reason: str


@command("waitlist.clear", stream="waitlist_id")
class ClearWaitlist(Command):
    """The conference is cancelled: nobody waits for it any more. Of many entries some leave at a time."""

    waitlist_id: UUID


class Entry(msgspec.Struct, frozen=True):
    """A customer who waits, since the list had the version `joined`. `order_id` and `seats_id` are those of its turn;
    `until` is when its offer ends.
    """

    id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    had: tuple[Line, ...]
    joined: int
    priority: int = 0
    place: Place = Place.WAITING
    order_id: UUID | None = None
    seats_id: UUID | None = None
    until: datetime | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """The lowest has the first claim."""
        return -self.priority, self.joined


class Waitlist(Aggregate, category="waitlist", snapshot_every=100):
    """One for a conference, with one entry for a customer, in the order in which they joined.

    An entry stays until its offer ends, however it ends: who lets one pass joins again at the end. Those that were
    `accepted` are known by their seats, for the order may be refused.
    """

    conference_id: UUID
    entries: dict[UUID, Entry]
    accepted: dict[UUID, Entry]
    turns: int

    def __init__(self, stream_id: UUID) -> None:
        super().__init__(stream_id)
        self.entries, self.accepted, self.turns = {}, {}, 0

    def queue(self) -> list[Entry]:
        """Those who wait, whoever has the first claim first."""
        waiting = (entry for entry in self.entries.values() if entry.place is Place.WAITING)
        return sorted(waiting, key=lambda entry: entry.rank)

    def ahead_of(self, entry_id: UUID) -> int | None:
        """How many have an earlier claim and no offer yet; None for who is not on the list."""
        if entry_id not in self.entries:
            return None
        rank = self.entries[entry_id].rank
        return sum(entry.place is not Place.OFFERED and entry.rank < rank for entry in self.entries.values())

    def entry(self, entry_id: UUID) -> Entry:
        """Raises `WaitlistEntryNotFound`."""
        try:
            return self.entries[entry_id]
        except KeyError:
            raise WaitlistEntryNotFound from None

    @handles(JoinWaitlist, creates=None)
    def join(self, command: JoinWaitlist, facts: Facts) -> None:
        seats = look_up(facts, ConferenceSeats, command.conference_id, ConferenceNotFound())
        customer = look_up(facts, Customer, command.customer_id, CustomerNotFound())
        lines = merged(command.lines)
        seats.offer(lines, facts.now)
        seats.check_customer_limit(customer.id, lines)
        if self._waits(customer.id):
            raise AlreadyWaiting
        if seats.has_room(lines):
            raise SeatsAreFree
        had = _of_types(lines, _owned(seats, {customer.id}, facts)[customer.id])
        self._join(seats, command.entry_id, customer.id, lines, had=had)

    @handles(JoinAfterRefusal, creates=None)
    def join_after_refusal(self, command: JoinAfterRefusal, facts: Facts) -> None:
        """Who has as many seats of these types by now has got them in another way."""
        if any(entry.seats_id == command.order_id for entry in self.entries.values()):
            return
        try:
            order = facts.look_up(Order, command.order_id)
            seats = facts.look_up(ConferenceSeats, command.conference_id)
        except StreamNotFound:
            return
        customer_id = order.customer_id
        if not seats.on_sale(facts.now) or self._waits(customer_id):
            return
        if not _covers(_owned(seats, {customer_id}, facts)[customer_id], command.lines):
            self._join(seats, order.id, customer_id, command.lines, refused_order_id=order.id)

    @handles(ChooseEntries)
    def choose(self, command: ChooseEntries, facts: Facts) -> None:
        """In the order of the queue, whoever can have all of their seats beside those who were chosen before.

        Nobody waits on who has joined in the moment in which the conference was cancelled.
        """
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        if seats.cancelled or facts.now >= seats.closes_at:
            self._clear(Leaving.CONFERENCE_CANCELLED if seats.cancelled else Leaving.SALES_ENDED)
            return
        if not seats.on_sale(facts.now):
            return
        spoken_for = [line for entry in self._not_reserved_yet(seats) for line in entry.lines]
        passed_over: list[UUID] = []
        queue = self.queue()
        owned = _owned(seats, {entry.customer_id for entry in queue}, facts)
        for entry in queue:
            if _covers(owned[entry.customer_id], (*entry.had, *entry.lines)):
                self._leave(entry, Leaving.BOUGHT)
            elif _can_order(entry, seats, facts.now) and seats.has_room(merged((*spoken_for, *entry.lines))):
                spoken_for += entry.lines
                self._choose(entry, tuple(passed_over))
            else:
                passed_over.append(entry.id)

    @handles(OfferSeats)
    def offer(self, command: OfferSeats, facts: Facts) -> None:
        entry = self._in_turn(command.entry_id, command.seats_id, Place.CHOSEN)
        if entry is None or entry.order_id is None:
            raise OfferOver
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        if not seats.on_sale(facts.now):
            raise ConferenceNotOnSale
        self.record(
            WaitlistOffered(
                conference_id=self.conference_id,
                entry_id=entry.id,
                customer_id=entry.customer_id,
                lines=entry.lines,
                order_id=entry.order_id,
                seats_id=command.seats_id,
                until=min(command.until, seats.closes_at),
            )
        )

    @handles(MissSeats)
    def miss_seats(self, command: MissSeats, facts: Facts) -> None:
        if entry := self._in_turn(command.entry_id, command.seats_id, Place.CHOSEN):
            self.record(
                WaitlistSeatsMissed(conference_id=self.conference_id, entry_id=entry.id, seats_id=command.seats_id)
            )

    @handles(AcceptOffer)
    def accept(self, command: AcceptOffer, facts: Facts) -> None:
        """Only what can be ordered now is accepted. Raises what `offer` and `to_be_paid_by` of the conference do."""
        entry = self.entry(command.entry_id)
        if entry.until is None or entry.order_id is None or entry.seats_id is None or facts.now >= entry.until:
            raise OfferOver
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        seats.offer(entry.lines, facts.now)
        seats.to_be_paid_by(facts.now)
        self.record(
            WaitlistAccepted(
                conference_id=self.conference_id,
                entry_id=entry.id,
                customer_id=entry.customer_id,
                lines=entry.lines,
                order_id=entry.order_id,
                seats_id=entry.seats_id,
            )
        )

    @handles(MissOrder)
    def miss_order(self, command: MissOrder, facts: Facts) -> None:
        if entry := self.accepted.get(command.seats_id):
            self._leave(entry, Leaving.NOT_ORDERED)

    @handles(DeclineOffer)
    def decline(self, command: DeclineOffer, facts: Facts) -> None:
        entry = self.entry(command.entry_id)
        if entry.until is None or entry.seats_id is None:
            raise OfferOver
        self.record(
            WaitlistDeclined(
                conference_id=self.conference_id,
                entry_id=entry.id,
                customer_id=entry.customer_id,
                seats_id=entry.seats_id,
            )
        )

    @handles(LapseOffer)
    def lapse(self, command: LapseOffer, facts: Facts) -> None:
        entry = self._in_turn(command.entry_id, command.seats_id, Place.OFFERED)
        if entry is None:
            raise OfferOver
        self.record(
            WaitlistLapsed(
                conference_id=self.conference_id,
                entry_id=entry.id,
                customer_id=entry.customer_id,
                lines=entry.lines,
                seats_id=command.seats_id,
            )
        )

    @handles(LeaveWaitlist)
    def leave(self, command: LeaveWaitlist, facts: Facts) -> None:
        entry = self.entry(command.entry_id)
        if command.reason is Leaving.STAFF:
            check_reason(command.note)
        self._leave(entry, command.reason, command.note)

    @handles(PrioritiseEntry)
    def prioritise(self, command: PrioritiseEntry, facts: Facts) -> None:
        entry = self.entry(command.entry_id)
        check_reason(command.reason)
        if abs(command.priority) > HIGHEST_PRIORITY:
            raise InvalidPriority
        if command.priority != entry.priority:
            self.record(
                WaitlistPrioritised(
                    conference_id=self.conference_id,
                    entry_id=entry.id,
                    priority=command.priority,
                    reason=command.reason,
                )
            )

    @handles(ClearWaitlist)
    def clear(self, command: ClearWaitlist, facts: Facts) -> None:
        self._clear(Leaving.CONFERENCE_CANCELLED)

    @on(WaitlistJoined)
    def _joined(self, event: WaitlistJoined) -> None:
        self.conference_id = event.conference_id
        self.entries[event.entry_id] = Entry(
            event.entry_id, event.customer_id, event.lines, event.had, joined=self.version
        )

    @on(WaitlistChosen)
    def _chosen(self, event: WaitlistChosen) -> None:
        self.turns += 1
        self._change(event.entry_id, place=Place.CHOSEN, order_id=event.order_id, seats_id=event.seats_id)

    @on(WaitlistSeatsMissed)
    def _seats_missed(self, event: WaitlistSeatsMissed) -> None:
        self._change(event.entry_id, place=Place.WAITING, order_id=None, seats_id=None)

    @on(WaitlistOffered)
    def _offered(self, event: WaitlistOffered) -> None:
        self._change(event.entry_id, place=Place.OFFERED, until=event.until)

    @on(WaitlistAccepted)
    def _accepted(self, event: WaitlistAccepted) -> None:
        self.accepted[event.seats_id] = self.entries.pop(event.entry_id)

    @on(WaitlistDeclined)
    def _declined(self, event: WaitlistDeclined) -> None:
        del self.entries[event.entry_id]

    @on(WaitlistLapsed)
    def _lapsed(self, event: WaitlistLapsed) -> None:
        del self.entries[event.entry_id]

    @on(WaitlistLeft)
    def _left(self, event: WaitlistLeft) -> None:
        if event.reason is Leaving.NOT_ORDERED and event.seats_id:
            del self.accepted[event.seats_id]
        else:
            del self.entries[event.entry_id]

    @on(WaitlistPrioritised)
    def _prioritised(self, event: WaitlistPrioritised) -> None:
        self._change(event.entry_id, priority=event.priority)

    def _join(
        self,
        seats: ConferenceSeats,
        entry_id: UUID,
        customer_id: UUID,
        lines: tuple[Line, ...],
        *,
        had: tuple[Line, ...] = (),
        refused_order_id: UUID | None = None,
    ) -> None:
        self.record(
            WaitlistJoined(
                conference_id=seats.id,
                entry_id=entry_id,
                customer_id=customer_id,
                lines=lines,
                had=had,
                refused_order_id=refused_order_id,
                closes_at=seats.closes_at,
            )
        )

    def _choose(self, entry: Entry, passed_over: tuple[UUID, ...]) -> None:
        order_id = uuid5(self.id, f"order-{self.turns}")
        self.record(
            WaitlistChosen(
                conference_id=self.conference_id,
                entry_id=entry.id,
                customer_id=entry.customer_id,
                lines=entry.lines,
                order_id=order_id,
                seats_id=offered_seats_id(order_id),
                passed_over=passed_over,
            )
        )

    def _leave(self, entry: Entry, reason: Leaving, note: str = "") -> None:
        self.record(
            WaitlistLeft(
                conference_id=self.conference_id,
                entry_id=entry.id,
                customer_id=entry.customer_id,
                reason=reason,
                seats_id=entry.seats_id,
                note=note,
            )
        )

    def _clear(self, reason: Leaving) -> None:
        for entry in tuple(self.entries.values())[:MOST_AT_ONCE]:
            self._leave(entry, reason)

    def _waits(self, customer_id: UUID) -> bool:
        return any(entry.customer_id == customer_id for entry in self.entries.values())

    def _in_turn(self, entry_id: UUID, seats_id: UUID, place: Place) -> Entry | None:
        """The entry, if this turn of it has got so far and no further."""
        entry = self.entries.get(entry_id)
        return entry if entry and entry.seats_id == seats_id and entry.place is place else None

    def _not_reserved_yet(self, seats: ConferenceSeats) -> Iterator[Entry]:
        """Those whose turn it is, and whose seats still look free."""
        for entry in self.entries.values():
            if entry.place is Place.CHOSEN and entry.seats_id and not seats.held_by(entry.seats_id):
                yield entry

    def _change(self, entry_id: UUID, **changes: object) -> None:
        self.entries[entry_id] = msgspec.structs.replace(self.entries[entry_id], **changes)


def waitlist_id_of(conference_id: UUID) -> UUID:
    """The waitlist of a conference: whoever knows the one knows the other."""
    return uuid5(conference_id, "waitlist")


def _can_order(entry: Entry, seats: ConferenceSeats, now: datetime) -> bool:
    """Whether the conference would take the order if the seats were free."""
    try:
        seats.offer(entry.lines, now)
        seats.check_customer_limit(entry.customer_id, entry.lines)
        seats.to_be_paid_by(now)
    except DomainError:
        return False
    return True


def _covers(owned: Iterable[Line], wanted: Iterable[Line]) -> bool:
    """Whether so many seats of each type, and more, are owned."""
    quantities: Counter[str] = Counter()
    for line in owned:
        quantities[line.seat_type] += line.quantity
    return all(line.quantity <= quantities[line.seat_type] for line in merged(wanted))


def _owned(seats: ConferenceSeats, customers: Collection[UUID], facts: Facts) -> dict[UUID, tuple[Line, ...]]:
    """The seats of each of these customers, with one line for each seat type. Of some the order alone knows whose they
    are.
    """
    owned = seats.seats_of(customers)
    for order_id in seats.orders_without_a_name() if customers else ():
        with suppress(StreamNotFound):
            customer_id = facts.look_up(Order, order_id).customer_id
            if customer_id in owned:
                owned[customer_id] = merged((*owned[customer_id], *seats.held_by(order_id)))
    return owned


def _of_types(lines: Iterable[Line], owned: Iterable[Line]) -> tuple[Line, ...]:
    """What is owned of the types of these lines."""
    types = {line.seat_type for line in lines}
    return tuple(line for line in owned if line.seat_type in types)
