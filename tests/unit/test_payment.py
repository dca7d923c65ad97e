import pytest

from eventstore.errors import StreamExists, StreamNotFound
from eventstore.testing import given, when
from ordering.domain.errors import PaymentAlreadySettled, PaymentNotRefundable
from ordering.domain.payment import (
    AcceptPayment,
    DeclinePayment,
    Payment,
    PaymentAccepted,
    PaymentDeclined,
    PaymentRefunded,
    PaymentRequested,
    RefundPayment,
    RequestPayment,
)
from ordering.domain.values import payment_id_of

from .samples import ORDER, euros

PAYMENT = payment_id_of(ORDER)
PRICE = euros("398.00")

REQUESTED = PaymentRequested(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, provider="sandbox")
ACCEPTED = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-1")
DECLINED = PaymentDeclined(payment_id=PAYMENT, order_id=ORDER, reason="no funds")
REFUNDED = PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reason="too late")

ACCEPT = AcceptPayment(payment_id=PAYMENT, amount=PRICE, reference="tx-1")
ACCEPT_ANOTHER = AcceptPayment(payment_id=PAYMENT, amount=PRICE, reference="tx-2")
DECLINE = DeclinePayment(payment_id=PAYMENT, reason="no funds")
REFUND = RefundPayment(payment_id=PAYMENT, reason="too late")
REQUEST = RequestPayment(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, provider="sandbox")


def test_a_payment_is_requested() -> None:
    assert when(Payment(PAYMENT), REQUEST) == [REQUESTED]


def test_a_payment_is_requested_once() -> None:
    with pytest.raises(StreamExists):
        when(given(Payment, PAYMENT, REQUESTED), REQUEST)


def test_what_was_not_requested_cannot_be_accepted() -> None:
    with pytest.raises(StreamNotFound):
        when(Payment(PAYMENT), ACCEPT)


def test_a_requested_payment_is_accepted() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED), ACCEPT) == [ACCEPTED]


def test_a_requested_payment_is_declined() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED), DECLINE) == [DECLINED]


def test_a_payment_may_be_declined_at_every_attempt() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, DECLINED), DECLINE) == [DECLINED]


def test_a_declined_payment_may_still_be_accepted() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, DECLINED), ACCEPT) == [ACCEPTED]


def test_what_was_paid_is_recorded_even_if_it_is_not_what_was_asked_for() -> None:
    paid = euros("400.00")

    recorded = when(
        given(Payment, PAYMENT, REQUESTED), AcceptPayment(payment_id=PAYMENT, amount=paid, reference="tx-1")
    )

    assert recorded == [PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=paid, reference="tx-1")]


@pytest.mark.parametrize("after", [(), (REFUNDED,)])
def test_accepting_again_what_was_accepted_records_nothing(after: tuple[PaymentRefunded, ...]) -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, ACCEPTED, *after), ACCEPT) == []


@pytest.mark.parametrize("after", [(), (REFUNDED,)])
@pytest.mark.parametrize("command", [ACCEPT_ANOTHER, DECLINE])
def test_a_settled_payment_is_neither_paid_again_nor_declined(
    after: tuple[PaymentRefunded, ...], command: AcceptPayment | DeclinePayment
) -> None:
    with pytest.raises(PaymentAlreadySettled):
        when(given(Payment, PAYMENT, REQUESTED, ACCEPTED, *after), command)


def test_an_accepted_payment_is_refunded() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, ACCEPTED), REFUND) == [REFUNDED]


def test_what_goes_back_is_what_was_paid() -> None:
    paid = euros("400.00")
    accepted = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=paid, reference="tx-1")

    recorded = when(given(Payment, PAYMENT, REQUESTED, accepted), REFUND)

    assert recorded == [PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=paid, reason="too late")]


def test_money_goes_back_once() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, ACCEPTED, REFUNDED), REFUND) == []


@pytest.mark.parametrize("before", [(), (DECLINED,)])
def test_what_was_not_paid_cannot_be_refunded(before: tuple[PaymentDeclined, ...]) -> None:
    with pytest.raises(PaymentNotRefundable):
        when(given(Payment, PAYMENT, REQUESTED, *before), REFUND)
