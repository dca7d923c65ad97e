"""A change that makes a confirmed order dearer is owed until it is paid: what the order, the conference and the sale
make of it, in time, late, and beside whatever else may happen.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from eventstore.testing import NOON, given
from ordering import conf
from ordering.domain.conference_changes import CustomerLimitChanged, PaymentTermsChanged
from ordering.domain.errors import (
    ChangeNotTakenUp,
    CustomerLimitReached,
    NotEnoughSeats,
    OrderNotDue,
    OrderNotExpirable,
    OrderNotExtendable,
    PaymentPeriodOver,
    QuantitiesUnchanged,
)
from ordering.domain.finance import RequestRefund, ReturnEverything, account_id_of
from ordering.domain.order import (
    PAID_LATE,
    CancelOrder,
    ChooseProvider,
    CreditPayment,
    DeadlineMoved,
    DebitRefund,
    ExpireOrder,
    ExtendOrder,
    FollowPayment,
    Order,
    OrderCancelled,
    OrderExtended,
    OrderReminderRequested,
    OrderUnderpaid,
    PaymentCredited,
    ProviderChosen,
    RequestReminder,
)
from ordering.domain.order_changes import (
    ConcludeChange,
    QuantitiesChanged,
    QuantityChangeLapsed,
    QuantityChangeOwed,
    QuantityChangeRequested,
    TakeUpChange,
)
from ordering.domain.payment import RequestPayment, further_payment_id
from ordering.domain.seats import (
    CUSTOMER_LIMIT,
    SOLD_OUT,
    ChangeSeats,
    Line,
    PricedLine,
    SeatsChanged,
    SeatsChangeRefused,
    SeatsReserved,
    total,
)
from ordering.domain.terms import PaymentTerms, Unit
from ordering.domain.values import Money
from ordering.processes.sale import CHANGED, LAPSED, PAYMENT_TIMER, TOO_MUCH, Sale
from sagas.refusal import CommandRefused
from sagas.steps import At, Cancel, Send
from sagas.testing import tell

from .samples import ANOTHER_ORDER, BALCONY, CONFERENCE, ORDER, PLACED, STANDARD, euros
from .test_quantities import AS_IT_WAS, CONCLUDED, PAID, RESERVED, SOLD, credited, requested, seats, then, to

UNTIL = NOON + timedelta(minutes=15)
EXPIRE = ExpireOrder(order_id=ORDER, deadline=UNTIL)
IN_FORCE = PLACED.lines
TWO_BALCONIES = (PricedLine("balcony", 2, euros("299.00")),)


def priced(standard: int) -> tuple[PricedLine, ...]:
    return (PricedLine("standard", standard, STANDARD.price),)


def owed(standard: int, due: str, **other: Any) -> QuantityChangeOwed:
    told = {"change": 1, "lines": priced(standard), "expires_at": UNTIL, "grace": 0, **other}
    cost = total(told["lines"])
    told.setdefault("needs", cost)
    return QuantityChangeOwed(order_id=ORDER, total=cost, due=euros(due), **told)


def in_force(standard: int, due: str = "0.00", change: int = 1, before: str = "398.00") -> QuantitiesChanged:
    return QuantitiesChanged(
        order_id=ORDER,
        change=change,
        lines=priced(standard),
        before=euros(before),
        total=STANDARD.price * standard,
        due=euros(due),
        expires_at=UNTIL,
    )


def lapsed(due: str = "0.00") -> QuantityChangeLapsed:
    return QuantityChangeLapsed(order_id=ORDER, change=1, lines=IN_FORCE, due=euros(due))


def money(amount: str, reference: str) -> CreditPayment:
    return CreditPayment(
        order_id=ORDER,
        payment_id=further_payment_id(ORDER, 1),
        provider="sandbox",
        reference=reference,
        amount=euros(amount),
    )


def came(amount: str, due: str, reference: str = "MORE", provider: str = "sandbox") -> PaymentCredited:
    return PaymentCredited(
        order_id=ORDER,
        payment_id=further_payment_id(ORDER, 1),
        provider=provider,
        reference=reference,
        amount=euros(amount),
        due=euros(due),
    )


OWING = (*PAID, requested(3), owed(3, "199.00"))


# The order


def test_a_dearer_change_of_a_confirmed_order_is_owed_until_its_own_deadline_and_changes_nothing_yet() -> None:
    order, later = given(Order, ORDER, *PAID), NOON + timedelta(hours=5)
    terms = PaymentTermsChanged(conference_id=CONFERENCE, terms=PaymentTerms(within=2, unit=Unit.HOURS, grace=7))
    conference = seats(SOLD, terms)
    assert then(order, to(Line("standard", 3)), others=[conference], now=later) == [requested(3)]
    until = later + timedelta(hours=2)
    assert then(order, CONCLUDED, others=[conference], now=later) == [owed(3, "199.00", expires_at=until, grace=7)]
    assert (order.lines, order.total, order.due) == (IN_FORCE, PLACED.total, euros("199.00"))
    assert (order.asked_for, order.expires_at, order.awaits_payment) == (priced(3), until, True)


def test_a_free_order_begins_to_owe() -> None:
    free = {"lines": (PricedLine("standard", 1, euros("0.00")),), "total": euros("0.00")}
    placed = type(PLACED)(**{name: getattr(PLACED, name) for name in PLACED.__struct_fields__} | free)
    order = given(Order, ORDER, placed, PAID[-1])
    change = to(Line("standard", 1), Line("balcony", 1))
    then(order, change, others=[seats(SOLD)])
    (event,) = then(order, CONCLUDED, others=[seats(SOLD)])
    assert isinstance(event, QuantityChangeOwed)
    assert (event.due, order.due) == (BALCONY.price, BALCONY.price)


def test_what_is_too_much_already_pays_for_a_change() -> None:
    paid_above = (PLACED, credited("600.00", "-202.00"), PAID[-1])
    order = given(Order, ORDER, *paid_above, requested(3))
    spare = ConcludeChange(order_id=ORDER, change=1, spare=euros("202.00"))
    assert then(order, spare, others=[seats(SOLD)]) == [in_force(3, "-3.00")]


def test_what_is_on_its_way_back_does_not_pay_for_a_change() -> None:
    order = given(Order, ORDER, PLACED, credited("600.00", "-202.00"), PAID[-1], requested(3))
    assert then(order, CONCLUDED, others=[seats(SOLD)]) == [owed(3, "199.00", needs=euros("799.00"))]
    then(order, DebitRefund(order_id=ORDER, refund_id=ANOTHER_ORDER, amount=euros("202.00")))
    assert order.due == euros("199.00")
    assert then(order, money("199.00", "MORE"))[-1] == in_force(3)


def test_a_change_that_is_paid_is_in_force() -> None:
    order = given(Order, ORDER, *OWING)
    assert then(order, money("199.00", "MORE")) == [came("199.00", "0.00"), in_force(3)]
    assert (order.lines, order.total, order.due) == (priced(3), euros("597.00"), euros("0.00"))
    assert not order.awaits_payment
    with pytest.raises(OrderNotExpirable):
        then(order, EXPIRE, now=UNTIL)


def test_a_change_may_be_paid_in_parts_and_above() -> None:
    order = given(Order, ORDER, *OWING)
    assert then(order, money("100.00", "PART")) == [
        came("100.00", "99.00", "PART"),
        OrderUnderpaid(order_id=ORDER, due=euros("99.00")),
    ]
    assert then(order, money("109.00", "MORE")) == [came("109.00", "-10.00"), in_force(3, "-10.00")]


def test_a_change_that_is_not_paid_in_time_lapses_and_the_order_is_as_it_was() -> None:
    order = given(Order, ORDER, *OWING, came("50.00", "149.00"))
    assert then(order, EXPIRE, now=UNTIL) == [lapsed("-50.00")]
    assert (order.lines, order.total, order.due) == (IN_FORCE, PLACED.total, euros("-50.00"))
    assert not order.awaits_payment
    with pytest.raises(OrderNotExpirable):
        then(order, EXPIRE, now=UNTIL)


def test_what_staff_have_given_back_as_a_favour_is_not_asked_for_again() -> None:
    order = given(Order, ORDER, *PAID)
    then(order, DebitRefund(order_id=ORDER, refund_id=ANOTHER_ORDER, amount=euros("50.00")))
    then(order, to(Line("standard", 3)), others=[seats(SOLD)])
    assert then(order, CONCLUDED, others=[seats(SOLD)]) == [owed(3, "199.00")]
    assert then(order, money("199.00", "MORE"))[-1] == in_force(3, "50.00")


def test_another_dearer_change_is_owed_until_the_same_time_with_what_has_come_in() -> None:
    order = given(Order, ORDER, *OWING, came("50.00", "149.00"))
    later = NOON + timedelta(minutes=9)
    assert then(order, to(Line("standard", 4)), others=[seats(SOLD)], now=later) == [requested(4, change=2)]
    conclude = ConcludeChange(order_id=ORDER, change=2, spare=euros("50.00"))
    assert then(order, conclude, others=[seats(SOLD)], now=later) == [owed(4, "348.00", change=2)]
    assert order.promised_until == UNTIL


def test_a_change_back_down_is_in_force_at_once() -> None:
    for quantity, due in ((2, "-50.00"), (1, "-249.00")):
        order = given(Order, ORDER, *OWING, came("50.00", "149.00"))
        then(order, to(Line("standard", quantity)), others=[seats(SOLD)])
        assert then(order, ConcludeChange(order_id=ORDER, change=2)) == [in_force(quantity, due, change=2)]
        assert not order.awaits_payment


def test_what_is_asked_for_already_is_no_change() -> None:
    with pytest.raises(QuantitiesUnchanged):
        then(given(Order, ORDER, *OWING), to(Line("standard", 3)), others=[seats(SOLD)])


def test_a_type_that_is_given_up_by_a_change_that_is_owed_keeps_its_price() -> None:
    order = given(Order, ORDER, *PAID, requested(3), owed(0, "200.00", lines=TWO_BALCONIES))
    then(order, to(Line("standard", 1), Line("balcony", 1)), others=[seats(SOLD)])
    assert order.wanted == (*priced(1), PricedLine("balcony", 1, euros("299.00")))


def test_money_that_comes_while_another_change_is_under_way_counts_for_what_comes_of_it() -> None:
    another = (*OWING, requested(4, change=2))
    order = given(Order, ORDER, *another)
    assert then(order, money("199.00", "MORE")) == [came("199.00", "0.00")]
    refusal = ConcludeChange(order_id=ORDER, change=2, refusal=SOLD_OUT)
    assert then(order, refusal)[-1] == in_force(3)
    order = given(Order, ORDER, *another)
    then(order, money("199.00", "MORE"))
    owing = then(order, ConcludeChange(order_id=ORDER, change=2), others=[seats(SOLD)])
    assert owing == [owed(4, "199.00", change=2)]


def test_a_change_does_not_lapse_while_another_is_under_way() -> None:
    order = given(Order, ORDER, *OWING, requested(4, change=2))
    with pytest.raises(OrderNotDue):
        then(order, EXPIRE, now=UNTIL)


def test_an_order_that_is_cancelled_owes_nothing_for_a_change() -> None:
    order = given(Order, ORDER, *OWING, came("50.00", "149.00"))
    assert then(order, CancelOrder(order_id=ORDER), others=[seats(SOLD)]) == [
        OrderCancelled(order_id=ORDER, reason="", fee=euros("0.00"))
    ]
    assert not order.awaits_payment
    with pytest.raises(ChangeNotTakenUp):
        then(order, TakeUpChange(order_id=ORDER))


def test_a_change_that_is_owed_can_be_extended_followed_reminded_of_and_paid_elsewhere() -> None:
    order, until = given(Order, ORDER, *OWING), UNTIL + timedelta(hours=1)
    assert then(order, RequestReminder(order_id=ORDER)) == [OrderReminderRequested(order_id=ORDER)]
    assert then(order, ChooseProvider(order_id=ORDER, provider="stripe"), others=[seats(SOLD)]) == [
        ProviderChosen(order_id=ORDER, provider="stripe", due=euros("199.00"))
    ]
    extended = then(order, ExtendOrder(order_id=ORDER, expires_at=until, reason="ill"))
    assert extended == [OrderExtended(order_id=ORDER, expires_at=until, reason="ill")]
    with pytest.raises(OrderNotDue):
        then(order, EXPIRE, now=UNTIL)
    bound = UNTIL + timedelta(days=3)
    follow = FollowPayment(order_id=ORDER, since=NOON, until=bound, pending=True)
    assert then(order, follow, others=[seats(SOLD)]) == [DeadlineMoved(order_id=ORDER, expires_at=bound)]
    with pytest.raises(OrderNotExtendable):
        then(given(Order, ORDER, *OWING, lapsed()), follow, others=[seats(SOLD)])


def test_a_change_that_was_paid_late_is_wanted_again() -> None:
    with pytest.raises(ChangeNotTakenUp):
        then(given(Order, ORDER, *OWING), TakeUpChange(order_id=ORDER))
    order = given(Order, ORDER, *OWING, lapsed())
    assert then(order, money("199.00", "LATE")) == [came("199.00", "-199.00", "LATE")]
    assert then(order, TakeUpChange(order_id=ORDER)) == [
        QuantityChangeRequested(order_id=ORDER, change=2, lines=priced(3), reason=PAID_LATE)
    ]
    conclude = ConcludeChange(order_id=ORDER, change=2, spare=euros("199.00"))
    assert then(order, conclude) == [in_force(3, change=2)]


def test_a_dearer_change_is_refused_where_there_are_no_seats_or_no_time_to_pay() -> None:
    order, conference = given(Order, ORDER, *PAID), seats(SOLD)
    with pytest.raises(NotEnoughSeats, match="Balcony: 3 more, 2 free"):
        other = seats(SOLD, SeatsReserved(conference_id=CONFERENCE, order_id=ANOTHER_ORDER, lines=(), total=euros("0")))
        other.seat_types["balcony"] = type(BALCONY)("balcony", "Balcony", euros("299.00"), 2, 4)
        then(order, to(Line("balcony", 3)), others=[other])
    limited = seats(SOLD, CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=2))
    with pytest.raises(CustomerLimitReached):
        then(order, to(Line("standard", 3)), others=[limited])
    last_day = PaymentTerms(last_day=date(2029, 12, 31))
    with pytest.raises(PaymentPeriodOver):
        late = seats(SOLD, PaymentTermsChanged(conference_id=CONFERENCE, terms=last_day))
        then(order, to(Line("standard", 3)), others=[late])
    assert then(order, to(Line("standard", 1)), others=[conference])


# The conference


def change_seats(*lines: Line, kept: Sequence[Line] = (), change: int = 1) -> ChangeSeats:
    return ChangeSeats(conference_id=CONFERENCE, order_id=ORDER, change=change, lines=lines, kept=tuple(kept))


def test_seats_that_are_kept_need_room_and_do_not_count_as_more() -> None:
    own = (Line("standard", 2),)
    conference = seats(SOLD, CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=2))
    exchange = change_seats(Line("balcony", 2), kept=own)
    (both,) = then(conference, exchange)
    assert isinstance(both, SeatsChanged)
    assert {*both.lines} == {*own, Line("balcony", 2)}
    assert (conference.available("standard"), conference.available("balcony")) == (8, 0)
    then(conference, change_seats(Line("balcony", 2)))
    assert (conference.available("standard"), conference.available("balcony")) == (10, 0)
    (over,) = then(conference, change_seats(Line("balcony", 2), Line("standard", 1)))
    assert isinstance(over, SeatsChangeRefused)
    assert over.reason == CUSTOMER_LIMIT


# The sale


def ask(number: int, due: str) -> Send:
    return Send(
        RequestPayment(
            payment_id=further_payment_id(ORDER, number), order_id=ORDER, amount=euros(due), provider="sandbox"
        )
    )


def back(amount: str, reference: str, reason: str, leaving: Money = PLACED.total) -> Send:
    return Send(
        RequestRefund(
            account_id=account_id_of(ORDER),
            provider="sandbox",
            reference=reference,
            amount=euros(amount),
            reason=reason,
            at_most=True,
            leaving=leaving,
        )
    )


WAIT = [Cancel(PAYMENT_TIMER), At(UNTIL, EXPIRE, name=PAYMENT_TIMER)]
SOLD_TO = (PLACED, RESERVED, credited("398.00", "0.00"), PAID[-1])
SALE = (*SOLD_TO, requested(3), owed(3, "199.00"))


def test_a_sale_keeps_the_seats_of_a_confirmed_order_until_a_dearer_change_is_paid() -> None:
    own = (Line("standard", 2),)
    assert tell(Sale, *SOLD_TO, requested(3)).last == [Send(change_seats(Line("standard", 3), kept=own))]
    assert tell(Sale, *SOLD_TO, requested(1)).last == [Send(change_seats(Line("standard", 1)))]


def test_a_sale_asks_for_what_a_change_comes_to_and_waits_for_it() -> None:
    assert tell(Sale, *SALE).last == [*WAIT, ask(1, "199.00")]


def test_a_sale_waits_no_more_once_a_change_is_in_force() -> None:
    assert tell(Sale, *SALE, came("199.00", "0.00"), in_force(3)).last == [Cancel(PAYMENT_TIMER)]


def test_a_sale_gives_up_the_seats_that_an_exchange_kept() -> None:
    exchanged = (*SOLD_TO, requested(3), owed(0, "200.00", lines=TWO_BALCONIES))
    paid = QuantitiesChanged(
        order_id=ORDER,
        change=1,
        lines=TWO_BALCONIES,
        before=PLACED.total,
        total=euros("598.00"),
        due=euros("0.00"),
        expires_at=UNTIL,
    )
    sale = tell(Sale, *exchanged, came("200.00", "0.00"), paid)
    assert sale.last == [Cancel(PAYMENT_TIMER), Send(change_seats(Line("balcony", 2)))]


def test_a_sale_returns_what_is_above_a_change_by_the_rule_for_excess(settings: Any) -> None:
    above = (*SALE, came("210.00", "-11.00"), in_force(3, "-11.00"))
    assert tell(Sale, *above).last == [Cancel(PAYMENT_TIMER), back("11.00", "MORE", TOO_MUCH, euros("597.00"))]
    settings.PAYMENT_EXCESS = {"sandbox": conf.STAFF}
    assert tell(Sale, *above).last == [Cancel(PAYMENT_TIMER)]


def test_a_sale_gives_back_seats_and_money_of_a_change_that_has_lapsed(settings: Any) -> None:
    over = (*SALE, came("60.00", "139.00", "PART"), came("40.00", "99.00"), lapsed("-100.00"))
    given_up = [Cancel(PAYMENT_TIMER), Send(change_seats(Line("standard", 2)))]
    assert tell(Sale, *over).last == [*given_up, back("40.00", "MORE", LAPSED), back("60.00", "PART", LAPSED)]
    settings.PAYMENT_EXCESS = {"sandbox": conf.STAFF}
    assert tell(Sale, *over).last == given_up


def test_a_sale_takes_a_change_up_again_that_was_paid_late_and_returns_less() -> None:
    late = (*SALE, lapsed())
    less = back("198.00", "MORE", TOO_MUCH)
    assert tell(Sale, *late, came("198.00", "-198.00")).last == [less]
    paid = (*late, came("200.00", "-200.00"))
    assert tell(Sale, *paid).last == [Send(TakeUpChange(order_id=ORDER))]
    again = (*paid, requested(3, change=2))
    assert tell(Sale, *again).state.spare == euros("200.00")
    assert tell(Sale, *again, in_force(3, "-1.00", change=2)).last == [back("1.00", "MORE", TOO_MUCH, euros("597.00"))]
    assert tell(Sale, *again, AS_IT_WAS).last == [back("200.00", "MORE", TOO_MUCH)]
    vain = CommandRefused(
        saga="sale",
        key=str(ORDER),
        command_id=ANOTHER_ORDER,
        command=TakeUpChange.stored,
        code=ChangeNotTakenUp.code,
        detail="",
    )
    assert tell(Sale, *paid, vain).last == [back("200.00", "MORE", TOO_MUCH)]
    assert tell(Sale, *again, vain).last == []


def test_a_sale_keeps_what_comes_during_a_change_until_it_is_clear_what_the_order_costs() -> None:
    during = (*SOLD_TO, requested(3), came("150.00", "-150.00"))
    assert tell(Sale, *during).last == []
    assert tell(Sale, *during, owed(3, "49.00")).last == [*WAIT, ask(1, "49.00")]
    assert tell(Sale, *during, AS_IT_WAS).last == [back("150.00", "MORE", TOO_MUCH)]


def test_a_sale_of_an_order_that_is_changed_back_returns_what_has_come_for_the_change() -> None:
    back_down = (*SALE, came("50.00", "149.00"), requested(2, change=2), in_force(2, "-50.00", change=2))
    everything = ReturnEverything(account_id=account_id_of(ORDER), reason=CHANGED, keep=PLACED.total)
    assert tell(Sale, *back_down).last == [Cancel(PAYMENT_TIMER), Send(everything)]


def test_a_sale_waits_again_for_a_change_when_another_was_refused() -> None:
    another = (*SALE, requested(4, change=2))
    assert tell(Sale, *another, AS_IT_WAS).last == WAIT


def test_a_sale_moves_the_deadline_of_a_change() -> None:
    later = UNTIL + timedelta(hours=1)
    sale = tell(Sale, *SALE, OrderExtended(order_id=ORDER, expires_at=later, reason="ill"))
    expire = ExpireOrder(order_id=ORDER, deadline=later)
    assert sale.last == [Cancel(PAYMENT_TIMER), At(later, expire, name=PAYMENT_TIMER)]


def test_a_sale_of_an_order_that_was_cancelled_returns_all_that_came_for_a_change() -> None:
    cancelled = (*SALE, came("50.00", "149.00"), OrderCancelled(order_id=ORDER, reason="", fee=euros("10.00")))
    sale = tell(Sale, *cancelled)
    everything = ReturnEverything(
        account_id=account_id_of(ORDER), reason="The order was cancelled.", keep=euros("10.00")
    )
    assert sale.last[-1] == Send(everything)
    assert not sale.state.waits
