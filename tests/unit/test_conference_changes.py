"""What staff change about a conference, and what they may not."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from eventstore.aggregates import Command
from eventstore.errors import DomainError
from eventstore.events import Event
from eventstore.testing import NOON, given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    MAIL_NOTE_LIMIT,
    AddPool,
    AssignPools,
    CallOffOrders,
    CancelConference,
    CancellationRuleChanged,
    ChangeCancellationRule,
    ChangeCapacity,
    ChangeMailNote,
    ChangePaymentTerms,
    ChangePool,
    ChangeProviders,
    ChangeSalesWindow,
    ChangeSeatType,
    CloseSales,
    ConferenceCancelled,
    ConferenceChange,
    ConferenceMoved,
    ConferenceRenamed,
    CustomerLimitChanged,
    HoldReleased,
    HoldSeats,
    LimitCustomers,
    MailNoteChanged,
    MoveConference,
    OrdersCalledOff,
    PaymentTermsChanged,
    Pool,
    PoolAdded,
    PoolCapacityChanged,
    PoolRenamed,
    PoolsAssigned,
    ProvidersChanged,
    ReleaseHold,
    RenameConference,
    ReopenSales,
    RepriceSeats,
    SalesClosed,
    SalesReopened,
    SalesWindowChanged,
    SeatCapacityChanged,
    SeatLimitChanged,
    SeatsHeld,
    SeatsRenamed,
    SeatsRepriced,
)
from ordering.domain.errors import (
    CapacityInUse,
    ConferenceChanged,
    ConferenceIsCancelled,
    ConferenceNotCancelled,
    ConferenceNotOnSale,
    DuplicatePool,
    HoldTooSmall,
    InvalidCustomerLimit,
    InvalidPaymentTerms,
    InvalidPool,
    InvalidProviders,
    InvalidQuantity,
    InvalidSalesWindow,
    InvalidSeatType,
    MailNoteTooLong,
    MixedCurrencies,
    NameNeeded,
    NotEnoughSeats,
    PoolTooSmall,
    ReasonNeeded,
    SalesWindowOver,
    UnknownHold,
    UnknownPool,
    UnknownSeatType,
    UnknownTimeZone,
    UnreadableText,
)
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import (
    AddSeats,
    Line,
    PricedLine,
    ReleaseSeats,
    ReserveSeats,
    SeatsRefused,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
    SeatType,
    SellSeats,
    offered_seats_id,
)
from ordering.domain.terms import CancellationRule, PaymentTerms, Unit
from ordering.domain.values import Money

from .samples import ANOTHER_ORDER, BALCONY, CONFERENCE, ON_SALE, ORDER, SCHEDULED, STANDARD, euros

HOLD = UUID("01890000-0000-7000-8000-0000000000d1")
HALL, WORKSHOP = Pool("hall", "Hall", 11), Pool("workshop", "Workshop", 3)
WHY = "The hall is smaller."

CLOSED = SalesClosed(conference_id=CONFERENCE, reason=WHY)
CANCELLED = ConferenceCancelled(conference_id=CONFERENCE, reason=WHY)
HELD = SeatsHeld(
    conference_id=CONFERENCE, hold_id=HOLD, seat_type="standard", quantity=3, label="Speakers", reason="Free entry."
)
RESERVED = SeatsReserved(
    conference_id=CONFERENCE,
    order_id=ORDER,
    lines=(PricedLine("standard", 2, STANDARD.price),),
    total=euros("398.00"),
)
SOLD = SeatsSold(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),))
RESERVED_TOO = msgspec.structs.replace(RESERVED, order_id=ANOTHER_ORDER)
IN_POOLS = (
    PoolAdded(conference_id=CONFERENCE, pool=HALL),
    PoolAdded(conference_id=CONFERENCE, pool=WORKSHOP),
    PoolsAssigned(conference_id=CONFERENCE, seat_type="standard", pools=("hall",)),
    PoolsAssigned(conference_id=CONFERENCE, seat_type="balcony", pools=("hall", "workshop")),
)


FORTNIGHT = PaymentTerms(14, Unit.DAYS, grace=60)
PAYMENT_TERMS_CHANGED = PaymentTermsChanged(conference_id=CONFERENCE, terms=FORTNIGHT)


def on_sale(*events: Event) -> ConferenceSeats:
    return given(ConferenceSeats, CONFERENCE, *ON_SALE, *events)


def move(**changes: Any) -> MoveConference:
    command = MoveConference(
        conference_id=CONFERENCE, starts_at=SCHEDULED.starts_at, time_zone="Europe/Berlin", place="Berlin"
    )
    return msgspec.structs.replace(command, **changes)


def reserve(seat_type: str, quantity: int, order_id: UUID = ANOTHER_ORDER) -> ReserveSeats:
    return ReserveSeats(conference_id=CONFERENCE, order_id=order_id, lines=(Line(seat_type, quantity),))


def capacity(seat_type: str, seats: int, reason: str = WHY) -> ChangeCapacity:
    return ChangeCapacity(conference_id=CONFERENCE, seat_type=seat_type, capacity=seats, reason=reason)


def hold(quantity: int, seat_type: str = "standard", **changes: Any) -> HoldSeats:
    command = HoldSeats(
        conference_id=CONFERENCE,
        hold_id=HOLD,
        seat_type=seat_type,
        quantity=quantity,
        label="Speakers",
        reason="Free entry.",
    )
    return msgspec.structs.replace(command, **changes)


def release(quantity: int) -> ReleaseHold:
    return ReleaseHold(conference_id=CONFERENCE, hold_id=HOLD, quantity=quantity)


def assign(seat_type: str, *pools: str) -> AssignPools:
    return AssignPools(conference_id=CONFERENCE, seat_type=seat_type, pools=pools)


def change_pool(**changes: Any) -> ChangePool:
    command = ChangePool(conference_id=CONFERENCE, pool="hall", name="Hall", capacity=11, reason=WHY)
    return msgspec.structs.replace(command, **changes)


RENAME = RenameConference(conference_id=CONFERENCE, name="Logs and Tails")
WINDOW = ChangeSalesWindow(conference_id=CONFERENCE, opens_at=NOON - timedelta(hours=1), closes_at=SCHEDULED.starts_at)
CLOSE = CloseSales(conference_id=CONFERENCE, reason=WHY)
REOPEN = ReopenSales(conference_id=CONFERENCE)
CANCEL = CancelConference(conference_id=CONFERENCE, reason=WHY)
REPRICE = RepriceSeats(conference_id=CONFERENCE, seat_type="standard", price=euros("179.00"))
TERMS = ChangeSeatType(conference_id=CONFERENCE, seat_type="standard", name="Regular", max_per_order=6)
ADD_POOL = AddPool(conference_id=CONFERENCE, pool=HALL)
ADD_CELLAR = AddPool(conference_id=CONFERENCE, pool=Pool("cellar", "Cellar", 5))
ADD_SEATS = AddSeats(conference_id=CONFERENCE, seat_type=BALCONY)
CHANGES: list[ConferenceChange] = [
    *(RENAME, move(), WINDOW, CLOSE, REPRICE, TERMS, capacity("standard", 12), ADD_CELLAR, ADD_SEATS),
    *(assign("standard"), change_pool(capacity=9), hold(1, hold_id=ORDER), release(1)),
]


def test_a_conference_is_scheduled_in_its_time_zone() -> None:
    command = ScheduleConference(
        conference_id=CONFERENCE,
        name="Logs",
        opens_at=SCHEDULED.opens_at,
        closes_at=SCHEDULED.closes_at,
        starts_at=SCHEDULED.starts_at,
        seat_types=(STANDARD,),
        time_zone="Europe/Berlin",
        place="Berlin",
    )
    scheduled, _ = when(ConferenceSeats(CONFERENCE), command)
    assert scheduled == msgspec.structs.replace(SCHEDULED, time_zone="Europe/Berlin", place="Berlin")
    for unknown in ("Berlin", "", "Europe", "../etc/passwd", "+01:00"):
        with pytest.raises(UnknownTimeZone):
            when(ConferenceSeats(CONFERENCE), msgspec.structs.replace(command, time_zone=unknown))
    with pytest.raises(NameNeeded):
        when(ConferenceSeats(CONFERENCE), msgspec.structs.replace(command, name=" "))


def test_a_conference_is_renamed() -> None:
    seats = on_sale()
    assert when(seats, RENAME) == [ConferenceRenamed(conference_id=CONFERENCE, name="Logs and Tails")]
    assert when(on_sale(*seats.recorded), RENAME) == []
    with pytest.raises(NameNeeded):
        when(on_sale(), msgspec.structs.replace(RENAME, name=" "))


def test_mails_have_a_paragraph_of_the_organizers_that_is_not_too_long() -> None:
    noted = MailNoteChanged(conference_id=CONFERENCE, note="The doors open at 8.")
    change = ChangeMailNote(conference_id=CONFERENCE, note=" The doors open at 8.\n")
    assert when(on_sale(), change) == [noted]
    assert when(on_sale(noted), change) == []
    assert when(on_sale(noted), msgspec.structs.replace(change, note=" "))
    longest = "n" * MAIL_NOTE_LIMIT
    assert when(on_sale(), msgspec.structs.replace(change, note=longest))
    with pytest.raises(MailNoteTooLong):
        when(on_sale(), msgspec.structs.replace(change, note=longest + "n"))


def test_a_conference_is_moved() -> None:
    later = SCHEDULED.starts_at + timedelta(days=60)
    moved = ConferenceMoved(conference_id=CONFERENCE, starts_at=later, time_zone="Europe/Berlin", place="Berlin")
    assert when(on_sale(), move(starts_at=later)) == [moved]
    assert when(on_sale(moved), move(starts_at=later)) == []


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"starts_at": SCHEDULED.closes_at - timedelta(seconds=1)}, InvalidSalesWindow),
        ({"time_zone": "Berlin"}, UnknownTimeZone),
    ],
)
def test_a_conference_cannot_be_moved_before_its_sales_close_or_to_nowhere(
    changes: dict[str, Any], refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        when(on_sale(), move(**changes))


def test_the_sales_window_can_be_another_one() -> None:
    changed = SalesWindowChanged(conference_id=CONFERENCE, opens_at=WINDOW.opens_at, closes_at=WINDOW.closes_at)
    assert when(on_sale(), WINDOW) == [changed]
    seats = on_sale(changed)
    assert when(seats, WINDOW) == []
    assert seats.on_sale(SCHEDULED.closes_at)
    assert not seats.on_sale(SCHEDULED.opens_at)
    for wrong in ({"closes_at": WINDOW.opens_at}, {"closes_at": SCHEDULED.starts_at + timedelta(seconds=1)}):
        with pytest.raises(InvalidSalesWindow):
            when(seats, msgspec.structs.replace(WINDOW, **wrong))


def test_sales_are_closed_and_opened_again() -> None:
    seats = on_sale()
    assert when(seats, CLOSE) == [CLOSED]
    assert not seats.on_sale(NOON)
    with pytest.raises(ConferenceNotOnSale):
        seats.offer([Line("standard", 1)], NOON)
    assert when(on_sale(CLOSED), CLOSE) == []
    seats = on_sale(CLOSED)
    assert when(seats, REOPEN) == [SalesReopened(conference_id=CONFERENCE)]
    assert seats.on_sale(NOON)
    assert when(on_sale(), REOPEN) == []


def test_closing_sales_takes_a_reason() -> None:
    with pytest.raises(ReasonNeeded):
        when(on_sale(), msgspec.structs.replace(CLOSE, reason=" "))


def test_sales_are_not_opened_again_when_their_time_is_over() -> None:
    with pytest.raises(SalesWindowOver):
        when(on_sale(CLOSED), REOPEN, now=SCHEDULED.closes_at)


def test_an_order_that_was_placed_before_sales_were_closed_has_its_seats() -> None:
    [event] = when(on_sale(CLOSED), reserve("standard", 2))
    assert isinstance(event, SeatsReserved)


def test_a_cancelled_conference_sells_nothing_for_good() -> None:
    seats = on_sale()
    assert when(seats, CANCEL) == [CANCELLED]
    assert not seats.on_sale(NOON)
    lines = (Line("standard", 1),)
    assert when(on_sale(CANCELLED), reserve("standard", 1)) == [
        SeatsRefused(conference_id=CONFERENCE, order_id=ANOTHER_ORDER, lines=lines, reason="conference-cancelled")
    ]
    assert when(on_sale(CANCELLED), CANCEL) == []
    with pytest.raises(ReasonNeeded):
        when(on_sale(), msgspec.structs.replace(CANCEL, reason=""))


def test_of_a_cancelled_conference_reserved_seats_are_sold_and_sold_ones_released() -> None:
    sell, give_back = (kind(conference_id=CONFERENCE, order_id=ORDER) for kind in (SellSeats, ReleaseSeats))
    assert when(on_sale(RESERVED, CANCELLED), sell) == [SOLD]
    [released] = when(on_sale(RESERVED, SOLD, CANCELLED), give_back)
    assert released.stored == "seats.released"


def test_the_orders_of_a_cancelled_conference_are_called_off_some_at_a_time_and_each_once() -> None:
    call_off = CallOffOrders(conference_id=CONFERENCE, most=1)
    first = OrdersCalledOff(conference_id=CONFERENCE, order_ids=(ORDER,), left=1)
    second = OrdersCalledOff(conference_id=CONFERENCE, order_ids=(ANOTHER_ORDER,), left=0)
    before = (RESERVED, RESERVED_TOO, SOLD, CANCELLED)
    assert when(on_sale(*before), call_off) == [first]
    assert when(on_sale(*before, first), call_off) == [second]
    assert when(on_sale(*before, first, second), call_off) == []


def test_orders_without_seats_are_not_called_off() -> None:
    released = SeatsReleased(conference_id=CONFERENCE, order_id=ORDER, lines=SOLD.lines)
    assert when(on_sale(RESERVED, released, CANCELLED), CallOffOrders(conference_id=CONFERENCE, most=9)) == []


def test_seats_on_offer_are_no_order_s_and_not_called_off() -> None:
    offered = msgspec.structs.replace(RESERVED, order_id=offered_seats_id(ORDER), on_offer=True)
    assert when(on_sale(offered, CANCELLED), CallOffOrders(conference_id=CONFERENCE, most=9)) == []


def test_a_conference_that_takes_place_calls_no_orders_off() -> None:
    with pytest.raises(ConferenceNotCancelled):
        when(on_sale(RESERVED), CallOffOrders(conference_id=CONFERENCE, most=9))


@pytest.mark.parametrize("command", [*CHANGES, REOPEN], ids=lambda command: command.stored)
def test_nothing_about_a_cancelled_conference_changes(command: ConferenceChange) -> None:
    with pytest.raises(ConferenceIsCancelled):
        when(on_sale(*IN_POOLS, HELD, CANCELLED), command)


@pytest.mark.parametrize("command", [*CHANGES, CANCEL], ids=lambda command: command.stored)
def test_who_saw_other_terms_looks_again_but_orders_change_no_terms(command: ConferenceChange) -> None:
    seats = on_sale(*IN_POOLS, HELD)
    seen = seats.terms_version
    assert seen == seats.version
    with pytest.raises(ConferenceChanged):
        when(seats, msgspec.structs.replace(command, seen=seen - 1))
    when(seats, reserve("standard", 1))
    assert (seats.version, seats.terms_version) == (seen + 1, seen)
    seats.forget_changes()
    recorded = when(seats, msgspec.structs.replace(command, seen=seen))
    assert recorded
    assert seats.terms_version == seats.version


def test_a_seat_type_has_another_price() -> None:
    seats = on_sale()
    repriced = SeatsRepriced(conference_id=CONFERENCE, seat_type="standard", price=euros("179.00"))
    assert when(seats, REPRICE) == [repriced]
    assert when(on_sale(repriced), REPRICE) == []
    assert seats.offer([Line("standard", 1)], NOON) == (PricedLine("standard", 1, euros("179.00")),)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"price": euros("-0.01")}, InvalidSeatType),
        ({"price": Money(STANDARD.price.amount, "CHF")}, MixedCurrencies),
        ({"seat_type": "throne"}, UnknownSeatType),
    ],
)
def test_a_price_is_one_of_the_same_currency(changes: dict[str, Any], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(on_sale(), msgspec.structs.replace(REPRICE, **changes))


def test_seats_are_reserved_at_the_price_that_their_order_was_placed_at() -> None:
    repriced = SeatsRepriced(conference_id=CONFERENCE, seat_type="standard", price=euros("179.00"))
    command = msgspec.structs.replace(reserve("standard", 2, ORDER), prices={"standard": STANDARD.price})
    assert when(on_sale(repriced), command) == [RESERVED]


def test_a_command_from_before_there_were_prices_in_it_reserves_at_those_of_now() -> None:
    [reserved] = when(on_sale(), reserve("standard", 2, ORDER))
    assert reserved == RESERVED


def test_a_seat_type_has_another_name_and_another_limit() -> None:
    seats = on_sale()
    renamed = SeatsRenamed(conference_id=CONFERENCE, seat_type="standard", name="Regular")
    limited = SeatLimitChanged(conference_id=CONFERENCE, seat_type="standard", max_per_order=6)
    assert when(seats, TERMS) == [renamed, limited]
    assert when(on_sale(renamed, limited), TERMS) == []
    assert when(on_sale(renamed), TERMS) == [limited]
    assert seats.offer([Line("standard", 6)], NOON)
    more = msgspec.structs.replace(STANDARD, name="Regular", max_per_order=6)
    assert when(on_sale(renamed, limited), AddSeats(conference_id=CONFERENCE, seat_type=more))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"name": ""}, NameNeeded),
        ({"name": "Hall\u202e"}, UnreadableText),
        ({"max_per_order": 0}, InvalidSeatType),
        ({"seat_type": "throne"}, UnknownSeatType),
    ],
)
def test_a_seat_type_has_a_name_and_a_limit(changes: dict[str, Any], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(on_sale(), msgspec.structs.replace(TERMS, **changes))


@pytest.mark.parametrize("seats", [7, 11])
def test_a_capacity_is_lowered_to_what_is_taken_or_raised(seats: int) -> None:
    conference = on_sale(RESERVED, SOLD, RESERVED_TOO, HELD)
    changed = SeatCapacityChanged(conference_id=CONFERENCE, seat_type="standard", capacity=seats, reason=WHY)
    assert when(conference, capacity("standard", seats)) == [changed]
    assert conference.available("standard") == seats - 7


def test_a_capacity_is_never_less_than_what_is_taken_and_the_refusal_says_the_figures() -> None:
    with pytest.raises(CapacityInUse, match=r"2 are sold, 2 reserved and 3 held: 6 are not enough"):
        when(on_sale(RESERVED, SOLD, RESERVED_TOO, HELD), capacity("standard", 6))


def test_only_less_capacity_takes_a_reason() -> None:
    with pytest.raises(ReasonNeeded):
        when(on_sale(), capacity("standard", 9, reason=""))
    assert when(on_sale(), capacity("standard", 11, reason=""))
    assert when(on_sale(), capacity("standard", 10, reason="")) == []
    with pytest.raises(UnknownSeatType):
        when(on_sale(), capacity("throne", 1))


def test_a_seat_type_of_which_nothing_is_taken_can_be_withdrawn() -> None:
    conference = on_sale()
    when(conference, capacity("balcony", 0))
    assert conference.available("balcony") == 0
    with pytest.raises(CapacityInUse):
        when(on_sale(), capacity("balcony", -1))


def test_a_pool_is_added_once() -> None:
    assert when(on_sale(), ADD_POOL) == [PoolAdded(conference_id=CONFERENCE, pool=HALL)]
    with pytest.raises(DuplicatePool):
        when(on_sale(*IN_POOLS), ADD_POOL)


@pytest.mark.parametrize(
    ("pool", "refusal"),
    [(Pool("", "Hall", 1), InvalidPool), (Pool("hall", "Hall", 0), InvalidPool), (Pool("hall", " ", 1), NameNeeded)],
)
def test_a_pool_has_a_code_a_name_and_a_place(pool: Pool, refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(on_sale(), AddPool(conference_id=CONFERENCE, pool=pool))


def test_a_seat_takes_a_place_in_each_of_its_pools() -> None:
    seats = on_sale(*IN_POOLS, HELD)
    assert (seats.available("standard"), seats.available("balcony")) == (7, 2)
    when(seats, reserve("standard", 7))
    assert (seats.available("standard"), seats.available("balcony")) == (0, 1)
    *_, refused = when(seats, reserve("balcony", 2, ORDER))
    assert isinstance(refused, SeatsRefused)


def test_the_lines_of_an_order_take_places_in_a_pool_together() -> None:
    seats = on_sale(*IN_POOLS, HELD)
    lines = (Line("standard", 7), Line("balcony", 2))
    command = ReserveSeats(conference_id=CONFERENCE, order_id=ORDER, lines=lines)
    assert when(seats, command) == [
        SeatsRefused(conference_id=CONFERENCE, order_id=ORDER, lines=lines, reason="sold-out")
    ]


def test_a_seat_type_draws_on_other_pools() -> None:
    seats = on_sale(*IN_POOLS)
    assert when(seats, assign("standard", "workshop", "hall", "hall")) == [
        PoolsAssigned(conference_id=CONFERENCE, seat_type="standard", pools=("hall", "workshop"))
    ]
    assert when(on_sale(*IN_POOLS), assign("standard", "hall")) == []
    assert when(on_sale(*IN_POOLS), assign("standard"))
    with pytest.raises(UnknownPool):
        when(on_sale(*IN_POOLS), assign("standard", "cellar"))
    with pytest.raises(UnknownSeatType):
        when(on_sale(*IN_POOLS), assign("throne", "hall"))


def test_a_pool_needs_room_for_the_seats_that_are_taken_already() -> None:
    with pytest.raises(PoolTooSmall, match=r"5 of Standard are taken, and Workshop has room for 3"):
        when(on_sale(*IN_POOLS, RESERVED, HELD), assign("standard", "hall", "workshop"))


def test_a_pool_is_changed() -> None:
    renamed = PoolRenamed(conference_id=CONFERENCE, pool="hall", name="Great hall")
    changed = PoolCapacityChanged(conference_id=CONFERENCE, pool="hall", capacity=5, reason=WHY)
    command = change_pool(name="Great hall", capacity=5)
    assert when(on_sale(*IN_POOLS, RESERVED, HELD), command) == [renamed, changed]
    assert when(on_sale(*IN_POOLS, renamed, changed), command) == []
    assert when(on_sale(*IN_POOLS), change_pool(capacity=12, reason=""))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"pool": "cellar"}, UnknownPool),
        ({"name": ""}, NameNeeded),
        ({"capacity": 4}, CapacityInUse),
        ({"capacity": 5, "reason": ""}, ReasonNeeded),
    ],
)
def test_a_pool_keeps_its_name_and_what_is_taken(changes: dict[str, Any], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(on_sale(*IN_POOLS, RESERVED, HELD), change_pool(**changes))


def test_seats_are_held_and_released_in_parts() -> None:
    seats = on_sale()
    assert when(seats, hold(3)) == [HELD]
    assert seats.available("standard") == 7
    seats = on_sale(HELD)
    one = HoldReleased(conference_id=CONFERENCE, hold_id=HOLD, seat_type="standard", quantity=1)
    assert when(seats, release(1)) == [one]
    assert seats.available("standard") == 8
    assert seats.holds[HOLD].quantity == 2
    seats = on_sale(HELD, one)
    assert when(seats, release(2))
    assert (seats.holds, seats.available("standard")) == ({}, 10)


def test_a_hold_is_made_once() -> None:
    assert when(on_sale(HELD), hold(3)) == []


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (hold(0), InvalidQuantity),
        (hold(11), NotEnoughSeats),
        (hold(1, "throne"), UnknownSeatType),
        (hold(1, label=" "), NameNeeded),
        (hold(1, reason=""), ReasonNeeded),
    ],
)
def test_only_free_seats_are_held_for_somebody(command: HoldSeats, refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(on_sale(), command)


def test_a_hold_gives_back_what_it_has() -> None:
    with pytest.raises(HoldTooSmall, match=r"Speakers has 3 seats"):
        when(on_sale(HELD), release(4))
    with pytest.raises(InvalidQuantity):
        when(on_sale(HELD), release(0))
    with pytest.raises(UnknownHold):
        when(on_sale(), release(1))


@dataclass
class Books:
    """The seats of a conference, kept the simplest way: who has how many of what, and at which price."""

    capacities: dict[str, int]
    places: dict[str, int]
    drawn: dict[str, set[str]]
    orders: dict[UUID, Counter[str]] = field(default_factory=dict)
    holds: dict[UUID, Counter[str]] = field(default_factory=dict)

    def taken(self, seat_type: str) -> int:
        return sum(seats[seat_type] for seats in (*self.orders.values(), *self.holds.values()))

    def in_pool(self, pool: str) -> int:
        return sum(self.taken(seat_type) for seat_type, pools in self.drawn.items() if pool in pools)

    def enter(self, event: Any) -> None:
        match event.stored:
            case "seats.reserved":
                self.orders[event.order_id] = Counter({line.seat_type: line.quantity for line in event.lines})
            case "seats.released":
                del self.orders[event.order_id]
            case "seats.held":
                self.holds[event.hold_id] = Counter({event.seat_type: event.quantity})
            case "seats.hold-released":
                self.holds[event.hold_id][event.seat_type] -= event.quantity
            case "seats.capacity-changed":
                self.capacities[event.seat_type] = event.capacity
            case "seats.pool-capacity-changed":
                self.places[event.pool] = event.capacity
            case "seats.pools-assigned":
                self.drawn[event.seat_type] = set(event.pools)


TYPES, POOLS = st.sampled_from(["standard", "balcony"]), st.sampled_from(["hall", "workshop"])
ORDERS = st.sampled_from([UUID(int=number) for number in range(1, 6)])
HOLDS = st.sampled_from([UUID(int=number) for number in range(11, 14)])
LINES = st.lists(st.builds(Line, TYPES, st.integers(1, 4)), min_size=1, max_size=3)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        lambda order_id, lines: ReserveSeats(conference_id=CONFERENCE, order_id=order_id, lines=tuple(lines)),
        ORDERS,
        LINES,
    ),
    st.builds(lambda order_id: SellSeats(conference_id=CONFERENCE, order_id=order_id), ORDERS),
    st.builds(lambda order_id: ReleaseSeats(conference_id=CONFERENCE, order_id=order_id), ORDERS),
    st.builds(lambda hold_id, kind, seats: hold(seats, kind, hold_id=hold_id), HOLDS, TYPES, st.integers(0, 5)),
    st.builds(
        lambda hold_id, seats: ReleaseHold(conference_id=CONFERENCE, hold_id=hold_id, quantity=seats),
        HOLDS,
        st.integers(1, 3),
    ),
    st.builds(capacity, TYPES, st.integers(-1, 12)),
    st.builds(lambda pool, places: change_pool(pool=pool, capacity=places), POOLS, st.integers(0, 14)),
    st.builds(lambda kind, pools: assign(kind, *pools), TYPES, st.lists(POOLS, max_size=2)),
    st.builds(
        lambda kind, cents: RepriceSeats(conference_id=CONFERENCE, seat_type=kind, price=euros(f"{cents}.00")),
        TYPES,
        st.integers(0, 300),
    ),
)


@settings(deadline=None, max_examples=300)
@for_all(st.lists(COMMANDS, min_size=10, max_size=40))
def test_no_seat_type_and_no_pool_is_ever_oversold(commands: list[Command]) -> None:
    seats = on_sale(*IN_POOLS)
    books = Books(
        capacities={"standard": STANDARD.capacity, "balcony": BALCONY.capacity},
        places={"hall": HALL.capacity, "workshop": WORKSHOP.capacity},
        drawn={"standard": {"hall"}, "balcony": {"hall", "workshop"}},
    )
    for command in commands:
        before = len(seats.recorded)
        try:
            when(seats, command)
        except DomainError:
            assert len(seats.recorded) == before
            continue
        for event in seats.recorded[before:]:
            books.enter(event)
        for seat_type, most in books.capacities.items():
            rooms = [books.places[pool] - books.in_pool(pool) for pool in books.drawn[seat_type]]
            assert seats.available(seat_type) == min([most - books.taken(seat_type), *rooms]) >= 0
    for order_id in list(books.orders):
        [event] = when(seats, ReleaseSeats(conference_id=CONFERENCE, order_id=order_id))[-1:]
        books.enter(event)
    assert seats.taken == {seat_type: books.taken(seat_type) for seat_type in books.capacities}
    assert sum(seats.taken.values()) == sum(each.quantity for each in seats.holds.values())
    replayed = given(ConferenceSeats, CONFERENCE, *ON_SALE, *IN_POOLS, *seats.recorded)
    assert {name: getattr(replayed, name) for name in ConferenceSeats.__annotations__} == {
        name: getattr(seats, name) for name in ConferenceSeats.__annotations__
    }


def test_its_state_fits_into_a_snapshot() -> None:
    seats = on_sale(*IN_POOLS, RESERVED, SOLD, HELD, CLOSED)
    for name, kind in ConferenceSeats.__annotations__.items():
        value = getattr(seats, name)
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value


def test_payment_terms_are_changed_once_and_begin_with_a_quarter_of_an_hour() -> None:
    change = ChangePaymentTerms(conference_id=CONFERENCE, terms=FORTNIGHT)
    seats = on_sale()
    assert seats.to_be_paid_by(NOON) == NOON + timedelta(minutes=15)
    assert when(seats, change) == [PAYMENT_TERMS_CHANGED]
    assert seats.payment_terms == FORTNIGHT
    assert when(on_sale(PAYMENT_TERMS_CHANGED), change) == []
    with pytest.raises(InvalidPaymentTerms):
        when(on_sale(), msgspec.structs.replace(change, terms=PaymentTerms(0)))


def test_customers_are_limited_and_not_limited_any_more() -> None:
    def limit(most: int | None) -> LimitCustomers:
        return LimitCustomers(conference_id=CONFERENCE, max_per_customer=most)

    limited = CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=3)
    assert when(on_sale(), limit(3)) == [limited]
    assert when(on_sale(limited), limit(3)) == []
    assert when(on_sale(limited), limit(None)) == [msgspec.structs.replace(limited, max_per_customer=None)]
    with pytest.raises(InvalidCustomerLimit):
        when(on_sale(), limit(0))


def test_orders_are_paid_by_providers_that_are_chosen() -> None:
    def choose(*providers: str) -> ChangeProviders:
        return ChangeProviders(conference_id=CONFERENCE, providers=providers)

    chosen = ProvidersChanged(conference_id=CONFERENCE, providers=("stripe", "bank-transfer"))
    assert when(on_sale(), choose("stripe", "bank-transfer")) == [chosen]
    assert when(on_sale(chosen), choose("stripe", "bank-transfer")) == []
    assert when(on_sale(chosen), choose()) == [msgspec.structs.replace(chosen, providers=())]
    for wrong in (choose("stripe", "stripe"), choose("")):
        with pytest.raises(InvalidProviders):
            when(on_sale(), wrong)


def test_the_least_for_an_order_is_no_more_than_the_most() -> None:
    recorded = when(on_sale(), msgspec.structs.replace(TERMS, name="Standard", min_per_order=2))
    assert recorded == [
        SeatLimitChanged(conference_id=CONFERENCE, seat_type="standard", max_per_order=6, min_per_order=2)
    ]
    for least in (0, 7):
        with pytest.raises(InvalidSeatType):
            when(on_sale(), msgspec.structs.replace(TERMS, min_per_order=least))
        with pytest.raises(InvalidSeatType):
            when(
                on_sale(),
                AddSeats(
                    conference_id=CONFERENCE,
                    seat_type=SeatType("box", "Box", euros("5.00"), capacity=1, max_per_order=6, min_per_order=least),
                ),
            )


def test_the_cancellation_rule_is_changed_once_and_its_fees_are_of_the_currency_of_the_conference() -> None:
    rule = CancellationRule(hours=48, percent=10)
    change = ChangeCancellationRule(conference_id=CONFERENCE, rule=rule)
    changed = CancellationRuleChanged(conference_id=CONFERENCE, rule=rule)
    assert when(on_sale(), change) == [changed]
    assert when(on_sale(changed), change) == []
    with pytest.raises(MixedCurrencies):
        dollars = CancellationRule(fixed=Money(Decimal(5), "USD"))
        when(on_sale(), msgspec.structs.replace(change, rule=dollars))
