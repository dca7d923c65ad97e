import pytest
from django.conf import settings

from eventstore.context import new_id
from eventstore.events import Event
from ordering.domain.conference import (
    Line,
    PricedLine,
    ReleaseSeats,
    ReserveSeats,
    SeatsRefused,
    SeatsReserved,
    SellSeats,
)
from ordering.domain.order import (
    ConfirmOrder,
    ExpireOrder,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderRefused,
    RefuseOrder,
)
from ordering.domain.payment import PaymentAccepted, PaymentDeclined, RefundPayment, RequestPayment
from ordering.domain.values import payment_id_of
from ordering.processes.sale import PAYMENT_TIMER, Sale
from sagas.refusal import CommandRefused
from sagas.steps import At, Cancel, End, Send
from sagas.testing import tell

from .samples import CONFERENCE, ORDER, PLACED, STANDARD, euros

PAYMENT = payment_id_of(ORDER)
RESERVED = SeatsReserved(
    conference_id=CONFERENCE,
    order_id=ORDER,
    lines=(PricedLine("standard", 2, STANDARD.price),),
    total=PLACED.total,
)
SOLD_OUT = SeatsRefused(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),), reason="sold-out")
PAID = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PLACED.total, reference="REF")
CONFIRMED = OrderConfirmed(order_id=ORDER)
REFUSED = OrderRefused(order_id=ORDER, reason="sold-out")
EXPIRED = OrderExpired(order_id=ORDER)
CANCELLED = OrderCancelled(order_id=ORDER, reason="ill")
ENDED = pytest.mark.parametrize("ended", [EXPIRED, CANCELLED])

NO_LONGER_WAITED_FOR = Cancel(PAYMENT_TIMER)
GIVE_SEATS_BACK = Send(ReleaseSeats(conference_id=CONFERENCE, order_id=ORDER))


def refusal(command: str, saga: str = "sale") -> CommandRefused:
    return CommandRefused(
        saga=saga, key=str(ORDER), command_id=new_id(), command=command, code="order-not-payable", detail="No."
    )


def refund(reason: str) -> Send:
    return Send(RefundPayment(payment_id=PAYMENT, reason=reason))


def test_an_order_reserves_its_seats_at_its_prices_and_is_given_a_time_to_be_paid() -> None:
    lines, prices = (Line("standard", 2),), {"standard": STANDARD.price}
    assert tell(Sale, PLACED).last == [
        Send(ReserveSeats(conference_id=CONFERENCE, order_id=ORDER, lines=lines, prices=prices)),
        At(PLACED.expires_at, ExpireOrder(order_id=ORDER), name=PAYMENT_TIMER),
    ]


def test_a_payment_is_asked_for_once_the_seats_are_reserved() -> None:
    asked = RequestPayment(payment_id=PAYMENT, order_id=ORDER, amount=PLACED.total, provider=settings.PAYMENT_PROVIDER)
    assert tell(Sale, PLACED, RESERVED).last == [Send(asked)]


@ENDED
def test_seats_that_are_reserved_after_the_order_has_ended_are_given_back(ended: Event) -> None:
    assert tell(Sale, PLACED, ended, RESERVED).last == [GIVE_SEATS_BACK]


def test_an_order_that_gets_no_seats_is_refused() -> None:
    assert tell(Sale, PLACED, SOLD_OUT).last == [Send(RefuseOrder(order_id=ORDER, reason="sold-out"))]


def test_a_payment_confirms_the_order() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID).last == [Send(ConfirmOrder(order_id=ORDER))]


def test_a_declined_payment_changes_nothing() -> None:
    declined = PaymentDeclined(payment_id=PAYMENT, order_id=ORDER, reason="No.")
    assert tell(Sale, PLACED, RESERVED, declined, PAID).last == [Send(ConfirmOrder(order_id=ORDER))]


@pytest.mark.parametrize("amount", ["397.99", "398.01"])
def test_a_payment_of_another_amount_is_sent_back(amount: str) -> None:
    paid = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=euros(amount), reference="REF")
    assert tell(Sale, PLACED, RESERVED, paid).last == [refund("The payment was not what the order costs.")]


@ENDED
def test_a_payment_for_an_order_that_has_ended_is_sent_back(ended: Event) -> None:
    assert tell(Sale, PLACED, RESERVED, ended, PAID).last == [refund("The order had ended when the payment arrived.")]


def test_the_seats_of_a_confirmed_order_are_sold_and_its_time_to_be_paid_is_over() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED).last == [
        NO_LONGER_WAITED_FOR,
        Send(SellSeats(conference_id=CONFERENCE, order_id=ORDER)),
    ]


def test_a_refused_order_is_the_end() -> None:
    told = tell(Sale, PLACED, SOLD_OUT, REFUSED)
    assert told.last == [NO_LONGER_WAITED_FOR, End()]
    assert told.ended
    assert tell(Sale, PLACED, SOLD_OUT, REFUSED, PAID).last == []


@ENDED
def test_an_order_that_ends_unpaid_gives_its_seats_back(ended: Event) -> None:
    assert tell(Sale, PLACED, RESERVED, ended).last == [NO_LONGER_WAITED_FOR, GIVE_SEATS_BACK]


def test_a_paid_order_that_is_cancelled_gives_back_seats_and_money() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, CANCELLED).last == [
        NO_LONGER_WAITED_FOR,
        GIVE_SEATS_BACK,
        refund("The order was cancelled."),
    ]


def test_the_money_goes_back_when_the_order_ended_just_before_it_could_be_confirmed() -> None:
    told = tell(Sale, PLACED, RESERVED, PAID, EXPIRED, refusal(ConfirmOrder.stored))
    assert told.last == [refund("The order had ended when the payment arrived.")]


def test_any_other_command_may_be_refused_without_consequences() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, CONFIRMED, refusal(ExpireOrder.stored)).last == []


def test_what_another_saga_is_refused_is_not_its_business() -> None:
    assert tell(Sale, PLACED, RESERVED, PAID, EXPIRED, refusal(ConfirmOrder.stored, saga="resale")).last == []


def test_an_order_that_it_has_not_heard_of_is_not_its_business() -> None:
    assert tell(Sale, RESERVED, PAID, CONFIRMED).steps == [[], [], []]


def test_it_remembers_what_it_needs() -> None:
    state = tell(Sale, PLACED, RESERVED, PAID, CANCELLED).state
    assert (state.order_id, state.conference_id, state.total) == (ORDER, CONFERENCE, PLACED.total)
    assert (state.paid, state.closed) == (True, True)
