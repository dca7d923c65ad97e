"""A conference, its waitlist and the sagas between them, in memory: however they meet, the list is fair."""

from collections import defaultdict, deque
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from eventstore.aggregates import Aggregate, Command
from eventstore.codec import Recorded
from eventstore.errors import DomainError, StreamNotFound
from eventstore.events import Event
from eventstore.testing import given, recorded, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import CancelConference, ChangeCapacity, CloseSales, ReopenSales
from ordering.domain.customer import Customer
from ordering.domain.order import CancelOrder, ExpireOrder, Order, PlaceOrder, Status
from ordering.domain.seats import Line
from ordering.domain.waitlist import (
    AcceptOffer,
    DeclineOffer,
    Entry,
    JoinWaitlist,
    LapseOffer,
    LeaveWaitlist,
    Leaving,
    Place,
    PrioritiseEntry,
    Waitlist,
    WaitlistAccepted,
    WaitlistChosen,
    WaitlistJoined,
    WaitlistLeft,
    waitlist_id_of,
)
from ordering.processes.sale import Sale
from ordering.processes.waitlist import Offering, Waiting
from sagas.refusal import CommandRefused
from sagas.saga import Saga
from sagas.steps import Send

from .samples import CONFERENCE, ON_SALE, REGISTERED

LIST = waitlist_id_of(CONFERENCE)
CUSTOMERS = [uuid5(CONFERENCE, f"customer {number}") for number in range(5)]
CAPACITY = 4
KINDS: dict[type[Command], type[Aggregate]] = {
    command: kind for kind in (ConferenceSeats, Waitlist, Order) for command in kind.handlers
}


class World:
    """The log, and sagas that hear of it and send their commands when they are told to: each of them in order, one
    before or after the other as a test wants it. Timers don't fire by themselves, and nobody asks for payments.
    """

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self.sagas: tuple[Saga[Any], ...] = (Sale(), Waiting(), Offering())
        self.heard = dict.fromkeys((saga.name for saga in self.sagas), 0)
        self.states: dict[tuple[str, str], Any] = {}
        self.outboxes: defaultdict[tuple[str, str], deque[Command]] = defaultdict(deque)
        self.placed = 0
        self.append(CONFERENCE, ON_SALE)
        self.do(ChangeCapacity(conference_id=CONFERENCE, seat_type="standard", capacity=CAPACITY, reason="Small."))

    @property
    def seats(self) -> ConferenceSeats:
        return self._load(ConferenceSeats, CONFERENCE)

    @property
    def waitlist(self) -> Waitlist:
        return self._load(Waitlist, LIST)

    def orders(self) -> list[Order]:
        ids = dict.fromkeys(each.event.order_id for each in self.log if each.type == "order.placed")  # type: ignore[attr-defined]
        return [self._load(Order, order_id) for order_id in ids]

    def happened(self, kind: type[Event]) -> list[Any]:
        return [each.event for each in self.log if isinstance(each.event, kind)]

    def do(self, command: Command) -> None:
        """Raises what the aggregate refuses with; nothing has happened then."""
        stream_id = getattr(command, command.stream)
        others = [self.seats, *self.orders(), *(given(Customer, each, REGISTERED) for each in CUSTOMERS)]
        self.append(stream_id, when(self._load(KINDS[type(command)], stream_id), command, others=others))

    def try_to(self, command: Command) -> None:
        with suppress(DomainError, StreamNotFound):
            self.do(command)

    def move(self, choice: int) -> bool:
        """One saga hears of one event, or one command is sent; False if nothing is left to be done."""
        moves = [lambda saga=saga: self._hear(saga) for saga in self.sagas if self.heard[saga.name] < len(self.log)]
        moves += [lambda key=key: self._send(*key) for key, outbox in self.outboxes.items() if outbox]
        if moves:
            moves[choice % len(moves)]()
        return bool(moves)

    def come_to_rest(self) -> None:
        moves = 0
        while self.move(moves):
            moves += 1
            assert moves < 10_000, "It doesn't come to rest."

    def _hear(self, saga: Saga[Any]) -> None:
        event = self.log[self.heard[saga.name]]
        self.heard[saga.name] += 1
        key = saga.key(event)
        if key is None or ((saga.name, key) not in self.states and not saga.handlers[event.type].starts):
            return
        state = self.states.setdefault((saga.name, key), saga.state())
        for step in saga.react(state, event):
            if isinstance(step, Send) and type(step.command) in KINDS:
                self.outboxes[saga.name, key].append(step.command)

    def _send(self, saga: str, key: str) -> None:
        command = self.outboxes[saga, key].popleft()
        try:
            self.do(command)
        except (DomainError, StreamNotFound) as refusal:
            refused = CommandRefused(
                saga=saga,
                key=key,
                command_id=uuid5(CONFERENCE, str(len(self.log))),
                command=command.stored,
                code=refusal.code,
                detail="",
            )
            self.append(uuid5(CONFERENCE, key), [refused])

    def _load(self, kind: type[Any], stream_id: UUID) -> Any:
        return given(kind, stream_id, *(each.event for each in self.log if each.stream_id == stream_id))

    def append(self, stream_id: UUID, events: Any) -> None:
        for event in events:
            self.log.append(recorded(event, position=len(self.log) + 1, stream_id=stream_id))


def entry_of(world: World, customer_id: UUID) -> Entry | None:
    return next((each for each in world.waitlist.entries.values() if each.customer_id == customer_id), None)


def act(world: World, what: str, customer_id: UUID, number: int) -> None:
    """What a customer or staff do, as far as they may."""
    entry, entry_id = entry_of(world, customer_id), uuid5(customer_id, str(len(world.log)))
    lines = (Line("standard", number),)
    match what:
        case "order":
            command: Command = PlaceOrder(
                order_id=entry_id, customer_id=customer_id, conference_id=CONFERENCE, lines=lines
            )
        case "join":
            command = JoinWaitlist(
                waitlist_id=LIST,
                conference_id=CONFERENCE,
                entry_id=entry_id,
                customer_id=customer_id,
                lines=lines,
            )
        case "expire" | "cancel":
            theirs = [each for each in world.orders() if each.customer_id == customer_id]
            if not theirs:
                return
            kind = ExpireOrder if what == "expire" else CancelOrder
            command = kind(order_id=theirs[number % len(theirs)].id)
        case "capacity":
            command = ChangeCapacity(
                conference_id=CONFERENCE, seat_type="standard", capacity=CAPACITY + number, reason="So it is."
            )
        case "close":
            command = CloseSales(conference_id=CONFERENCE, reason="So it is.")
        case "reopen":
            command = ReopenSales(conference_id=CONFERENCE)
        case _:
            if entry is None:
                return
            named: dict[str, Any] = {"waitlist_id": LIST, "entry_id": entry.id}
            command = {
                "accept": lambda: AcceptOffer(**named),
                "decline": lambda: DeclineOffer(**named),
                "lapse": lambda: LapseOffer(**named, seats_id=entry.seats_id or entry.id),
                "leave": lambda: LeaveWaitlist(**named),
                "prioritise": lambda: PrioritiseEntry(**named, priority=number, reason="So it is."),
            }[what]()
    world.try_to(command)


BY_CUSTOMERS = ("order", "order", "order", "join", "expire", "cancel", "accept", "decline", "lapse", "leave")
BY_STAFF = ("capacity", "prioritise", "close", "reopen")
ACTS = st.tuples(
    st.sampled_from(BY_CUSTOMERS + BY_STAFF),
    st.sampled_from(CUSTOMERS),
    st.integers(1, 4),
    st.lists(st.integers(0, 20), max_size=12),
)


@settings(max_examples=100, deadline=None)
@drawn(st.lists(ACTS, max_size=15))
def test_however_they_meet_the_list_is_fair(acts: list[tuple[str, UUID, int, list[int]]]) -> None:
    world = World()
    for number, customer_id in enumerate(CUSTOMERS):
        act(world, "order", customer_id, number % 2 + 1)
        world.come_to_rest()
    for what, customer_id, number, moves in acts:
        act(world, what, customer_id, number)
        for choice in moves:
            world.move(choice)
        nobody_has_two_entries(world)
    act(world, "reopen", CUSTOMERS[0], 1)
    world.come_to_rest()
    nobody_has_two_entries(world)
    nobody_waits_while_seats_that_they_could_have_are_free(world)
    what_is_reserved_is_an_order_s_or_on_offer(world)
    who_accepted_has_an_order_with_its_seats_or_was_told_that_there_is_none(world)
    the_log_explains_each_turn(world)


def nobody_has_two_entries(world: World) -> None:
    customers = [entry.customer_id for entry in world.waitlist.entries.values()]
    assert len(customers) == len(set(customers))


def nobody_waits_while_seats_that_they_could_have_are_free(world: World) -> None:
    assert not [entry for entry in world.waitlist.queue() if world.seats.has_room(entry.lines)]


def what_is_reserved_is_an_order_s_or_on_offer(world: World) -> None:
    orders = {order.id for order in world.orders() if order.status in (Status.PLACED, Status.CONFIRMED)}
    entries = world.waitlist.entries.values()
    assert all(entry.place in (Place.WAITING, Place.OFFERED) for entry in entries)
    assert set(world.seats.reserved) == orders | {entry.seats_id for entry in entries if entry.seats_id}


def who_accepted_has_an_order_with_its_seats_or_was_told_that_there_is_none(world: World) -> None:
    accepted = {event.seats_id: event.order_id for event in world.happened(WaitlistAccepted)}
    missed = [event.seats_id for event in world.happened(WaitlistLeft) if event.reason is Leaving.NOT_ORDERED]
    assert len(missed) == len(set(missed))
    orders = {order.id: order.status for order in world.orders() if order.id in accepted.values()}
    assert orders.keys() == {order_id for seats_id, order_id in accepted.items() if seats_id not in missed}
    assert Status.REFUSED not in orders.values()


def the_log_explains_each_turn(world: World) -> None:
    """Whoever came before, by the stream up to there, is named as passed over."""
    stream = [each.event for each in world.log if each.stream_id == LIST]
    for index, event in enumerate(stream):
        if isinstance(event, WaitlistChosen):
            queue = [entry.id for entry in given(Waitlist, LIST, *stream[:index]).queue()]
            assert tuple(queue[: queue.index(event.entry_id)]) == event.passed_over


def test_a_seat_goes_from_an_order_that_expired_to_who_was_refused_and_accepts() -> None:
    world = World()
    first, second, third, *_ = CUSTOMERS
    act(world, "order", first, CAPACITY)
    world.come_to_rest()
    act(world, "order", second, 2)
    world.come_to_rest()
    assert [entry.customer_id for entry in world.waitlist.queue()] == [second]
    act(world, "expire", first, 1)
    world.come_to_rest()
    (entry,) = world.waitlist.entries.values()
    assert entry.place is Place.OFFERED
    act(world, "order", third, 3)
    world.come_to_rest()
    act(world, "accept", second, 1)
    world.come_to_rest()
    accepted = world.orders()[-1]
    assert (accepted.customer_id, accepted.status) == (second, Status.PLACED)
    assert world.seats.held_by(accepted.id) == (Line("standard", 2),)
    assert [entry.customer_id for entry in world.waitlist.queue()] == [third]


def test_who_accepted_just_before_sales_were_closed_is_told_that_nothing_was_ordered() -> None:
    world = World()
    first, second, *_ = CUSTOMERS
    for customer_id, number in ((first, CAPACITY), (second, 2)):
        act(world, "order", customer_id, number)
        world.come_to_rest()
    act(world, "expire", first, 1)
    world.come_to_rest()
    act(world, "accept", second, 1)
    act(world, "close", second, 1)
    world.come_to_rest()
    assert [event.reason for event in world.happened(WaitlistLeft)] == [Leaving.NOT_ORDERED]
    assert not world.seats.reserved


def test_who_joined_while_the_conference_was_being_cancelled_waits_no_longer() -> None:
    """Their wish was decided just before, and recorded just after it."""
    world = World()
    wish = WaitlistJoined(
        conference_id=CONFERENCE, entry_id=CUSTOMERS[0], customer_id=CUSTOMERS[0], lines=(Line("standard", 1),), had=()
    )
    world.do(CancelConference(conference_id=CONFERENCE, reason="Fire."))
    world.append(LIST, [wish])
    world.come_to_rest()
    assert [event.reason for event in world.happened(WaitlistLeft)] == [Leaving.CONFERENCE_CANCELLED]
