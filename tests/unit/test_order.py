from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventstore.aggregates import Aggregate
from eventstore.errors import DomainError, StreamExists, StreamNotFound
from eventstore.events import Event
from eventstore.testing import NOON, given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    CancellationRuleChanged,
    ConferenceCancelled,
    CustomerLimitChanged,
    PaymentTermsChanged,
    ProvidersChanged,
    SeatLimitChanged,
)
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    AmountTooLarge,
    CancellationClosed,
    ConferenceIsCancelled,
    ConferenceNotFound,
    ConferenceNotOnSale,
    CustomerLimitReached,
    CustomerNotFound,
    DeadlinePassed,
    FeeTooHigh,
    MixedCurrencies,
    MoneyGoingBack,
    NotEnoughSeats,
    OrderNotCancellable,
    OrderNotDue,
    OrderNotExpirable,
    OrderNotExtendable,
    OrderNotPayable,
    OrderNotRefusable,
    OrderNotReopenable,
    OrderNotTakenUp,
    PaymentPeriodOver,
    ProviderNotOffered,
    ReasonNeeded,
    StatusMailTooSoon,
    TooFewSeats,
    TooManySeats,
    UnknownSeatType,
)
from ordering.domain.finance import Account, BookPayment, FailRefund, RequestRefund, account_id_of
from ordering.domain.order import (
    CancelOrder,
    ChooseProvider,
    ConfirmOrder,
    CreditPayment,
    DeadlineMoved,
    DebitRefund,
    ExpireOrder,
    ExtendOrder,
    FollowPayment,
    Order,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderExtended,
    OrderPlaced,
    OrderRefused,
    OrderReminderRequested,
    OrderReopened,
    OrderStatusMailRequested,
    OrderTakenUp,
    OrderUnderpaid,
    PaymentCredited,
    PlaceOrder,
    ProviderChosen,
    RecreditRefund,
    RefundDebited,
    RefundRecredited,
    RefuseOrder,
    ReopenOrder,
    RequestReminder,
    RequestStatusMail,
    ReviewPayment,
    Status,
    TakeUpOrder,
)
from ordering.domain.order_changes import ConcludeChange, QuantitiesChanged, QuantityChangeRequested
from ordering.domain.seats import Line, PricedLine, SeatsAdded, SeatsReserved, total
from ordering.domain.terms import CancellableUntil, CancellationRule, PaymentTerms, Unit
from ordering.domain.values import Money, order_number, payment_id_of

from .samples import (
    ADA,
    ANOTHER_ORDER,
    BALCONY,
    CONFERENCE,
    ON_SALE,
    ORDER,
    PLACED,
    REGISTERED,
    SCHEDULED,
    STANDARD,
    euros,
)

PAYMENT = payment_id_of(ORDER)
CUSTOMER = given(Customer, ADA, REGISTERED)
SEATS = given(ConferenceSeats, CONFERENCE, *ON_SALE)

REFUSED = OrderRefused(order_id=ORDER, reason="sold-out")
CONFIRMED = OrderConfirmed(order_id=ORDER)
EXPIRED = OrderExpired(order_id=ORDER)
CANCELLED = OrderCancelled(order_id=ORDER, reason="ill", fee=euros("0.00"))

LATER = NOON + timedelta(days=3)
EXTENDED = OrderExtended(order_id=ORDER, expires_at=LATER, reason="She was ill.")
CANCEL = CancelOrder(order_id=ORDER, reason="ill")
REOPEN = ReopenOrder(order_id=ORDER, reason="By mistake.")

Happened = tuple[OrderRefused | OrderConfirmed | OrderExpired | OrderCancelled, ...]


def credit(
    amount: str, currency: str = "EUR", *, brought_forward: bool = False, reopened: int | None = None
) -> CreditPayment:
    return CreditPayment(
        order_id=ORDER,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="tx-1",
        amount=Money(Decimal(amount), currency),
        brought_forward=brought_forward,
        reopened=reopened,
    )


def credited(amount: str, due: str, currency: str = "EUR", *, brought_forward: bool = False) -> PaymentCredited:
    return PaymentCredited(
        order_id=ORDER,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="tx-1",
        amount=Money(Decimal(amount), currency),
        due=euros(due),
        brought_forward=brought_forward,
    )


def underpaid(due: str) -> OrderUnderpaid:
    return OrderUnderpaid(order_id=ORDER, due=euros(due))


def extend(until: datetime, reason: str = "She was ill.") -> ExtendOrder:
    return ExtendOrder(order_id=ORDER, expires_at=until, reason=reason)


def place(*lines: Line) -> PlaceOrder:
    return PlaceOrder(order_id=ORDER, customer_id=ADA, conference_id=CONFERENCE, lines=lines)


def test_an_order_says_what_it_costs() -> None:
    recorded = when(Order(ORDER), place(Line("standard", 2), Line("balcony", 1)), others=[CUSTOMER, SEATS])

    assert recorded == [
        OrderPlaced(
            order_id=ORDER,
            number=order_number(0),
            customer_id=ADA,
            conference_id=CONFERENCE,
            lines=(PricedLine("standard", 2, STANDARD.price), PricedLine("balcony", 1, BALCONY.price)),
            total=euros("497.50"),
            expires_at=NOON + timedelta(minutes=15),
        )
    ]


def test_the_number_of_an_order_is_drawn_by_chance_and_claimed() -> None:
    order = Order(ORDER)
    (placed,) = when(order, place(Line("standard", 2)), others=[CUSTOMER, SEATS], drawn=1 << 49)

    assert isinstance(placed, OrderPlaced)
    assert placed.number == "BX-G0000-00000"
    assert [(claim.scope, claim.value) for claim in order.claimed] == [("order-number", "BX-G0000-00000")]


def test_an_order_may_ask_for_seats_that_are_not_free() -> None:
    assert when(Order(ORDER), place(Line("balcony", 2)), others=[CUSTOMER, SEATS])


def test_an_order_is_placed_once() -> None:
    with pytest.raises(StreamExists):
        when(given(Order, ORDER, PLACED), place(Line("standard", 1)), others=[CUSTOMER, SEATS])


def test_an_order_needs_a_customer() -> None:
    with pytest.raises(CustomerNotFound):
        when(Order(ORDER), place(Line("standard", 1)), others=[SEATS])


def test_an_order_needs_a_conference() -> None:
    with pytest.raises(ConferenceNotFound):
        when(Order(ORDER), place(Line("standard", 1)), others=[CUSTOMER])


def test_nothing_can_be_ordered_after_sales_close() -> None:
    with pytest.raises(ConferenceNotOnSale):
        when(Order(ORDER), place(Line("standard", 1)), now=NOON + timedelta(days=1), others=[CUSTOMER, SEATS])


def test_an_order_names_seat_types_that_there_are() -> None:
    with pytest.raises(UnknownSeatType):
        when(Order(ORDER), place(Line("throne", 1)), others=[CUSTOMER, SEATS])


def test_an_order_costs_no_more_than_an_amount_can_be() -> None:
    dear = msgspec.structs.replace(STANDARD, price=euros("9999999999.99"), max_per_order=1000)
    seats = given(ConferenceSeats, CONFERENCE, SCHEDULED, SeatsAdded(conference_id=CONFERENCE, seat_type=dear))

    with pytest.raises(AmountTooLarge):
        when(Order(ORDER), place(Line("standard", 101)), others=[CUSTOMER, seats])


def test_an_order_has_no_more_seats_of_a_type_than_one_order_may() -> None:
    with pytest.raises(TooManySeats):
        when(Order(ORDER), place(Line("standard", 5)), others=[CUSTOMER, SEATS])


def test_an_order_has_no_fewer_seats_of_a_type_than_it_must_unless_it_has_none() -> None:
    two = SeatLimitChanged(conference_id=CONFERENCE, seat_type="standard", max_per_order=4, min_per_order=2)
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, two)
    with pytest.raises(TooFewSeats):
        when(Order(ORDER), place(Line("standard", 1)), others=[CUSTOMER, seats])
    assert when(Order(ORDER), place(Line("standard", 2)), others=[CUSTOMER, seats])
    assert when(Order(ORDER), place(Line("balcony", 1)), others=[CUSTOMER, seats])


def test_a_customer_is_told_of_the_limit_when_an_order_is_placed_or_reopened() -> None:
    reserved = SeatsReserved(
        conference_id=CONFERENCE,
        order_id=ANOTHER_ORDER,
        lines=(PricedLine("standard", 2, STANDARD.price),),
        total=PLACED.total,
        customer_id=ADA,
    )
    three = CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=3)
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, reserved, three)
    assert when(Order(ORDER), place(Line("balcony", 1)), others=[CUSTOMER, seats])
    with pytest.raises(CustomerLimitReached):
        when(Order(ORDER), place(Line("standard", 1), Line("balcony", 1)), others=[CUSTOMER, seats])
    with pytest.raises(CustomerLimitReached):
        when(given(Order, ORDER, PLACED, EXPIRED), REOPEN, others=[seats])


CHOSEN = ProvidersChanged(conference_id=CONFERENCE, providers=("stripe", "bank-transfer"))
TO_TRANSFER = ProviderChosen(order_id=ORDER, provider="bank-transfer", due=PLACED.total)


@pytest.mark.parametrize(("named", "kept"), [("", "stripe"), ("bank-transfer", "bank-transfer")])
def test_an_order_is_paid_by_the_provider_that_it_names_or_by_the_first(named: str, kept: str) -> None:
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, CHOSEN)
    command = msgspec.structs.replace(place(Line("standard", 2)), provider=named)
    (placed,) = when(Order(ORDER), command, others=[CUSTOMER, seats])
    assert isinstance(placed, OrderPlaced)
    assert placed.provider == kept


def test_an_order_of_a_conference_that_names_no_provider_is_paid_by_that_of_the_site() -> None:
    (placed,) = when(
        Order(ORDER), place(Line("standard", 2)), others=[CUSTOMER, given(ConferenceSeats, CONFERENCE, *ON_SALE)]
    )
    assert isinstance(placed, OrderPlaced)
    assert placed.provider == ""


def test_an_order_is_not_paid_by_a_provider_that_the_conference_does_not_have() -> None:
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, CHOSEN)
    with pytest.raises(ProviderNotOffered, match="one of: stripe, bank-transfer"):
        when(Order(ORDER), msgspec.structs.replace(place(Line("standard", 2)), provider="x"), others=[CUSTOMER, seats])
    with pytest.raises(ProviderNotOffered):
        when(given(Order, ORDER, PLACED), ChooseProvider(order_id=ORDER, provider="x"), others=[seats])


def test_another_provider_can_be_chosen_while_an_order_waits_for_its_payment() -> None:
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, CHOSEN)
    choose = ChooseProvider(order_id=ORDER, provider="bank-transfer")
    assert when(given(Order, ORDER, PLACED), choose, others=[seats]) == [TO_TRANSFER]
    assert when(given(Order, ORDER, PLACED, TO_TRANSFER), choose, others=[seats]) == []
    with pytest.raises(OrderNotPayable):
        when(given(Order, ORDER, PLACED, EXPIRED), choose, others=[seats])


def test_a_placed_order_is_refused() -> None:
    assert when(given(Order, ORDER, PLACED), RefuseOrder(order_id=ORDER, reason="sold-out")) == [REFUSED]


def test_an_order_is_to_be_paid_by_the_terms_of_its_conference() -> None:
    terms = PaymentTermsChanged(conference_id=CONFERENCE, terms=PaymentTerms(2, Unit.DAYS, grace=60))
    (placed,) = when(
        Order(ORDER), place(Line("standard", 1)), others=[CUSTOMER, given(ConferenceSeats, CONFERENCE, *ON_SALE, terms)]
    )
    assert isinstance(placed, OrderPlaced)
    assert (placed.expires_at, placed.grace) == (datetime(2030, 1, 3, 23, 59, 59, tzinfo=UTC), 60)


def test_nothing_can_be_ordered_after_the_last_day_of_payment() -> None:
    over = PaymentTerms(last_day=NOON.date() - timedelta(days=1))
    terms = PaymentTermsChanged(conference_id=CONFERENCE, terms=over)
    with pytest.raises(PaymentPeriodOver):
        when(
            Order(ORDER),
            place(Line("standard", 1)),
            others=[CUSTOMER, given(ConferenceSeats, CONFERENCE, *ON_SALE, terms)],
        )


def test_an_order_is_extended_while_it_waits_for_its_payment() -> None:
    order = given(Order, ORDER, PLACED)
    assert when(order, extend(LATER)) == [EXTENDED]
    assert order.expires_at == LATER
    assert when(given(Order, ORDER, PLACED, EXTENDED), extend(LATER)) == []
    for before in ((CONFIRMED,), (EXPIRED,), (CANCELLED,)):
        with pytest.raises(OrderNotExtendable):
            when(given(Order, ORDER, PLACED, *before), extend(LATER))
    with pytest.raises(DeadlinePassed):
        when(given(Order, ORDER, PLACED), extend(NOON))
    with pytest.raises(ReasonNeeded):
        when(given(Order, ORDER, PLACED), extend(LATER, reason=" "))


@pytest.mark.parametrize("deadline", [None, PLACED.expires_at])
def test_a_timer_that_was_set_before_the_order_was_extended_expires_nothing(deadline: datetime | None) -> None:
    extended = given(Order, ORDER, PLACED, EXTENDED)
    with pytest.raises(OrderNotDue):
        when(extended, ExpireOrder(order_id=ORDER, deadline=deadline))
    assert when(extended, ExpireOrder(order_id=ORDER, deadline=LATER)) == [EXPIRED]


def follow(*, pending: bool, since: datetime = NOON, until: datetime = LATER) -> FollowPayment:
    return FollowPayment(order_id=ORDER, since=since, until=until, pending=pending)


def moved(until: datetime) -> DeadlineMoved:
    return DeadlineMoved(order_id=ORDER, expires_at=until)


def test_an_order_is_kept_for_a_pending_payment_and_as_long_as_a_new_one_after_it_is_declined() -> None:
    assert when(given(Order, ORDER, PLACED), follow(pending=True), others=[SEATS]) == [moved(LATER)]
    later = NOON + timedelta(hours=1)
    declined = given(Order, ORDER, PLACED, moved(LATER))
    assert when(declined, follow(pending=False, since=later), others=[SEATS]) == [moved(later + timedelta(minutes=15))]


def test_what_was_promised_to_the_customer_is_no_shorter_for_a_payment_that_was_declined() -> None:
    tomorrow = NOON + timedelta(days=1)
    order = given(Order, ORDER, PLACED, EXTENDED)
    assert when(order, follow(pending=True, until=tomorrow), others=[SEATS]) == []
    assert when(order, follow(pending=False, until=tomorrow), others=[SEATS]) == []


def test_a_pending_payment_keeps_no_order_beyond_the_last_day() -> None:
    terms = PaymentTermsChanged(conference_id=CONFERENCE, terms=PaymentTerms(last_day=NOON.date()))
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, terms)
    end = datetime(2030, 1, 1, 23, 59, 59, tzinfo=UTC)
    assert when(given(Order, ORDER, PLACED), follow(pending=True), others=[seats]) == [moved(end)]


@pytest.mark.parametrize("ended", [(REFUSED,), (EXPIRED,), (CANCELLED,)])
def test_an_order_that_ended_is_reopened_at_its_prices_by_the_terms_of_now(ended: Happened) -> None:
    order = given(Order, ORDER, PLACED, *ended)
    assert when(order, REOPEN, now=LATER, others=[SEATS]) == [
        OrderReopened(
            order_id=ORDER,
            reason="By mistake.",
            due=PLACED.total,
            expires_at=LATER + timedelta(minutes=15),
            grace=0,
        )
    ]
    assert when(order, credit("398.00"))[-1] == CONFIRMED


def test_an_order_is_reopened_until_a_time_that_is_said() -> None:
    order = given(Order, ORDER, PLACED, EXPIRED)
    (reopened,) = when(order, msgspec.structs.replace(REOPEN, expires_at=LATER), others=[SEATS])
    assert isinstance(reopened, OrderReopened)
    assert reopened.expires_at == order.expires_at == LATER
    with pytest.raises(DeadlinePassed):
        when(given(Order, ORDER, PLACED, EXPIRED), msgspec.structs.replace(REOPEN, expires_at=NOON), others=[SEATS])


def test_an_order_is_not_reopened_while_it_goes_on_or_its_money_is_on_its_way_back() -> None:
    for before in ((), (CONFIRMED,)):
        with pytest.raises(OrderNotReopenable):
            when(given(Order, ORDER, PLACED, *before), REOPEN, others=[SEATS])
    returning = given(Order, ORDER, PLACED, credited("398.00", "0.00"), CONFIRMED, CANCELLED)
    with pytest.raises(MoneyGoingBack):
        when(returning, REOPEN, others=[SEATS])
    returning.evolve(RefundDebited(order_id=ORDER, refund_id=PAYMENT, amount=PLACED.total, due=PLACED.total))
    assert when(returning, REOPEN, others=[SEATS])


def test_an_order_is_not_reopened_where_its_seats_are_gone() -> None:
    taken = SeatsReserved(
        conference_id=CONFERENCE,
        order_id=ANOTHER_ORDER,
        lines=(PricedLine("standard", 9, STANDARD.price),),
        total=STANDARD.price * 9,
    )
    order = given(Order, ORDER, PLACED, EXPIRED)
    with pytest.raises(NotEnoughSeats):
        when(order, REOPEN, others=[given(ConferenceSeats, CONFERENCE, *ON_SALE, taken)])
    off = ConferenceCancelled(conference_id=CONFERENCE, reason="Too few came.")
    with pytest.raises(ConferenceIsCancelled):
        when(order, REOPEN, others=[given(ConferenceSeats, CONFERENCE, *ON_SALE, off)])


def test_a_placed_order_is_confirmed() -> None:
    assert when(given(Order, ORDER, PLACED), ConfirmOrder(order_id=ORDER)) == [CONFIRMED]


def test_a_placed_order_expires() -> None:
    assert when(given(Order, ORDER, PLACED), ExpireOrder(order_id=ORDER)) == [EXPIRED]


@pytest.mark.parametrize("before", [(), (CONFIRMED,)])
def test_a_placed_or_confirmed_order_is_cancelled(before: Happened) -> None:
    order = given(Order, ORDER, PLACED, *before)
    assert when(order, CancelOrder(order_id=ORDER, reason="ill"), others=[SEATS]) == [CANCELLED]


def test_nobody_need_say_why_they_cancel() -> None:
    recorded = when(given(Order, ORDER, PLACED), CancelOrder(order_id=ORDER))

    assert recorded == [OrderCancelled(order_id=ORDER, reason="", fee=euros("0.00"))]


PAID = (credited("398.00", "0.00"), CONFIRMED)


def cancellation(*events: Event) -> list[Aggregate]:
    return [given(ConferenceSeats, CONFERENCE, *ON_SALE, *events)]


def ruled(**rule: Any) -> list[Aggregate]:
    return cancellation(CancellationRuleChanged(conference_id=CONFERENCE, rule=CancellationRule(**rule)))


def fee_of(recorded: list[Event]) -> Money | None:
    (cancelled,) = recorded
    assert isinstance(cancelled, OrderCancelled)
    return cancelled.fee


@pytest.mark.parametrize(
    ("rule", "fee"),
    [
        ({}, "0.00"),
        ({"fixed": euros("5.00")}, "5.00"),
        ({"percent": 10}, "39.80"),
        ({"per_seat": euros("7.50")}, "15.00"),
        ({"fixed": euros("5.00"), "percent": 10, "per_seat": euros("7.50")}, "59.80"),
        ({"fixed": euros("1000.00")}, "398.00"),
        ({"percent": 100, "per_seat": euros("1.00")}, "398.00"),
    ],
)
def test_a_confirmed_order_that_is_cancelled_costs_what_the_rule_says_and_no_more_than_was_paid(
    rule: dict[str, Any], fee: str
) -> None:
    assert fee_of(when(given(Order, ORDER, PLACED, *PAID), CANCEL, others=ruled(**rule))) == euros(fee)


@pytest.mark.parametrize("keep", [None, euros("398.01")])
def test_of_an_order_that_was_paid_twice_no_more_is_kept_than_it_costs(keep: Money | None) -> None:
    twice = given(Order, ORDER, PLACED, *PAID, credited("398.00", "-398.00"))
    if keep is None:
        assert fee_of(when(twice, CANCEL, others=ruled(fixed=euros("500.00")))) == euros("398.00")
    else:
        with pytest.raises(FeeTooHigh):
            when(twice, msgspec.structs.replace(CANCEL, keep=keep), others=ruled())


def test_seats_that_cost_nothing_cost_nothing_when_they_are_cancelled() -> None:
    one_is_free = msgspec.structs.replace(
        PLACED,
        lines=(PricedLine("standard", 1, STANDARD.price), PricedLine("speaker", 3, euros("0.00"))),
        total=STANDARD.price,
    )
    per_seat = ruled(per_seat=euros("10.00"))
    assert fee_of(when(given(Order, ORDER, one_is_free, *PAID), CANCEL, others=per_seat)) == euros("10.00")
    all_free = msgspec.structs.replace(PLACED, total=euros("0.00"), lines=(PricedLine("speaker", 3, euros("0.00")),))
    dear = ruled(fixed=euros("10.00"), per_seat=euros("10.00"))
    assert fee_of(when(given(Order, ORDER, all_free, CONFIRMED), CANCEL, others=dear)) == euros("0.00")


def test_an_order_that_is_not_confirmed_can_be_cancelled_at_any_time_and_costs_nothing() -> None:
    never = ruled(until=CancellableUntil.NEVER, fixed=euros("5.00"))
    part = given(Order, ORDER, PLACED, credited("100.00", "298.00"))
    assert fee_of(when(part, CANCEL, now=LATER, others=never)) == euros("0.00")


START = SCHEDULED.starts_at


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ({}, START),
        ({"hours": 24}, START - timedelta(days=1)),
        ({"until": CancellableUntil.MOMENT, "moment": NOON}, NOON),
    ],
)
def test_a_customer_who_comes_too_late_cannot_cancel(rule: dict[str, Any], end: datetime) -> None:
    assert when(given(Order, ORDER, PLACED, *PAID), CANCEL, now=end - timedelta(seconds=1), others=ruled(**rule))
    with pytest.raises(CancellationClosed):
        when(given(Order, ORDER, PLACED, *PAID), CANCEL, now=end, others=ruled(**rule))


def test_customers_cancel_never_or_always_where_the_rule_says_so() -> None:
    with pytest.raises(CancellationClosed):
        when(given(Order, ORDER, PLACED, *PAID), CANCEL, others=ruled(until=CancellableUntil.NEVER))
    in_ten_years = START + timedelta(days=3653)
    assert when(
        given(Order, ORDER, PLACED, *PAID), CANCEL, now=in_ten_years, others=ruled(until=CancellableUntil.ALWAYS)
    )


def test_nobody_pays_for_giving_up_seats_of_a_conference_that_is_cancelled() -> None:
    rule = CancellationRule(until=CancellableUntil.NEVER, fixed=euros("5.00"))
    off = cancellation(
        CancellationRuleChanged(conference_id=CONFERENCE, rule=rule),
        ConferenceCancelled(conference_id=CONFERENCE, reason="Too few came."),
    )
    assert fee_of(when(given(Order, ORDER, PLACED, *PAID), CANCEL, others=off)) == euros("0.00")


def test_staff_cancel_at_any_time_and_say_what_is_kept() -> None:
    never = ruled(until=CancellableUntil.NEVER, fixed=euros("5.00"))

    def keep(amount: str, currency: str = "EUR") -> list[Event]:
        kept = Money(Decimal(amount), currency)
        command = msgspec.structs.replace(CANCEL, keep=kept)
        return when(given(Order, ORDER, PLACED, *PAID), command, now=START + timedelta(days=9), others=never)

    assert fee_of(keep("0.00")) == euros("0.00")
    assert fee_of(keep("398.00")) == euros("398.00")
    for amount in ("-0.01", "398.01"):
        with pytest.raises(FeeTooHigh):
            keep(amount)
    with pytest.raises(MixedCurrencies):
        keep("1.00", "USD")


@pytest.mark.parametrize(("under_way", "fee"), [("0.00", "119.40"), ("300.00", "98.00"), ("398.00", "0.00")])
def test_no_more_is_kept_than_is_held_and_not_on_its_way_back(under_way: str, fee: str) -> None:
    account = Account(account_id_of(ORDER))
    named: dict[str, Any] = {"account_id": account.id, "provider": "sandbox", "reference": "tx-1"}
    booked = BookPayment(**named, order_id=ORDER, payment_id=PAYMENT, amount=PLACED.total)
    when(account, booked)
    if Decimal(under_way):
        when(account, RequestRefund(**named, amount=euros(under_way), reason="As a favour."))
    others = [*ruled(percent=30), account]
    assert fee_of(when(given(Order, ORDER, PLACED, *PAID), CANCEL, others=others)) == euros(fee)
    staff_keep = msgspec.structs.replace(CANCEL, keep=euros("398.00") - euros(under_way))
    assert fee_of(when(given(Order, ORDER, PLACED, *PAID), staff_keep, others=others)) == staff_keep.keep
    too_much = msgspec.structs.replace(CANCEL, keep=euros("398.01") - euros(under_way))
    with pytest.raises(FeeTooHigh):
        when(given(Order, ORDER, PLACED, *PAID), too_much, others=others)


def refunding(came: str, under_way: str) -> Account:
    """The account of the order, of which money is on its way back."""
    account = Account(account_id_of(ORDER))
    named: dict[str, Any] = {"account_id": account.id, "provider": "sandbox", "reference": "tx-1"}
    when(account, BookPayment(**named, order_id=ORDER, payment_id=PAYMENT, amount=euros(came)))
    when(account, RequestRefund(**named, amount=euros(under_way), reason="As a favour."))
    return account


def test_what_is_on_its_way_back_does_not_pay_for_an_unpaid_order() -> None:
    part = credited("300.00", "98.00")
    account = refunding("300.00", "300.00")
    rest = CreditPayment(
        order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-2", amount=euros("98.00")
    )
    named: dict[str, Any] = {"account_id": account.id, "provider": "sandbox", "reference": "tx-2"}
    when(account, BookPayment(**named, order_id=ORDER, payment_id=PAYMENT, amount=euros("98.00")))
    order = given(Order, ORDER, PLACED, part)
    *_, underpaid = when(order, rest, others=[account])
    assert underpaid == OrderUnderpaid(order_id=ORDER, due=euros("300.00"))
    order.forget_changes()
    assert when(order, ReviewPayment(order_id=ORDER), others=[account]) == []
    (refund_id,) = account.refunds
    when(account, FailRefund(account_id=account.id, refund_id=refund_id, reason="no"))
    assert when(order, ReviewPayment(order_id=ORDER, reopened=1), others=[account]) == []
    assert when(order, ReviewPayment(order_id=ORDER), others=[account]) == [CONFIRMED]


def test_what_is_on_its_way_back_is_asked_for_by_another_provider_too() -> None:
    choose = ChooseProvider(order_id=ORDER, provider="bank-transfer")
    others = [given(ConferenceSeats, CONFERENCE, *ON_SALE, CHOSEN), refunding("398.00", "300.00")]
    (chosen,) = when(given(Order, ORDER, PLACED, credited("398.00", "0.00")), choose, others=others)
    assert chosen == ProviderChosen(order_id=ORDER, provider="bank-transfer", due=euros("300.00"))


def test_what_is_on_its_way_back_does_not_lessen_what_an_order_owes_that_comes_to_cost_more() -> None:
    (line,) = (each for each in PLACED.lines if each.seat_type == "standard")
    dearer = (msgspec.structs.replace(line, quantity=line.quantity + 2),)
    asked = QuantityChangeRequested(order_id=ORDER, change=1, lines=dearer)
    order = given(Order, ORDER, PLACED, credited("300.00", "98.00"), asked)
    (changed,) = when(order, ConcludeChange(order_id=ORDER, change=1), others=[refunding("300.00", "250.00")])
    assert isinstance(changed, QuantitiesChanged)
    assert changed.due == total(dearer) - euros("50.00")


def test_a_fee_that_was_kept_counts_when_the_order_is_reopened() -> None:
    kept = (*PAID, msgspec.structs.replace(CANCELLED, fee=euros("98.00")))
    with pytest.raises(MoneyGoingBack):
        when(given(Order, ORDER, PLACED, *kept), REOPEN, others=[SEATS])
    back = RefundDebited(order_id=ORDER, refund_id=PAYMENT, amount=euros("300.00"), due=euros("300.00"))
    order = given(Order, ORDER, PLACED, *kept, back)
    (reopened,) = when(order, REOPEN, others=[SEATS])
    assert isinstance(reopened, OrderReopened)
    assert (reopened.due, order.fee) == (euros("300.00"), euros("0.00"))


def test_an_order_is_not_reopened_while_a_fee_that_was_kept_is_on_its_way_back() -> None:
    before = (PLACED, *PAID, msgspec.structs.replace(CANCELLED, fee=euros("398.00")))
    with pytest.raises(MoneyGoingBack):
        when(given(Order, ORDER, *before), REOPEN, others=[SEATS, refunding("398.00", "0.01")])
    assert when(given(Order, ORDER, *before), REOPEN, others=[SEATS])


def test_money_that_went_back_and_came_back_is_held_again() -> None:
    back = RefundDebited(order_id=ORDER, refund_id=PAYMENT, amount=PLACED.total, due=euros("0.00"))
    order = given(Order, ORDER, PLACED, *PAID, CANCELLED, back)
    again = RecreditRefund(order_id=ORDER, refund_id=PAYMENT, amount=euros("300.00"))
    assert when(order, again) == [
        RefundRecredited(order_id=ORDER, refund_id=PAYMENT, amount=euros("300.00"), due=euros("98.00"))
    ]
    assert (order.held, order.due) == (euros("300.00"), euros("98.00"))
    with pytest.raises(MoneyGoingBack):
        when(order, REOPEN, others=[SEATS])


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (RefuseOrder(order_id=ORDER, reason="sold-out"), OrderNotRefusable),
        (ConfirmOrder(order_id=ORDER), OrderNotPayable),
        (ExpireOrder(order_id=ORDER), OrderNotExpirable),
    ],
)
@pytest.mark.parametrize("before", [(REFUSED,), (CONFIRMED,), (EXPIRED,), (CANCELLED,), (CONFIRMED, CANCELLED)])
def test_an_order_that_is_no_longer_placed_is_not_refused_confirmed_or_expired(
    before: Happened, command: RefuseOrder | ConfirmOrder | ExpireOrder, refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        when(given(Order, ORDER, PLACED, *before), command)


@pytest.mark.parametrize("before", [(REFUSED,), (EXPIRED,), (CANCELLED,)])
def test_an_order_that_came_to_nothing_is_not_cancelled(before: Happened) -> None:
    with pytest.raises(OrderNotCancellable):
        when(given(Order, ORDER, PLACED, *before), CancelOrder(order_id=ORDER))


@pytest.mark.parametrize("before", [(), (REFUSED,), (CONFIRMED,), (EXPIRED,), (CANCELLED,)])
def test_a_customer_may_ask_how_an_order_stands_whatever_has_become_of_it(before: Happened) -> None:
    recorded = when(given(Order, ORDER, PLACED, *before), RequestStatusMail(order_id=ORDER, pause=300))

    assert recorded == [OrderStatusMailRequested(order_id=ORDER, customer_id=ADA, requested_at=NOON)]


@pytest.mark.parametrize(("seconds", "left"), [(0, 300), (1, 299), (299.5, 0.5), (-60, 360)])
def test_asking_again_too_soon_is_refused_and_says_when_it_is_not(seconds: float, left: float) -> None:
    asked = OrderStatusMailRequested(order_id=ORDER, customer_id=ADA, requested_at=NOON)

    with pytest.raises(StatusMailTooSoon) as refused:
        when(
            given(Order, ORDER, PLACED, asked),
            RequestStatusMail(order_id=ORDER, pause=300),
            now=NOON + timedelta(seconds=seconds),
        )

    assert refused.value.wait == timedelta(seconds=left)


@pytest.mark.parametrize(("asked_at", "pause", "seconds"), [(NOON, 300, 300), (NOON, 0, 0), (None, 300, 0)])
def test_asking_again_after_the_pause_is_another_mail(asked_at: datetime | None, pause: int, seconds: int) -> None:
    asked = OrderStatusMailRequested(order_id=ORDER, customer_id=ADA, requested_at=asked_at)
    now = NOON + timedelta(seconds=seconds)

    recorded = when(given(Order, ORDER, PLACED, asked), RequestStatusMail(order_id=ORDER, pause=pause), now=now)

    assert recorded == [OrderStatusMailRequested(order_id=ORDER, customer_id=ADA, requested_at=now)]


def test_asking_how_an_order_stands_changes_nothing_about_it() -> None:
    asked = OrderStatusMailRequested(order_id=ORDER, customer_id=ADA)

    assert when(given(Order, ORDER, PLACED, asked), ConfirmOrder(order_id=ORDER)) == [CONFIRMED]


def test_an_order_that_is_not_there_cannot_be_confirmed() -> None:
    with pytest.raises(StreamNotFound):
        when(Order(ORDER), ConfirmOrder(order_id=ORDER))


@pytest.mark.parametrize(("amount", "due"), [("398.00", "0.00"), ("400.00", "-2.00")])
def test_an_order_is_confirmed_in_the_decision_that_credits_all_it_costs(amount: str, due: str) -> None:
    assert when(given(Order, ORDER, PLACED), credit(amount)) == [credited(amount, due), CONFIRMED]


def test_money_from_before_an_order_was_reopened_does_not_confirm_it_before_it_has_seats() -> None:
    again = OrderReopened(order_id=ORDER, reason="By mistake.", due=PLACED.total, expires_at=PLACED.expires_at, grace=0)
    happened = PLACED, CANCELLED, again
    assert when(given(Order, ORDER, *happened), credit("398.00", reopened=0)) == [credited("398.00", "0.00")]
    assert when(given(Order, ORDER, *happened), credit("100.00", reopened=0)) == [credited("100.00", "298.00")]
    assert when(given(Order, ORDER, *happened), credit("398.00", reopened=1))[-1] == CONFIRMED
    with pytest.raises(OrderNotPayable):
        when(given(Order, ORDER, *happened), ConfirmOrder(order_id=ORDER, reopened=0))
    for seen in (1, None):
        assert when(given(Order, ORDER, *happened), ConfirmOrder(order_id=ORDER, reopened=seen)) == [CONFIRMED]


def test_an_order_that_is_paid_in_part_says_what_is_still_due_until_it_is_paid() -> None:
    part = (credited("100.00", "298.00"), underpaid("298.00"))
    assert when(given(Order, ORDER, PLACED), credit("100.00")) == [*part]
    assert when(given(Order, ORDER, PLACED, *part), credit("298.00")) == [credited("298.00", "0.00"), CONFIRMED]


def test_money_of_another_currency_is_kept_in_mind_and_does_not_count() -> None:
    order = given(Order, ORDER, PLACED)
    assert when(order, credit("398.00", "USD")) == [credited("398.00", "398.00", "USD")]
    assert order.due == PLACED.total


@pytest.mark.parametrize("before", [(REFUSED,), (EXPIRED,), (CANCELLED,), (CONFIRMED, CANCELLED)])
def test_money_for_an_order_that_has_ended_is_credited_and_confirms_nothing(before: Happened) -> None:
    order = given(Order, ORDER, PLACED, *before)
    (recorded,) = when(order, credit("398.00"))
    assert isinstance(recorded, PaymentCredited)
    assert order.status not in {Status.CONFIRMED, Status.PLACED}


def test_a_refund_changes_what_is_owed_and_never_undoes_the_order() -> None:
    twice = (credited("398.00", "0.00"), CONFIRMED, credited("398.00", "-398.00"))
    order = given(Order, ORDER, PLACED, *twice)
    debit = DebitRefund(order_id=ORDER, refund_id=PAYMENT, amount=PLACED.total)
    assert when(order, debit) == [
        RefundDebited(order_id=ORDER, refund_id=PAYMENT, amount=PLACED.total, due=euros("0.00"))
    ]
    assert order.status is Status.CONFIRMED


def test_an_order_that_expired_is_taken_up_again_once_it_is_paid() -> None:
    take_up = TakeUpOrder(order_id=ORDER)
    paid = given(Order, ORDER, PLACED, EXPIRED, credited("398.00", "0.00"))
    assert when(paid, take_up) == [OrderTakenUp(order_id=ORDER), CONFIRMED]
    for before in ((EXPIRED,), (CANCELLED, credited("398.00", "0.00")), (credited("398.00", "0.00"), CONFIRMED)):
        with pytest.raises(OrderNotTakenUp):
            when(given(Order, ORDER, PLACED, *before), take_up)


def test_an_order_that_was_confirmed_before_finance_kept_books_has_paid() -> None:
    order = given(Order, ORDER, PLACED, CONFIRMED)
    assert order.due == euros("0.00")
    assert when(order, credit("398.00")) == [credited("398.00", "-398.00")]


def test_what_is_brought_forward_is_not_counted_twice() -> None:
    order = given(Order, ORDER, PLACED, CONFIRMED, CANCELLED)
    assert when(order, credit("398.00", brought_forward=True)) == [credited("398.00", "0.00", brought_forward=True)]
    assert order.due == euros("0.00")


def test_only_an_order_that_waits_for_money_is_reminded_of() -> None:
    remind = RequestReminder(order_id=ORDER)
    assert when(given(Order, ORDER, PLACED), remind) == [OrderReminderRequested(order_id=ORDER)]
    for ended in (CONFIRMED, EXPIRED, CANCELLED):
        assert when(given(Order, ORDER, PLACED, ended), remind) == []
