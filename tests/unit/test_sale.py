from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.conf import settings
from django.test import override_settings

from eventstore.aggregates import Command
from eventstore.context import new_id
from eventstore.events import Event
from eventstore.testing import NOON, recorded
from ordering import conf
from ordering.domain.finance import (
    BringForward,
    PaymentMovedIn,
    PaymentReceived,
    RefundReversed,
    RefundSettled,
    RequestRefund,
    ReturnEverything,
    account_id_of,
)
from ordering.domain.order import (
    ConfirmOrder,
    CreditPayment,
    DeadlineMoved,
    DebitRefund,
    ExpireOrder,
    ExtendOrder,
    FollowPayment,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderExtended,
    OrderRefused,
    OrderReopened,
    OrderTakenUp,
    OrderUnderpaid,
    PaymentCredited,
    ProviderChosen,
    RecreditRefund,
    RefundRecredited,
    RefuseOrder,
    RequestReminder,
    ReviewPayment,
    TakeUpOrder,
)
from ordering.domain.payment import (
    PaymentAccepted,
    PaymentDeclined,
    PaymentPending,
    RequestPayment,
    further_payment_id,
)
from ordering.domain.seats import (
    Line,
    PricedLine,
    ReleaseSeats,
    ReserveSeats,
    SeatsRefused,
    SeatsReserved,
    SellSeats,
    UnpaidLimit,
)
from ordering.domain.values import Money, payment_id_of
from ordering.processes.sale import (
    CANCELLED as AS_CANCELLED,
)
from ordering.processes.sale import (
    ENDED as AS_ENDED,
)
from ordering.processes.sale import (
    NO_SEATS,
    PAYMENT_TIMER,
    PENDING_TIMER,
    REMINDER_TIMER,
    TOO_LITTLE,
    TOO_MUCH,
    WRONG_CURRENCY,
    Sale,
    SaleState,
)
from sagas.refusal import CommandRefused
from sagas.steps import At, Cancel, Send
from sagas.testing import tell

from .samples import ADA, CONFERENCE, ORDER, PLACED, STANDARD, euros

PAYMENT, ACCOUNT = payment_id_of(ORDER), account_id_of(ORDER)
RESERVED = SeatsReserved(
    conference_id=CONFERENCE,
    order_id=ORDER,
    lines=(PricedLine("standard", 2, STANDARD.price),),
    total=PLACED.total,
)
SOLD_OUT = SeatsRefused(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),), reason="sold-out")
CONFIRMED = OrderConfirmed(order_id=ORDER)
REFUSED = OrderRefused(order_id=ORDER, reason="sold-out")
EXPIRED = OrderExpired(order_id=ORDER)
CANCELLED = OrderCancelled(order_id=ORDER, reason="ill")
TAKEN_UP = OrderTakenUp(order_id=ORDER)
LATER = NOON + timedelta(days=1)
EXTENDED = OrderExtended(order_id=ORDER, expires_at=LATER, reason="She was ill.")
MOVED = DeadlineMoved(order_id=ORDER, expires_at=LATER)
REOPENED = OrderReopened(order_id=ORDER, reason="By mistake.", due=PLACED.total, expires_at=LATER, grace=0)
PENDING = PaymentPending(payment_id=PAYMENT, order_id=ORDER, reference="REF")
DECLINED = PaymentDeclined(payment_id=PAYMENT, order_id=ORDER, reason="No.")
BEFORE_FINANCE = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PLACED.total, reference="REF", provider="")
ENDED = pytest.mark.parametrize("ended", [EXPIRED, CANCELLED])

NO_LONGER_WAITED_FOR = Cancel(PAYMENT_TIMER)
RESERVE = Send(
    ReserveSeats(
        conference_id=CONFERENCE,
        order_id=ORDER,
        lines=(Line("standard", 2),),
        prices={"standard": STANDARD.price},
        customer_id=ADA,
        unpaid=conf.unpaid_limit(),
    )
)
RESERVE_AGAIN = Send(msgspec.structs.replace(RESERVE.command, unpaid=None))
GIVE_SEATS_BACK = Send(ReleaseSeats(conference_id=CONFERENCE, order_id=ORDER))
SELL = Send(SellSeats(conference_id=CONFERENCE, order_id=ORDER))
BRING_FORWARD = Send(BringForward(account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT))


def booked(amount: str = "398.00", reference: str = "REF", *, brought_forward: bool = False) -> PaymentReceived:
    return PaymentReceived(
        account_id=ACCOUNT,
        order_id=ORDER,
        payment_id=PAYMENT,
        provider="sandbox",
        reference=reference,
        amount=euros(amount),
        brought_forward=brought_forward,
    )


def credit(
    amount: str = "398.00", reference: str = "REF", *, brought_forward: bool = False, reopened: int | None = 0
) -> Send:
    return Send(
        CreditPayment(
            order_id=ORDER,
            payment_id=PAYMENT,
            provider="sandbox",
            reference=reference,
            amount=euros(amount),
            brought_forward=brought_forward,
            reopened=reopened,
        )
    )


def credited(
    amount: str = "398.00", due: str = "0.00", reference: str = "REF", currency: str = "EUR"
) -> PaymentCredited:
    return PaymentCredited(
        order_id=ORDER,
        payment_id=PAYMENT,
        provider="sandbox",
        reference=reference,
        amount=Money(Decimal(amount), currency),
        due=euros(due),
    )


def asked(payment_id: UUID, amount: str) -> Send:
    return Send(
        RequestPayment(payment_id=payment_id, order_id=ORDER, amount=euros(amount), provider=settings.PAYMENT_PROVIDER)
    )


def some_back(
    amount: str,
    reference: str = "REF",
    currency: str = "EUR",
    reason: str = TOO_MUCH,
    leaving: Money | None = None,
) -> Send:
    return Send(
        RequestRefund(
            account_id=ACCOUNT,
            provider="sandbox",
            reference=reference,
            amount=Money(Decimal(amount), currency),
            reason=reason,
            at_most=True,
            leaving=leaving,
        )
    )


def all_back(reason: str, keep: Money | None = None, *, only: tuple[str, ...] | None = None) -> Send:
    return Send(ReturnEverything(account_id=ACCOUNT, reason=reason, keep=keep, only=only))


def refusal(command: str, saga: str = "sale") -> CommandRefused:
    return CommandRefused(
        saga=saga, key=str(ORDER), command_id=new_id(), command=command, code="order-not-payable", detail="No."
    )


def expiring(deadline: datetime, grace: int = 0) -> At:
    expires = ExpireOrder(order_id=ORDER, deadline=deadline)
    return At(deadline + timedelta(minutes=grace), expires, name=PAYMENT_TIMER)


def follow(*, pending: bool) -> Send:
    bound = NOON + timedelta(hours=settings.PAYMENT_PENDING_HOURS)
    return Send(FollowPayment(order_id=ORDER, since=NOON, until=bound, pending=pending))


PAID = credited()


def test_an_order_reserves_its_seats_at_its_prices_and_is_given_a_time_to_be_paid() -> None:
    assert tell(Sale, PLACED).last == [
        RESERVE,
        expiring(PLACED.expires_at),
    ]


def test_a_payment_is_asked_for_once_the_seats_are_reserved() -> None:
    assert tell(Sale, PLACED, RESERVED).last == [asked(PAYMENT, "398.00")]


def test_the_payment_is_asked_for_by_the_provider_of_the_order() -> None:
    by_stripe = Send(RequestPayment(payment_id=PAYMENT, order_id=ORDER, amount=PLACED.total, provider="stripe"))
    assert tell(Sale, msgspec.structs.replace(PLACED, provider="stripe"), RESERVED).last == [by_stripe]


def test_what_is_due_is_asked_for_by_another_provider_once_it_is_chosen() -> None:
    chosen = ProviderChosen(order_id=ORDER, provider="bank-transfer", due=euros("98.00"))
    further = RequestPayment(
        payment_id=further_payment_id(ORDER, 1), order_id=ORDER, amount=euros("98.00"), provider="bank-transfer"
    )
    assert tell(Sale, PLACED, RESERVED, chosen).last == [Send(further)]
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, chosen).last == []
    before = msgspec.structs.replace(further, payment_id=PAYMENT, amount=PLACED.total)
    assert tell(Sale, PLACED, chosen, RESERVED).last == [Send(before)]


def test_an_order_that_costs_nothing_is_confirmed_once_the_seats_are_reserved() -> None:
    nothing = euros("0.00")
    free = msgspec.structs.replace(PLACED, total=nothing), msgspec.structs.replace(RESERVED, total=nothing)
    assert tell(Sale, *free).last == [Send(ConfirmOrder(order_id=ORDER, reopened=0))]


@ENDED
def test_seats_that_are_reserved_after_the_order_has_ended_are_given_back(ended: Event) -> None:
    assert tell(Sale, PLACED, ended, RESERVED).last == [GIVE_SEATS_BACK]


def test_an_order_that_gets_no_seats_is_refused() -> None:
    assert tell(Sale, PLACED, SOLD_OUT).last == [Send(RefuseOrder(order_id=ORDER, reason="sold-out"))]


def test_what_finance_has_booked_is_credited_to_the_order() -> None:
    assert tell(Sale, PLACED, RESERVED, booked()).last == [credit()]


def test_what_was_assigned_to_the_order_is_credited_too() -> None:
    moved = PaymentMovedIn(
        account_id=ACCOUNT,
        order_id=ORDER,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="REF",
        amount=PLACED.total,
    )
    assert tell(Sale, PLACED, RESERVED, moved).last == [credit()]


def test_money_waits_until_it_is_clear_whether_there_are_seats() -> None:
    assert tell(Sale, PLACED, booked()).last == []
    assert tell(Sale, PLACED, booked(), RESERVED).last == [asked(PAYMENT, "398.00"), credit()]
    assert tell(Sale, PLACED, booked(), SOLD_OUT).last == [
        Send(RefuseOrder(order_id=ORDER, reason="sold-out")),
        credit(),
    ]


def test_an_order_that_is_paid_needs_nothing_but_its_confirmation() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID).last == []


def test_a_declined_payment_changes_nothing() -> None:
    assert tell(Sale, PLACED, RESERVED, DECLINED).last == []
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, DECLINED).last == []


def test_too_little_is_kept_and_the_rest_is_asked_for_each_time_anew() -> None:
    first = credited("100.00", "298.00", "A"), OrderUnderpaid(order_id=ORDER, due=euros("298.00"))
    second = credited("100.00", "198.00", "B"), OrderUnderpaid(order_id=ORDER, due=euros("198.00"))
    told = tell(Sale, PLACED, RESERVED, *first, *second)
    assert [list(each) for each in told.steps[2:]] == [
        [],
        [asked(further_payment_id(ORDER, 1), "298.00")],
        [],
        [asked(further_payment_id(ORDER, 2), "198.00")],
    ]


def test_what_was_not_all_of_it_goes_back_when_the_order_expires() -> None:
    part = credited("100.00", "298.00"), OrderUnderpaid(order_id=ORDER, due=euros("298.00"))
    told = tell(Sale, PLACED, RESERVED, *part, EXPIRED)
    assert told.last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK, all_back(TOO_LITTLE, only=("sandbox/REF",))]
    rest = tell(Sale, PLACED, RESERVED, *part, EXPIRED, credited("298.00", "0.00", "REST"))
    assert rest.last == [all_back(AS_ENDED, only=("sandbox/REF", "sandbox/REST"))]


def test_what_is_too_much_goes_back_and_the_order_stays() -> None:
    assert tell(Sale, PLACED, RESERVED, credited("400.00", "-2.00")).last == [some_back("2.00", leaving=PLACED.total)]


def test_what_was_paid_twice_goes_back_once() -> None:
    twice = credited("398.00", "-398.00", "TWICE")
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, twice).last == [
        some_back("398.00", "TWICE", leaving=PLACED.total)
    ]


def test_no_more_than_a_payment_brought_is_asked_back_of_it() -> None:
    more = credited("50.00", "-448.00", "MORE")
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, more).last == [
        some_back("50.00", "MORE", leaving=PLACED.total)
    ]


def test_where_staff_decide_what_is_too_much_stays(settings: Any) -> None:
    settings.PAYMENT_EXCESS = {"sandbox": "staff"}
    assert tell(Sale, PLACED, RESERVED, credited("400.00", "-2.00")).last == []


def test_money_of_another_currency_goes_back() -> None:
    dollars = credited("398.00", "398.00", currency="USD")
    assert tell(Sale, PLACED, RESERVED, dollars).last == [some_back("398.00", currency="USD", reason=WRONG_CURRENCY)]


def test_a_late_payment_reserves_the_seats_again() -> None:
    late = tell(Sale, PLACED, RESERVED, EXPIRED, PAID)
    assert late.last == [RESERVE_AGAIN]
    assert tell(Sale, PLACED, RESERVED, EXPIRED, PAID, RESERVED).last == [Send(TakeUpOrder(order_id=ORDER))]


def test_an_order_that_is_taken_up_again_is_like_any_other() -> None:
    revived = PLACED, RESERVED, EXPIRED, PAID, RESERVED, TAKEN_UP, CONFIRMED
    assert tell(Sale, *revived).last == [NO_LONGER_WAITED_FOR, SELL]
    twice = credited("398.00", "-398.00", "TWICE")
    assert tell(Sale, *revived, twice).last == [some_back("398.00", "TWICE", leaving=PLACED.total)]
    cancelled = tell(Sale, *revived, CANCELLED)
    assert cancelled.last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK, all_back(AS_CANCELLED)]


def test_a_late_payment_goes_back_where_there_are_no_seats_any_more() -> None:
    assert tell(Sale, PLACED, RESERVED, EXPIRED, PAID, SOLD_OUT).last == [all_back(NO_SEATS, only=("sandbox/REF",))]


def test_a_late_payment_of_too_much_keeps_what_the_order_costs() -> None:
    late = tell(Sale, PLACED, RESERVED, EXPIRED, credited("400.00", "-2.00"))
    assert late.last == [RESERVE_AGAIN, some_back("2.00", leaving=PLACED.total)]
    assert late.state.kept == PLACED.total.amount


def test_money_that_is_yet_to_be_credited_when_the_order_expires_may_take_it_up_and_stays() -> None:
    part = booked(), credited("100.00", due="298.00")
    assert all_back(TOO_LITTLE, only=("sandbox/REF",)) in tell(Sale, PLACED, RESERVED, *part, EXPIRED).last
    late = *part, EXPIRED, credited("398.00", due="-100.00", reference="LATE")
    assert tell(Sale, PLACED, RESERVED, *late).last == [RESERVE_AGAIN]


def test_a_late_payment_of_too_little_goes_back() -> None:
    assert tell(Sale, PLACED, RESERVED, EXPIRED, credited("397.99", "0.01")).last == [
        all_back(AS_ENDED, only=("sandbox/REF",))
    ]


def test_late_payments_that_come_together_reserve_once() -> None:
    twice = credited("398.00", "-398.00", "TWICE")
    assert tell(Sale, PLACED, RESERVED, EXPIRED, PAID, twice).last == [
        some_back("398.00", "TWICE", leaving=PLACED.total)
    ]


def test_seats_and_money_go_back_where_the_order_cannot_be_taken_up() -> None:
    told = tell(Sale, PLACED, RESERVED, EXPIRED, PAID, RESERVED, refusal(TakeUpOrder.stored))
    assert told.last == [GIVE_SEATS_BACK, all_back(AS_ENDED, only=("sandbox/REF",))]


def test_a_payment_for_a_cancelled_or_refused_order_goes_back() -> None:
    assert tell(Sale, PLACED, RESERVED, CANCELLED, PAID).last == [all_back(AS_ENDED)]
    assert tell(Sale, PLACED, SOLD_OUT, REFUSED, PAID).last == [all_back(AS_ENDED)]


def test_the_order_is_told_of_a_pending_payment_once_and_when_it_is_declined() -> None:
    told = tell(Sale, PLACED, RESERVED, PENDING, PENDING)
    assert list(told.steps[2]) == [follow(pending=True)]
    assert told.last == []
    assert tell(Sale, PLACED, RESERVED, PENDING, DECLINED).last == [follow(pending=False)]


@pytest.mark.parametrize("moved", [EXTENDED, MOVED])
def test_the_timer_follows_the_deadline_of_the_order(moved: Event) -> None:
    assert tell(Sale, PLACED, RESERVED, moved).last == [NO_LONGER_WAITED_FOR, expiring(LATER)]
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, moved).last == []
    assert tell(Sale, PLACED, RESERVED, CANCELLED, moved).last == []


def test_an_order_is_kept_for_its_grace_beyond_its_deadline() -> None:
    placed = msgspec.structs.replace(PLACED, grace=60)
    assert tell(Sale, placed).last == [RESERVE, expiring(PLACED.expires_at, grace=60)]
    assert tell(Sale, placed, RESERVED, EXTENDED).last == [NO_LONGER_WAITED_FOR, expiring(LATER, grace=60)]


def test_whoever_moves_the_timer_extends_the_order() -> None:
    def moved(timer: At) -> Any:
        return Sale().timer_moved(timer, LATER + timedelta(hours=1), "She was ill.")

    assert moved(expiring(PLACED.expires_at, grace=60)) == ExtendOrder(
        order_id=ORDER, expires_at=LATER, reason="She was ill."
    )
    of_version_2 = At(PLACED.expires_at, ExpireOrder(order_id=ORDER), name=PENDING_TIMER)
    assert moved(of_version_2) == ExtendOrder(
        order_id=ORDER, expires_at=LATER + timedelta(hours=1), reason="She was ill."
    )
    assert moved(At(LATER, ConfirmOrder(order_id=ORDER), name="another")) is None


def test_the_timers_of_version_2_are_cancelled_when_the_order_moves_its_deadline() -> None:
    state = as_version_1_left_it(paid=False)
    state.pending_until = LATER
    assert react(state, MOVED) == [NO_LONGER_WAITED_FOR, Cancel(PENDING_TIMER), expiring(LATER)]


@pytest.mark.parametrize("ended", [(RESERVED, EXPIRED), (RESERVED, PAID, CONFIRMED, CANCELLED), (SOLD_OUT, REFUSED)])
def test_a_reopened_order_reserves_its_seats_again_and_asks_for_what_is_due(ended: tuple[Event, ...]) -> None:
    assert tell(Sale, PLACED, *ended, REOPENED).last == [RESERVE_AGAIN, expiring(LATER)]
    assert tell(Sale, PLACED, *ended, REOPENED, RESERVED).last == [asked(further_payment_id(ORDER, 1), "398.00")]
    assert tell(Sale, PLACED, *ended, REOPENED, RESERVED, credited(reference="AGAIN"), CONFIRMED).last == [
        NO_LONGER_WAITED_FOR,
        SELL,
    ]


def test_a_reopened_order_is_confirmed_if_nothing_is_due_and_refused_if_the_last_seats_are_gone() -> None:
    paid = msgspec.structs.replace(REOPENED, due=euros("0.00"))
    assert tell(Sale, PLACED, RESERVED, EXPIRED, paid, RESERVED).last == [
        Send(ReviewPayment(order_id=ORDER, reopened=1))
    ]
    assert tell(Sale, PLACED, RESERVED, EXPIRED, REOPENED, SOLD_OUT).last == [
        Send(RefuseOrder(order_id=ORDER, reason="sold-out"))
    ]


def test_money_for_a_reopened_order_waits_for_its_seats() -> None:
    reopened = PLACED, RESERVED, EXPIRED, REOPENED
    assert tell(Sale, *reopened, booked()).last == []
    further = asked(further_payment_id(ORDER, 1), "398.00")
    assert tell(Sale, *reopened, booked(), RESERVED).last == [further, credit(reopened=1)]


def test_money_that_waited_before_an_order_was_reopened_is_for_the_seats_that_it_has_then() -> None:
    waited = PLACED, booked(), CANCELLED, REOPENED
    assert tell(Sale, *waited, RESERVED).last == []
    assert tell(Sale, *waited, RESERVED, RESERVED).last == [
        asked(further_payment_id(ORDER, 1), "398.00"),
        credit(reopened=1),
    ]


@pytest.mark.parametrize("overtaken", [RESERVED, SOLD_OUT])
def test_an_answer_about_the_seats_from_before_an_order_was_reopened_counts_for_nothing(overtaken: Event) -> None:
    assert tell(Sale, PLACED, CANCELLED, REOPENED, overtaken).last == []
    assert tell(Sale, PLACED, CANCELLED, REOPENED, overtaken, SOLD_OUT).last == [
        Send(RefuseOrder(order_id=ORDER, reason="sold-out"))
    ]


def test_a_reopened_order_that_is_credited_what_was_paid_before_asks_for_the_rest_once_it_has_seats() -> None:
    paid = PLACED, RESERVED, CANCELLED, REOPENED, credited("300.00", due="98.00")
    assert tell(Sale, *paid, RESERVED).last == [asked(further_payment_id(ORDER, 1), "98.00")]
    all_of_it = PLACED, RESERVED, CANCELLED, REOPENED, credited()
    assert tell(Sale, *all_of_it, RESERVED).last == [Send(ReviewPayment(order_id=ORDER, reopened=1))]


@pytest.mark.parametrize("ended", [CONFIRMED, EXPIRED, CANCELLED])
def test_what_is_pending_or_declined_when_the_order_is_settled_is_waited_for_by_nobody(ended: Event) -> None:
    told = tell(Sale, PLACED, RESERVED, ended, PENDING, DECLINED)
    assert [list(each) for each in told.steps[3:]] == [[], []]


def test_the_seats_of_a_confirmed_order_are_sold_and_its_time_to_be_paid_is_over() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED).last == [NO_LONGER_WAITED_FOR, SELL]


def test_a_refused_order_is_waited_for_no_longer() -> None:
    assert tell(Sale, PLACED, SOLD_OUT, REFUSED).last == [NO_LONGER_WAITED_FOR]


@ENDED
def test_an_order_that_ends_unpaid_gives_its_seats_back(ended: Event) -> None:
    assert tell(Sale, PLACED, RESERVED, ended).last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK]


def test_a_paid_order_that_is_cancelled_gives_back_seats_and_money() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, CANCELLED).last == [
        NO_LONGER_WAITED_FOR,
        GIVE_SEATS_BACK,
        all_back(AS_CANCELLED),
    ]


def test_the_fee_of_a_cancelled_order_stays_whatever_comes_later() -> None:
    fee = msgspec.structs.replace(CANCELLED, fee=euros("5.00"))
    told = tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, fee)
    assert told.last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK, all_back(AS_CANCELLED, keep=euros("5.00"))]
    late = credited("398.00", "-393.00", "TWICE")
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, fee, late).last == [all_back(AS_ENDED, keep=euros("5.00"))]


def test_nothing_goes_back_where_all_of_it_is_kept() -> None:
    all_of_it = msgspec.structs.replace(CANCELLED, fee=PLACED.total)
    told = tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, all_of_it)
    assert told.last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK]
    reopened = msgspec.structs.replace(REOPENED, due=euros("0.00"))
    again = tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, all_of_it, reopened, RESERVED, CONFIRMED, CANCELLED)
    assert again.last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK, all_back(AS_CANCELLED)]


def test_a_refund_that_is_settled_is_debited_to_the_order() -> None:
    settled = RefundSettled(
        account_id=ACCOUNT,
        order_id=ORDER,
        refund_id=PAYMENT,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="REF",
        amount=euros("2.00"),
        refund_reference="BACK",
        by_hand=False,
    )
    debit = DebitRefund(order_id=ORDER, refund_id=PAYMENT, amount=euros("2.00"))
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, settled).last == [Send(debit)]


def test_a_refund_that_comes_back_is_credited_to_the_order_again_and_may_be_all_that_it_lacks() -> None:
    came_back = RefundReversed(
        account_id=ACCOUNT,
        order_id=ORDER,
        refund_id=PAYMENT,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="REF",
        amount=euros("2.00"),
        reason="The account is closed.",
    )
    again = Send(RecreditRefund(order_id=ORDER, refund_id=PAYMENT, amount=euros("2.00")))
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, came_back).last == [again]
    part, all_of_it = (
        RefundRecredited(order_id=ORDER, refund_id=PAYMENT, amount=euros("2.00"), due=euros(due))
        for due in ("0.01", "0.00")
    )
    assert tell(Sale, PLACED, RESERVED, part).last == []
    assert tell(Sale, PLACED, RESERVED, all_of_it).last == [Send(ReviewPayment(order_id=ORDER, reopened=0))]
    assert tell(Sale, PLACED, RESERVED, EXPIRED, all_of_it).last == []
    waiting = tell(Sale, PLACED, RESERVED, EXPIRED, REOPENED, all_of_it, RESERVED)
    assert waiting.steps[-2:] == [[], [Send(ReviewPayment(order_id=ORDER, reopened=1))]]


@pytest.mark.parametrize("command", [ExpireOrder, RefuseOrder, FollowPayment])
def test_what_came_too_late_may_be_refused_without_consequences(command: type[Command]) -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, refusal(command.stored)).last == []
    assert Sale().answers(command.stored)


def test_a_payment_whose_id_is_taken_is_asked_for_under_another() -> None:
    def asks(number: int, amount: str) -> list[Send]:
        payment_id = further_payment_id(ORDER, number)
        return [Send(RequestPayment(payment_id=payment_id, order_id=ORDER, amount=euros(amount), provider="sandbox"))]

    vain = refusal(RequestPayment.stored)
    assert tell(Sale, PLACED, RESERVED, vain, vain).steps[-2:] == [asks(1, "398.00"), asks(2, "398.00")]
    part = credited("50.00", "348.00", "PART")
    assert tell(Sale, PLACED, RESERVED, part, vain).last == asks(1, "348.00")
    assert tell(Sale, PLACED, RESERVED, EXPIRED, vain).last == []
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, vain).last == []


def test_a_refusal_that_nothing_is_known_to_follow_from_is_left_to_staff() -> None:
    assert not Sale().answers(SellSeats.stored)
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, refusal(SellSeats.stored)).last == []


def test_what_another_saga_is_refused_is_not_its_business() -> None:
    assert tell(Sale, PLACED, RESERVED, EXPIRED, PAID, refusal(TakeUpOrder.stored, saga="resale")).last == []


def test_an_order_that_it_has_not_heard_of_is_not_its_business() -> None:
    assert tell(Sale, RESERVED, PAID, CONFIRMED).steps == [[], [], []]


def test_it_remembers_what_it_needs() -> None:
    state = tell(Sale, PLACED, RESERVED, PAID, CANCELLED).state
    assert (state.order_id, state.conference_id, state.total) == (ORDER, CONFERENCE, PLACED.total)
    assert (state.closed, state.expired, state.kept) == (True, False, Decimal(0))


def as_version_1_left_it(*, paid: bool, closed: bool = False) -> SaleState:
    return SaleState(order_id=ORDER, conference_id=CONFERENCE, total=PLACED.total, paid=paid, closed=closed)


def react(state: SaleState, event: Event) -> list[Any]:
    return list(Sale().react(state, recorded(event)))


def test_money_of_before_finance_that_it_hears_of_is_brought_forward() -> None:
    assert tell(Sale, PLACED, RESERVED, BEFORE_FINANCE).last == [BRING_FORWARD]
    now = msgspec.structs.replace(BEFORE_FINANCE, provider="sandbox")
    assert tell(Sale, PLACED, RESERVED, now).last == []
    assert tell(Sale, PLACED, RESERVED, booked(brought_forward=True)).last == [credit(brought_forward=True)]


def test_an_order_that_was_paid_under_version_1_gets_its_money_back_when_it_is_cancelled() -> None:
    state = as_version_1_left_it(paid=True)
    assert react(state, CANCELLED) == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK, BRING_FORWARD]
    assert react(state, booked(brought_forward=True)) == [credit(brought_forward=True, reopened=None)]
    assert react(state, msgspec.structs.replace(PAID, brought_forward=True)) == [all_back(AS_ENDED)]


def test_an_order_that_was_paid_under_version_1_keeps_that_when_it_is_paid_again() -> None:
    again = credited("398.00", "-398.00", "TWICE")
    assert react(as_version_1_left_it(paid=True), again) == [some_back("398.00", "TWICE")]


def test_an_order_that_expired_just_before_version_1_confirmed_it_is_paid_late() -> None:
    state = as_version_1_left_it(paid=True)
    assert react(state, EXPIRED) == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK]
    assert react(state, refusal(ConfirmOrder.stored)) == [BRING_FORWARD]


def test_an_order_that_version_1_asked_money_for_is_paid_under_version_2() -> None:
    state = as_version_1_left_it(paid=False)
    assert react(state, booked()) == [credit(reopened=None)]
    assert react(state, PAID) == []
    assert react(state, CONFIRMED) == [NO_LONGER_WAITED_FOR, SELL]


def test_a_late_payment_for_an_order_that_ended_under_version_1_goes_back() -> None:
    assert react(as_version_1_left_it(paid=False, closed=True), PAID) == [all_back(AS_ENDED)]


DAYS = msgspec.structs.replace(PLACED, expires_at=NOON + timedelta(days=3))
REMINDED_AT = DAYS.expires_at - timedelta(hours=settings.PAYMENT_REMINDER_HOURS)


def test_an_order_with_days_to_be_paid_is_reminded_of_a_day_before_they_are_over() -> None:
    assert At(REMINDED_AT, RequestReminder(order_id=ORDER), name=REMINDER_TIMER) in tell(Sale, DAYS).last


@pytest.mark.parametrize("event", [EXTENDED, REOPENED], ids=lambda event: event.stored)
def test_an_order_that_is_given_days_more_is_reminded_of_before_those_are_over(event: OrderExtended) -> None:
    days = msgspec.structs.replace(event, expires_at=DAYS.expires_at)
    assert At(REMINDED_AT, RequestReminder(order_id=ORDER), name=REMINDER_TIMER) in tell(Sale, PLACED, days).last


def test_an_order_with_less_than_twice_that_time_is_not_reminded_of() -> None:
    short = msgspec.structs.replace(PLACED, expires_at=NOON + 2 * (DAYS.expires_at - REMINDED_AT))
    shorter = msgspec.structs.replace(short, expires_at=short.expires_at - timedelta(seconds=1))

    assert REMINDER_TIMER in [getattr(step, "name", "") for step in tell(Sale, short).last]
    assert REMINDER_TIMER not in [getattr(step, "name", "") for step in tell(Sale, shorter).last]


@pytest.mark.parametrize(
    "event",
    [
        OrderConfirmed(order_id=ORDER),
        OrderExpired(order_id=ORDER),
        OrderCancelled(order_id=ORDER, reason=""),
        PaymentPending(payment_id=PAYMENT, order_id=ORDER, reference="SOON"),
    ],
    ids=lambda event: event.stored,
)
def test_nobody_is_reminded_who_has_paid_or_need_not_any_more(event: Event) -> None:
    told = tell(Sale, DAYS, RESERVED, event, event)

    assert Cancel(REMINDER_TIMER) in told.steps[2]
    assert Cancel(REMINDER_TIMER) not in told.last


def test_a_new_order_keeps_to_the_limit_of_what_is_unpaid() -> None:
    with override_settings(UNPAID_ORDERS=2, UNPAID_SEATS=0):
        reserve, *_ = tell(Sale, PLACED).last
    assert isinstance(reserve, Send)
    assert isinstance(reserve.command, ReserveSeats)
    assert reserve.command.unpaid == UnpaidLimit(orders=2)
