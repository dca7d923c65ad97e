from datetime import timedelta
from decimal import Decimal
from typing import Any, NoReturn
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from eventstore.aggregates import Command
from eventstore.errors import DomainError, StreamExists
from eventstore.events import Event
from eventstore.testing import NOON, given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import CustomerLimitChanged
from ordering.domain.errors import (
    ConferenceNotOnSale,
    DuplicateSeatType,
    InvalidQuantity,
    InvalidSalesWindow,
    InvalidSeatType,
    MixedCurrencies,
    NoSeatTypes,
    SeatTypeDiffers,
    TooManyDecimals,
    TooManySeats,
    UnknownCurrency,
    UnknownSeatType,
    UnpaidLimitReached,
)
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import (
    AddSeats,
    ChangeSeats,
    Line,
    PricedLine,
    ReleaseSeats,
    ReserveSeats,
    SeatsAdded,
    SeatsChangeRefused,
    SeatsRefused,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
    SeatType,
    SellSeats,
    UnpaidLimit,
    offered_seats_id,
)
from ordering.domain.values import Money

from .samples import ADA, ANOTHER_ORDER, BALCONY, CONFERENCE, ON_SALE, ORDER, SCHEDULED, STANDARD, euros

BOTH_BALCONY_SEATS = (Line("balcony", 2),)
RESERVED = SeatsReserved(
    conference_id=CONFERENCE,
    order_id=ORDER,
    lines=(PricedLine("balcony", 2, BALCONY.price),),
    total=euros("199.00"),
)
SOLD = SeatsSold(conference_id=CONFERENCE, order_id=ORDER, lines=BOTH_BALCONY_SEATS)
RELEASED = SeatsReleased(conference_id=CONFERENCE, order_id=ORDER, lines=BOTH_BALCONY_SEATS)

SELL = SellSeats(conference_id=CONFERENCE, order_id=ORDER)
RELEASE = ReleaseSeats(conference_id=CONFERENCE, order_id=ORDER)


def schedule(**changes: Any) -> ScheduleConference:
    command = ScheduleConference(
        conference_id=CONFERENCE,
        name="Logs",
        opens_at=SCHEDULED.opens_at,
        closes_at=SCHEDULED.closes_at,
        starts_at=SCHEDULED.starts_at,
        seat_types=(STANDARD, BALCONY),
    )
    return msgspec.structs.replace(command, **changes)


def add(seat_type: SeatType) -> AddSeats:
    return AddSeats(conference_id=CONFERENCE, seat_type=seat_type)


def reserve(*lines: Line, order_id: UUID = ORDER) -> ReserveSeats:
    return ReserveSeats(conference_id=CONFERENCE, order_id=order_id, lines=lines)


def on_sale(*events: Event) -> ConferenceSeats:
    return given(ConferenceSeats, CONFERENCE, *ON_SALE, *events)


def test_a_conference_is_scheduled_with_its_seats() -> None:
    assert when(ConferenceSeats(CONFERENCE), schedule()) == list(ON_SALE)


def test_a_conference_is_scheduled_once() -> None:
    with pytest.raises(StreamExists):
        when(on_sale(), schedule())


def test_sales_may_go_on_until_the_conference_starts() -> None:
    assert when(ConferenceSeats(CONFERENCE), schedule(closes_at=SCHEDULED.starts_at))


@pytest.mark.parametrize(
    "changes",
    [
        {"opens_at": SCHEDULED.closes_at},
        {"closes_at": SCHEDULED.opens_at - timedelta(days=1)},
        {"closes_at": SCHEDULED.starts_at + timedelta(seconds=1)},
    ],
)
def test_sales_open_then_close_then_the_conference_starts(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidSalesWindow):
        when(ConferenceSeats(CONFERENCE), schedule(**changes))


@pytest.mark.parametrize(
    ("seat_types", "refusal"),
    [
        ((), NoSeatTypes),
        ((STANDARD, STANDARD), DuplicateSeatType),
        ((msgspec.structs.replace(STANDARD, code=""),), InvalidSeatType),
        ((msgspec.structs.replace(STANDARD, capacity=0),), InvalidSeatType),
        ((msgspec.structs.replace(STANDARD, max_per_order=0),), InvalidSeatType),
        ((msgspec.structs.replace(STANDARD, price=euros("-1.00")),), InvalidSeatType),
        ((STANDARD, msgspec.structs.replace(BALCONY, price=Money(Decimal("99.50"), "CHF"))), MixedCurrencies),
        ((msgspec.structs.replace(STANDARD, price=Money(Decimal("99.50"), "JPY")),), TooManyDecimals),
        ((msgspec.structs.replace(STANDARD, price=Money(Decimal("99.50"), "XXX")),), UnknownCurrency),
    ],
)
def test_a_conference_needs_sound_seat_types(seat_types: tuple[SeatType, ...], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(ConferenceSeats(CONFERENCE), schedule(seat_types=seat_types))


def test_a_seat_may_be_free_of_charge() -> None:
    free = msgspec.structs.replace(STANDARD, price=euros("0.00"))

    assert when(ConferenceSeats(CONFERENCE), schedule(seat_types=(free,)))


def test_a_seat_type_can_be_added() -> None:
    box = SeatType("box", "Box", euros("500.00"), capacity=3, max_per_order=3)
    seats = on_sale()

    assert when(seats, add(box)) == [SeatsAdded(conference_id=CONFERENCE, seat_type=box)]
    assert seats.available("box") == 3


def test_a_seat_type_can_have_more_seats() -> None:
    seats = on_sale(RESERVED)
    five_more = msgspec.structs.replace(BALCONY, capacity=5)

    assert when(seats, add(five_more)) == [SeatsAdded(conference_id=CONFERENCE, seat_type=five_more)]
    assert seats.seat_types["balcony"].capacity == 7
    assert seats.available("balcony") == 5


@pytest.mark.parametrize("changes", [{"name": "Gallery"}, {"price": euros("89.50")}, {"max_per_order": 1}])
def test_more_seats_of_a_type_come_on_the_same_terms(changes: dict[str, Any]) -> None:
    with pytest.raises(SeatTypeDiffers):
        when(on_sale(), add(msgspec.structs.replace(BALCONY, **changes)))


def test_seats_at_a_price_from_before_decimals_were_checked_can_be_more() -> None:
    yen = msgspec.structs.replace(STANDARD, price=Money(Decimal("100.50"), "JPY"))
    seats = given(ConferenceSeats, CONFERENCE, SCHEDULED, SeatsAdded(conference_id=CONFERENCE, seat_type=yen))

    assert when(seats, add(yen)) == [SeatsAdded(conference_id=CONFERENCE, seat_type=yen)]


def test_added_seats_cost_the_same_currency() -> None:
    with pytest.raises(MixedCurrencies):
        when(on_sale(), add(SeatType("box", "Box", Money(Decimal("500.00"), "CHF"), capacity=3, max_per_order=3)))


def test_seats_cannot_be_taken_away_by_adding() -> None:
    with pytest.raises(InvalidSeatType):
        when(on_sale(), add(msgspec.structs.replace(BALCONY, capacity=-1)))


def test_seats_are_on_sale_from_the_opening_until_just_before_the_close() -> None:
    seats = on_sale()
    moment = timedelta(microseconds=1)

    assert not seats.on_sale(SCHEDULED.opens_at - moment)
    assert seats.on_sale(SCHEDULED.opens_at)
    assert seats.on_sale(SCHEDULED.closes_at - moment)
    assert not seats.on_sale(SCHEDULED.closes_at)


def test_a_conference_that_was_never_scheduled_is_never_on_sale() -> None:
    assert not ConferenceSeats(CONFERENCE).on_sale(NOON)


def test_an_offer_names_the_price_of_each_seat() -> None:
    assert on_sale().offer([Line("standard", 4), Line("balcony", 1)], NOON) == (
        PricedLine("standard", 4, STANDARD.price),
        PricedLine("balcony", 1, BALCONY.price),
    )


def test_lines_of_one_seat_type_are_merged() -> None:
    lines = [Line("standard", 1), Line("balcony", 1), Line("standard", 2)]

    assert on_sale().offer(lines, NOON) == (
        PricedLine("standard", 3, STANDARD.price),
        PricedLine("balcony", 1, BALCONY.price),
    )


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ([], InvalidQuantity),
        ([Line("standard", 0)], InvalidQuantity),
        ([Line("standard", 3), Line("standard", -1)], InvalidQuantity),
        ([Line("throne", 1)], UnknownSeatType),
        ([Line("standard", 5)], TooManySeats),
        ([Line("standard", 2), Line("standard", 3)], TooManySeats),
    ],
)
def test_nothing_is_offered_for_an_order_that_cannot_be(lines: list[Line], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        on_sale().offer(lines, NOON)


def test_nothing_is_offered_before_sales_open() -> None:
    with pytest.raises(ConferenceNotOnSale):
        on_sale().offer([Line("standard", 1)], SCHEDULED.opens_at - timedelta(days=1))


def test_sold_out_seats_are_offered_all_the_same_so_that_people_can_wait_for_them() -> None:
    assert on_sale(RESERVED).offer(BOTH_BALCONY_SEATS, NOON)


def test_how_many_seats_are_left_of_an_unknown_type_cannot_be_said() -> None:
    with pytest.raises(UnknownSeatType):
        on_sale().available("throne")


def test_free_seats_are_reserved() -> None:
    seats = on_sale()

    assert when(seats, reserve(*BOTH_BALCONY_SEATS)) == [RESERVED]
    assert seats.available("balcony") == 0


def test_seats_are_reserved_for_an_order_placed_in_time_even_after_sales_close() -> None:
    assert when(on_sale(), reserve(*BOTH_BALCONY_SEATS), now=SCHEDULED.starts_at) == [RESERVED]


def test_seats_of_one_type_are_counted_together() -> None:
    recorded = when(on_sale(), reserve(Line("balcony", 1), Line("balcony", 2)))

    assert recorded == [
        SeatsRefused(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("balcony", 3),), reason="sold-out")
    ]


def test_a_sold_out_request_is_recorded_as_refused() -> None:
    seats = on_sale(RESERVED)

    recorded = when(seats, reserve(Line("balcony", 1), order_id=ANOTHER_ORDER))

    assert recorded == [
        SeatsRefused(conference_id=CONFERENCE, order_id=ANOTHER_ORDER, lines=(Line("balcony", 1),), reason="sold-out")
    ]
    assert seats.available("balcony") == 0


def test_an_order_gets_all_its_seats_or_none() -> None:
    seats = on_sale(RESERVED)

    when(seats, reserve(Line("standard", 1), Line("balcony", 1), order_id=ANOTHER_ORDER))

    assert seats.available("standard") == 10


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [((), InvalidQuantity), ((Line("standard", -1),), InvalidQuantity), ((Line("throne", 1),), UnknownSeatType)],
)
def test_what_is_not_a_number_of_seats_cannot_be_reserved(lines: tuple[Line, ...], refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        when(on_sale(), reserve(*lines))


@pytest.mark.parametrize("events", [(RESERVED,), (RESERVED, SOLD)])
def test_reserving_again_for_one_order_records_nothing(events: tuple[SeatsReserved | SeatsSold, ...]) -> None:
    assert when(on_sale(*events), reserve(*BOTH_BALCONY_SEATS)) == []


def test_reserved_seats_are_sold() -> None:
    seats = on_sale(RESERVED)

    assert when(seats, SELL) == [SOLD]
    assert seats.available("balcony") == 0


@pytest.mark.parametrize("events", [(), (RESERVED, SOLD), (RESERVED, RELEASED)])
def test_selling_what_is_not_reserved_records_nothing(events: tuple[SeatsReserved | SeatsSold, ...]) -> None:
    assert when(on_sale(*events), SELL) == []


@pytest.mark.parametrize("events", [(RESERVED,), (RESERVED, SOLD)])
def test_reserved_and_sold_seats_can_be_released(events: tuple[SeatsReserved | SeatsSold, ...]) -> None:
    seats = on_sale(*events)

    assert when(seats, RELEASE) == [RELEASED]
    assert seats.available("balcony") == 2


@pytest.mark.parametrize("events", [(), (RESERVED, RELEASED), (RESERVED, SOLD, RELEASED)])
def test_releasing_what_is_not_taken_records_nothing(events: tuple[SeatsReserved | SeatsSold, ...]) -> None:
    assert when(on_sale(*events), RELEASE) == []


def test_released_seats_can_be_reserved_by_somebody_else() -> None:
    [event] = when(on_sale(RESERVED, RELEASED), reserve(*BOTH_BALCONY_SEATS, order_id=ANOTHER_ORDER))

    assert isinstance(event, SeatsReserved)


def test_of_a_released_order_nothing_is_kept() -> None:
    seats = on_sale(RESERVED, SOLD, RELEASED)

    assert (seats.reserved, seats.sold) == ({}, {})


ORDERS = st.sampled_from([UUID(int=number) for number in range(1, 5)])
LINES = st.builds(Line, st.sampled_from(["standard", "balcony"]), st.integers(1, 4))
ODD_LINES = st.builds(Line, st.sampled_from(["standard", "throne"]), st.integers(-1, 1))
ONE_SEAT = [msgspec.structs.replace(seat_type, capacity=1) for seat_type in (STANDARD, BALCONY)]
COMMANDS = st.one_of(
    st.builds(lambda order_id, lines: reserve(*lines, order_id=order_id), ORDERS, st.lists(LINES, max_size=3)),
    st.builds(lambda order_id, line: reserve(line, order_id=order_id), ORDERS, ODD_LINES),
    st.builds(lambda order_id: ReleaseSeats(conference_id=CONFERENCE, order_id=order_id), ORDERS),
    st.builds(lambda order_id: SellSeats(conference_id=CONFERENCE, order_id=order_id), ORDERS),
    st.builds(add, st.sampled_from(ONE_SEAT)),
)


@settings(deadline=None, max_examples=300)
@for_all(st.lists(COMMANDS, min_size=10, max_size=40))
def test_seats_are_never_oversold_and_their_counts_add_up(commands: list[Command]) -> None:
    seats = on_sale()
    for command in commands:
        try:
            when(seats, command)
        except DomainError:
            continue
        for code, seat_type in seats.seat_types.items():
            held = [*seats.reserved.values(), *seats.sold.values()]
            taken = sum(line.quantity for lines in held for line in lines if line.seat_type == code)
            assert 0 <= seats.available(code) == seat_type.capacity - taken <= seat_type.capacity
        assert not seats.reserved.keys() & seats.sold.keys()
    replayed = given(ConferenceSeats, CONFERENCE, *ON_SALE, *seats.recorded)
    assert state_of(replayed) == state_of(seats)


def state_of(seats: ConferenceSeats) -> dict[str, Any]:
    return {name: getattr(seats, name) for name in ConferenceSeats.__annotations__}


def test_its_state_fits_into_a_snapshot() -> None:
    seats = on_sale(RESERVED)
    when(seats, reserve(Line("standard", 3), order_id=ANOTHER_ORDER))
    when(seats, SELL)

    for name, kind in ConferenceSeats.__annotations__.items():
        value = getattr(seats, name)
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value


EVE = UUID("01890000-0000-7000-8000-0000000000ee")
AT_MOST_TWO = CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=2)


def for_customer(customer_id: UUID | None, quantity: int, order_id: UUID = ANOTHER_ORDER) -> ReserveSeats:
    return ReserveSeats(
        conference_id=CONFERENCE,
        order_id=order_id,
        lines=(Line("standard", quantity),),
        customer_id=customer_id,
    )


def may_reserve(seats: ConferenceSeats, command: ReserveSeats) -> bool:
    (recorded,) = when(seats, command)
    if isinstance(recorded, SeatsRefused):
        assert recorded.reason == "customer-limit"
    return isinstance(recorded, SeatsReserved)


OF_ADA = msgspec.structs.replace(RESERVED, customer_id=ADA, lines=(PricedLine("standard", 1, STANDARD.price),))


def test_a_customer_has_no_more_seats_than_the_limit_over_all_orders_and_types() -> None:
    assert may_reserve(on_sale(AT_MOST_TWO, OF_ADA), for_customer(ADA, 1))
    assert not may_reserve(on_sale(AT_MOST_TWO, OF_ADA), for_customer(ADA, 2))
    assert may_reserve(on_sale(AT_MOST_TWO, OF_ADA), for_customer(EVE, 2))
    assert may_reserve(on_sale(AT_MOST_TWO, OF_ADA), for_customer(None, 4))
    assert may_reserve(on_sale(OF_ADA), for_customer(ADA, 4))


def test_seats_count_until_they_are_given_back_and_no_longer() -> None:
    sold = msgspec.structs.replace(SOLD, lines=(Line("standard", 1),))
    released = msgspec.structs.replace(RELEASED, lines=(Line("standard", 1),))
    assert not may_reserve(on_sale(AT_MOST_TWO, OF_ADA, sold), for_customer(ADA, 2))
    for before in ((OF_ADA, released), (OF_ADA, sold, released)):
        seats = on_sale(AT_MOST_TWO, *before)
        assert (seats.buyers, seats.orders_of_buyers, seats.seats_of_buyers) == ({}, {}, {})
        assert may_reserve(seats, for_customer(ADA, 2))


def test_who_has_more_than_a_new_limit_keeps_it_and_gets_no_more() -> None:
    seats = on_sale(msgspec.structs.replace(OF_ADA, lines=(PricedLine("standard", 4, STANDARD.price),)), AT_MOST_TWO)
    assert not may_reserve(seats, for_customer(ADA, 1))
    assert when(seats, for_customer(ADA, 4, order_id=ORDER))[1:] == []


TWO_ORDERS, FIVE_SEATS = UnpaidLimit(orders=2), UnpaidLimit(seats=5)


def unpaid(number: int, seats: int = 1, customer_id: UUID = ADA, **more: Any) -> SeatsReserved:
    lines = (PricedLine("standard", seats, STANDARD.price),)
    return msgspec.structs.replace(RESERVED, order_id=UUID(int=number), customer_id=customer_id, lines=lines, **more)


def paid(number: int) -> SeatsSold:
    return SeatsSold(conference_id=CONFERENCE, order_id=UUID(int=number), lines=(Line("standard", 1),))


def given_back(number: int) -> SeatsReleased:
    return SeatsReleased(conference_id=CONFERENCE, order_id=UUID(int=number), lines=(Line("standard", 1),))


def order(limit: UnpaidLimit | None, seats: int = 1, customer_id: UUID = ADA) -> ReserveSeats:
    return msgspec.structs.replace(for_customer(customer_id, seats), unpaid=limit)


def outcome(command: ReserveSeats | ChangeSeats, *events: Event) -> str:
    recorded = when(on_sale(*events), command)[-1]
    return recorded.reason if isinstance(recorded, SeatsRefused | SeatsChangeRefused) else "had"


@pytest.mark.parametrize(
    ("before", "limit", "expected"),
    [
        ([unpaid(1)], TWO_ORDERS, "had"),
        ([unpaid(1), unpaid(2)], TWO_ORDERS, "unpaid-limit"),
        ([unpaid(1), unpaid(2, customer_id=EVE)], TWO_ORDERS, "had"),
        ([unpaid(1), unpaid(2), paid(2)], TWO_ORDERS, "had"),
        ([unpaid(1), unpaid(2), given_back(2)], TWO_ORDERS, "had"),
        ([unpaid(1), unpaid(2, on_offer=True)], TWO_ORDERS, "had"),
        ([unpaid(1), unpaid(2)], UnpaidLimit(), "had"),
        ([unpaid(1), unpaid(2)], None, "had"),
        ([unpaid(1, seats=4)], FIVE_SEATS, "had"),
        ([unpaid(1, seats=2), unpaid(2, seats=3)], FIVE_SEATS, "unpaid-limit"),
    ],
    ids=[
        "one less",
        "as many",
        "of others",
        "paid",
        "given back",
        "on offer",
        "any number",
        "no limit",
        "as many seats as may be",
        "more seats",
    ],
)
def test_a_customer_has_only_so_many_orders_and_seats_that_are_not_paid(
    before: list[Event], limit: UnpaidLimit | None, expected: str
) -> None:
    assert outcome(order(limit), *before) == expected


def test_what_a_customer_has_is_found_without_a_look_at_what_others_have() -> None:
    class Looked(dict[UUID, Any]):
        def __iter__(self) -> NoReturn:
            raise AssertionError("All orders were looked at.")

        keys = values = items = __iter__

    seats = on_sale(unpaid(1), unpaid(2), unpaid(3, customer_id=EVE))
    seats.reserved, seats.buyers = Looked(seats.reserved), Looked(seats.buyers)
    with pytest.raises(UnpaidLimitReached):
        seats.check_unpaid_limit(ADA, [Line("standard", 1)], TWO_ORDERS)
    assert seats.seats_of([EVE]) == {EVE: (Line("standard", 1),)}


def test_one_order_alone_is_as_large_as_its_seat_types_allow() -> None:
    assert outcome(order(UnpaidLimit(orders=1, seats=1), seats=4)) == "had"


def test_an_order_that_costs_nothing_is_not_unpaid() -> None:
    free = msgspec.structs.replace(order(TWO_ORDERS), prices={"standard": euros("0.00")})
    assert outcome(free, unpaid(1), unpaid(2)) == "had"


def test_who_accepts_an_offer_gets_its_seats_whatever_is_unpaid() -> None:
    offered = msgspec.structs.replace(unpaid(9, on_offer=True), order_id=offered_seats_id(ANOTHER_ORDER))
    assert outcome(order(TWO_ORDERS), unpaid(1), unpaid(2), offered) == "had"


@pytest.mark.parametrize(
    ("before", "seats", "expected"),
    [
        ([unpaid(1), unpaid(2)], 4, "had"),
        ([unpaid(1), unpaid(2)], 5, "unpaid-limit"),
        ([unpaid(1, seats=5), unpaid(2, seats=5)], 4, "had"),
        ([unpaid(1), paid(1), unpaid(2)], 5, "had"),
        ([unpaid(1)], 5, "had"),
    ],
    ids=["as many as may be", "more", "fewer", "of one that is paid", "alone"],
)
def test_an_order_that_is_not_paid_gets_more_seats_within_the_limit(
    before: list[Event], seats: int, expected: str
) -> None:
    change = ChangeSeats(
        conference_id=CONFERENCE,
        order_id=UUID(int=1),
        change=1,
        lines=(Line("standard", seats),),
        unpaid=UnpaidLimit(orders=1, seats=5),
    )
    assert outcome(change, *before) == expected
