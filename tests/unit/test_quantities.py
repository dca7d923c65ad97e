"""The quantities of an order change: what the order, the conference and the sale make of it, however they meet."""

from typing import Any

import msgspec
import pytest

from eventstore.aggregates import Aggregate, Command
from eventstore.errors import DomainError
from eventstore.events import Event
from eventstore.testing import given, when
from ordering import conf
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    ConferenceCancelled,
    CustomerLimitChanged,
    Pool,
    PoolAdded,
    PoolsAssigned,
    SalesClosed,
    SeatLimitChanged,
    SeatsRepriced,
)
from ordering.domain.errors import (
    ChangeUnderWay,
    ConferenceIsCancelled,
    ConferenceNotOnSale,
    CustomerLimitReached,
    InvalidQuantity,
    NotEnoughSeats,
    OrderNotChangeable,
    OrderNotDue,
    QuantitiesUnchanged,
    TooFewSeats,
    TooManySeats,
    UnknownSeatType,
)
from ordering.domain.finance import ReturnEverything, account_id_of
from ordering.domain.order import (
    CancelOrder,
    ConfirmOrder,
    CreditPayment,
    ExpireOrder,
    Order,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderRefused,
    OrderUnderpaid,
    PaymentCredited,
)
from ordering.domain.order_changes import (
    ChangeQuantities,
    ConcludeChange,
    QuantitiesChanged,
    QuantityChangeRefused,
    QuantityChangeRequested,
)
from ordering.domain.payment import RequestPayment, further_payment_id
from ordering.domain.seats import (
    CANCELLED,
    CUSTOMER_LIMIT,
    NO_SEATS,
    SOLD_OUT,
    ChangeSeats,
    Line,
    PricedLine,
    ReserveSeats,
    SeatsChanged,
    SeatsChangeRefused,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
)
from ordering.domain.values import Money, payment_id_of
from ordering.processes.sale import CHANGED, PAYMENT_TIMER, Sale
from sagas.steps import At, Cancel, Send
from sagas.testing import tell

from .samples import ADA, ANOTHER_ORDER, BALCONY, CONFERENCE, ON_SALE, ORDER, PLACED, STANDARD, euros

RESERVED = SeatsReserved(
    conference_id=CONFERENCE, order_id=ORDER, lines=PLACED.lines, total=PLACED.total, customer_id=ADA
)
SOLD = SeatsSold(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),))
CONFIRMED = OrderConfirmed(order_id=ORDER)
ENDED = (
    OrderRefused(order_id=ORDER, reason="sold-out"),
    OrderExpired(order_id=ORDER),
    OrderCancelled(order_id=ORDER, reason=""),
)


def seats(*events: Event) -> ConferenceSeats:
    return given(ConferenceSeats, CONFERENCE, *ON_SALE, RESERVED, *events)


def to(*lines: Line) -> ChangeQuantities:
    return ChangeQuantities(order_id=ORDER, lines=lines, reason="More come.")


def then(aggregate: Aggregate, command: Command, **how: Any) -> list[Event]:
    """What a command records after others."""
    before = len(aggregate.recorded)
    return when(aggregate, command, **how)[before:]


def priced(quantity: int) -> tuple[PricedLine, ...]:
    return (PricedLine("standard", quantity, STANDARD.price),)


def requested(quantity: int, change: int = 1) -> QuantityChangeRequested:
    return QuantityChangeRequested(order_id=ORDER, change=change, lines=priced(quantity), reason="More come.")


def changed(quantity: int, due: str, before: Money = PLACED.total) -> QuantitiesChanged:
    return QuantitiesChanged(
        order_id=ORDER,
        change=1,
        lines=priced(quantity),
        before=before,
        total=STANDARD.price * quantity,
        due=euros(due),
        expires_at=PLACED.expires_at,
    )


def credit(amount: str) -> CreditPayment:
    return CreditPayment(
        order_id=ORDER, payment_id=payment_id_of(ORDER), provider="sandbox", reference="R", amount=euros(amount)
    )


def credited(amount: str, due: str) -> PaymentCredited:
    return PaymentCredited(
        order_id=ORDER,
        payment_id=payment_id_of(ORDER),
        provider="sandbox",
        reference="R",
        amount=euros(amount),
        due=euros(due),
    )


PAID = (PLACED, credited("398.00", "0.00"), CONFIRMED)
CONCLUDED = ConcludeChange(order_id=ORDER, change=1)
REFUSED = ConcludeChange(order_id=ORDER, change=1, refusal=SOLD_OUT)
AS_IT_WAS = QuantityChangeRefused(order_id=ORDER, change=1, reason=SOLD_OUT, expires_at=PLACED.expires_at)


def test_what_was_placed_keeps_its_price_and_another_type_costs_what_it_costs_now() -> None:
    dearer = (
        SeatsRepriced(conference_id=CONFERENCE, seat_type="standard", price=euros("250.00")),
        SeatsRepriced(conference_id=CONFERENCE, seat_type="balcony", price=euros("120.00")),
    )
    change = to(Line("standard", 3), Line("balcony", 1))
    assert then(given(Order, ORDER, PLACED), change, others=[seats(*dearer)]) == [
        QuantityChangeRequested(
            order_id=ORDER,
            change=1,
            lines=(*priced(3), PricedLine("balcony", 1, euros("120.00"))),
            reason="More come.",
        )
    ]


def test_an_order_that_waits_for_its_payment_owes_its_new_total_once_the_conference_has_the_seats() -> None:
    order = given(Order, ORDER, PLACED, requested(3))
    assert order.total == PLACED.total
    assert then(order, CONCLUDED) == [changed(3, "597.00")]
    assert (order.lines, order.total, order.due) == (priced(3), euros("597.00"), euros("597.00"))
    assert then(order, credit("597.00"))[-1] == CONFIRMED


def test_what_was_paid_in_part_may_be_enough_for_fewer_seats() -> None:
    order = given(Order, ORDER, PLACED, credited("300.00", "98.00"), requested(1))
    assert then(order, CONCLUDED) == [changed(1, "-101.00"), CONFIRMED]


def test_seats_of_a_confirmed_order_can_be_given_up() -> None:
    order = given(Order, ORDER, *PAID)
    assert then(order, to(Line("standard", 1)), others=[seats(SOLD)])
    assert then(order, CONCLUDED) == [changed(1, "-199.00")]
    assert order.due == euros("-199.00")


@pytest.mark.parametrize(
    ("lines", "error", "figures"),
    [
        ((), InvalidQuantity, "at least one seat"),
        ((Line("standard", 0),), InvalidQuantity, "at least one seat"),
        ((Line("standard", 2),), QuantitiesUnchanged, "already"),
        ((Line("standard", 5),), TooManySeats, "at most 4"),
        ((Line("standard", 1),), TooFewSeats, "at least 2"),
        ((Line("box", 1),), UnknownSeatType, "box"),
        ((Line("standard", 2), Line("balcony", 2)), NotEnoughSeats, "Balcony: 2 more, 1 free"),
        ((Line("standard", 4),), CustomerLimitReached, "at most 3"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    lines: tuple[Line, ...], error: type[DomainError], figures: str
) -> None:
    conference = seats(
        SeatLimitChanged(conference_id=CONFERENCE, seat_type="standard", max_per_order=4, min_per_order=2),
        SeatsReserved(
            conference_id=CONFERENCE,
            order_id=ANOTHER_ORDER,
            lines=(PricedLine("balcony", 1, BALCONY.price),),
            total=BALCONY.price,
        ),
        CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=3),
    )
    order = given(Order, ORDER, PLACED)
    with pytest.raises(error, match=figures):
        then(order, to(*lines), others=[conference])
    assert order.lines == PLACED.lines


@pytest.mark.parametrize("ended", ENDED, ids=lambda ended: ended.stored)
def test_an_order_that_has_ended_is_not_changed(ended: Event) -> None:
    with pytest.raises(OrderNotChangeable):
        then(given(Order, ORDER, PLACED, ended), to(Line("standard", 1)), others=[seats()])


def test_one_change_at_a_time() -> None:
    with pytest.raises(ChangeUnderWay):
        then(given(Order, ORDER, PLACED, requested(3)), to(Line("standard", 1)), others=[seats()])
    again = given(Order, ORDER, PLACED, requested(3), AS_IT_WAS)
    assert then(again, to(Line("standard", 1)), others=[seats()]) == [requested(1, change=2)]


def test_nothing_of_a_cancelled_conference_changes_and_only_what_is_on_sale_is_added() -> None:
    order = given(Order, ORDER, PLACED)
    with pytest.raises(ConferenceIsCancelled):
        then(order, to(Line("standard", 1)), others=[seats(ConferenceCancelled(conference_id=CONFERENCE, reason="no"))])
    closed = seats(SalesClosed(conference_id=CONFERENCE, reason="no"))
    with pytest.raises(ConferenceNotOnSale):
        then(order, to(Line("standard", 3)), others=[closed])
    assert then(order, to(Line("standard", 1)), others=[closed])


def test_bounds_that_came_later_hold_for_what_changes_alone() -> None:
    limited = SeatLimitChanged(conference_id=CONFERENCE, seat_type="standard", max_per_order=1, min_per_order=1)
    change = to(Line("standard", 2), Line("balcony", 1))
    assert then(given(Order, ORDER, PLACED), change, others=[seats(limited)])


def test_money_that_comes_during_a_change_confirms_when_it_has_ended() -> None:
    for end, events in (
        (CONCLUDED, [changed(3, "199.00")]),
        (REFUSED, [AS_IT_WAS, CONFIRMED]),
    ):
        order = given(Order, ORDER, PLACED, requested(3))
        assert then(order, credit("398.00")) == [credited("398.00", "0.00")]
        assert then(order, end) == events


def test_too_little_money_during_a_change_is_still_too_little() -> None:
    order = given(Order, ORDER, PLACED, requested(3))
    assert then(order, credit("100.00"))[-1] == OrderUnderpaid(order_id=ORDER, due=euros("298.00"))


def test_a_free_order_that_has_its_seats_is_confirmed_when_its_change_has_ended() -> None:
    free = given(Order, ORDER, PLACED, credited("398.00", "0.00"), requested(1))
    assert then(free, ConfirmOrder(order_id=ORDER)) == []
    assert then(free, CONCLUDED) == [changed(1, "-199.00"), CONFIRMED]


def test_an_order_does_not_expire_during_a_change_but_after_it() -> None:
    order = given(Order, ORDER, PLACED, requested(3))
    expire = ExpireOrder(order_id=ORDER, deadline=PLACED.expires_at)
    with pytest.raises(OrderNotDue):
        then(order, expire, now=PLACED.expires_at)
    then(order, CONCLUDED)
    assert then(order, expire, now=PLACED.expires_at) == [OrderExpired(order_id=ORDER)]


def test_an_order_that_is_cancelled_during_a_change_is_left_as_it_was() -> None:
    order = given(Order, ORDER, PLACED, requested(3))
    assert then(order, CancelOrder(order_id=ORDER), others=[seats()])
    assert then(order, CONCLUDED) == []
    assert order.lines == PLACED.lines


def test_a_change_ends_once() -> None:
    order = given(Order, ORDER, PLACED, requested(3), changed(3, "597.00"), requested(2, change=2))
    assert then(order, CONCLUDED) == []


def ask(quantity: int) -> ChangeSeats:
    return ChangeSeats(conference_id=CONFERENCE, order_id=ORDER, change=1, lines=(Line("standard", quantity),))


@pytest.mark.parametrize("before", [(), (SOLD,)], ids=["reserved", "sold"])
def test_a_conference_gives_and_takes_seats(before: tuple[Event, ...]) -> None:
    conference = seats(*before, CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=4))
    for had, quantity in ((2, 4), (4, 1)):
        assert then(conference, ask(quantity)) == [
            SeatsChanged(
                conference_id=CONFERENCE,
                order_id=ORDER,
                change=1,
                before=(Line("standard", had),),
                lines=(Line("standard", quantity),),
            )
        ]
        assert conference.available("standard") == STANDARD.capacity - quantity
        assert conference.seats_of_buyers == {ADA: quantity}
    assert bool(conference.sold) == bool(before)


@pytest.mark.parametrize(
    ("event", "quantity", "reason"),
    [
        (ConferenceCancelled(conference_id=CONFERENCE, reason="no"), 1, CANCELLED),
        (CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=2), 3, CUSTOMER_LIMIT),
        (SeatsReleased(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),)), 3, NO_SEATS),
        (
            SeatsReserved(conference_id=CONFERENCE, order_id=ANOTHER_ORDER, lines=priced(7), total=STANDARD.price * 7),
            4,
            SOLD_OUT,
        ),
    ],
    ids=[CANCELLED, CUSTOMER_LIMIT, NO_SEATS, SOLD_OUT],
)
def test_a_conference_refuses_a_change_as_a_whole(event: Event, quantity: int, reason: str) -> None:
    conference = seats(event)
    free = conference.available("standard")
    assert then(conference, ask(quantity)) == [
        SeatsChangeRefused(
            conference_id=CONFERENCE,
            order_id=ORDER,
            change=1,
            lines=(Line("standard", quantity),),
            reason=reason,
        )
    ]
    assert conference.available("standard") == free


def test_seats_of_one_type_make_room_for_another_of_the_same_pool() -> None:
    pooled = (
        PoolAdded(conference_id=CONFERENCE, pool=Pool("hall", "Hall", 2)),
        *(PoolsAssigned(conference_id=CONFERENCE, seat_type=code, pools=("hall",)) for code in ("standard", "balcony")),
    )
    conference = seats(*pooled)
    order = given(Order, ORDER, PLACED)
    assert then(order, to(Line("standard", 1), Line("balcony", 1)), others=[conference])
    with pytest.raises(NotEnoughSeats):
        then(given(Order, ORDER, PLACED), to(Line("standard", 2), Line("balcony", 1)), others=[conference])


def test_a_sale_asks_the_conference_and_tells_the_order() -> None:
    asked = msgspec.structs.replace(ask(3), unpaid=conf.unpaid_limit())
    assert tell(Sale, PLACED, RESERVED, requested(3)).last == [Send(asked)]
    made = SeatsChanged(
        conference_id=CONFERENCE,
        order_id=ORDER,
        change=1,
        before=(Line("standard", 2),),
        lines=(Line("standard", 3),),
    )
    assert tell(Sale, PLACED, RESERVED, made).last == [Send(CONCLUDED)]
    refused = SeatsChangeRefused(
        conference_id=CONFERENCE, order_id=ORDER, change=1, lines=(Line("standard", 3),), reason=SOLD_OUT
    )
    assert tell(Sale, PLACED, RESERVED, refused).last == [Send(REFUSED)]


EXPIRY = At(PLACED.expires_at, ExpireOrder(order_id=ORDER, deadline=PLACED.expires_at), name=PAYMENT_TIMER)


def test_a_sale_asks_for_what_a_changed_order_owes_and_waits_for_it() -> None:
    sale = tell(Sale, PLACED, RESERVED, changed(3, "597.00"))
    assert sale.last == [
        Cancel(PAYMENT_TIMER),
        EXPIRY,
        Send(
            RequestPayment(
                payment_id=further_payment_id(ORDER, 1), order_id=ORDER, amount=euros("597.00"), provider="sandbox"
            )
        ),
    ]
    assert (sale.state.lines, sale.state.total) == ((Line("standard", 3),), euros("597.00"))


def test_a_sale_waits_again_when_a_change_was_refused_unless_it_is_over() -> None:
    assert tell(Sale, PLACED, RESERVED, AS_IT_WAS).last == [Cancel(PAYMENT_TIMER), EXPIRY]
    assert tell(Sale, PLACED, RESERVED, CONFIRMED, AS_IT_WAS).last == []


def test_a_sale_returns_what_a_changed_order_no_longer_costs_and_no_more_than_once() -> None:
    back = ReturnEverything(account_id=account_id_of(ORDER), reason=CHANGED, keep=euros("199.00"))
    paid = (PLACED, RESERVED, credited("398.00", "0.00"), CONFIRMED, changed(1, "-199.00"))
    assert tell(Sale, *paid).last == [Send(back)]
    assert tell(Sale, *paid, changed(1, "-199.00")).last == []


def test_seats_that_a_changed_order_has_are_those_that_it_is_given_when_it_is_paid_late() -> None:
    late = (PLACED, RESERVED, changed(3, "597.00"), OrderExpired(order_id=ORDER), credited("597.00", "0.00"))
    (reserve,) = tell(Sale, *late).last
    assert isinstance(reserve, Send)
    assert isinstance(reserve.command, ReserveSeats)
    assert reserve.command.lines == (Line("standard", 3),)
