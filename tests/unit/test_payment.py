import msgspec
import pytest

from eventstore.errors import StreamExists, StreamNotFound
from eventstore.testing import given, when
from ordering.domain.errors import (
    MixedCurrencies,
    OrderNotFound,
    PaymentAlreadyAssigned,
    PaymentNotRefundable,
    PaymentReferenceDiffers,
)
from ordering.domain.order import Order
from ordering.domain.payment import (
    AcceptPayment,
    AssignPayment,
    AwaitPayment,
    DeclinePayment,
    KeepUnmatched,
    Payment,
    PaymentAccepted,
    PaymentAssigned,
    PaymentDeclined,
    PaymentPending,
    PaymentRefunded,
    PaymentRequested,
    PaymentUnmatched,
    RefundPayment,
    RequestPayment,
    Status,
    unmatched_payment_id,
)
from ordering.domain.unmatched_payment import UnmatchedPayment
from ordering.domain.values import Money, payment_id_of

from .samples import ORDER, PLACED, euros

PAYMENT = payment_id_of(ORDER)
PRICE = euros("398.00")

REQUESTED = PaymentRequested(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, provider="sandbox")
ACCEPTED = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-1", provider="sandbox")
DECLINED = PaymentDeclined(payment_id=PAYMENT, order_id=ORDER, reason="no funds")
REFUNDED = PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reason="too late")

ACCEPT = AcceptPayment(payment_id=PAYMENT, amount=PRICE, reference="tx-1")
ACCEPT_ANOTHER = AcceptPayment(payment_id=PAYMENT, amount=PRICE, reference="tx-2")
DECLINE = DeclinePayment(payment_id=PAYMENT, reason="no funds")
REFUND = RefundPayment(payment_id=PAYMENT, reason="too late")
REQUEST = RequestPayment(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, provider="sandbox")


def test_a_payment_is_requested() -> None:
    assert when(Payment(PAYMENT), REQUEST) == [REQUESTED]


def test_money_may_come_through_another_provider_than_was_asked_for_it() -> None:
    transfer = AcceptPayment(payment_id=PAYMENT, amount=PRICE, reference="tx-1", provider="bank-transfer")
    arrived = PaymentAccepted(
        payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-1", provider="bank-transfer"
    )
    payment = given(Payment, PAYMENT, REQUESTED, ACCEPTED)
    assert when(payment, transfer) == [arrived]
    payment.forget_changes()
    assert when(payment, transfer) == []
    assert len(payment.receipts) == 2
    with pytest.raises(PaymentReferenceDiffers):
        when(payment, msgspec.structs.replace(transfer, amount=euros("1.00")))


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

    assert recorded == [
        PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=paid, reference="tx-1", provider="sandbox")
    ]


@pytest.mark.parametrize("after", [(), (REFUNDED,)])
def test_accepting_again_what_was_accepted_records_nothing(after: tuple[PaymentRefunded, ...]) -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, ACCEPTED, *after), ACCEPT) == []


@pytest.mark.parametrize("after", [(), (REFUNDED,)])
def test_a_payment_that_is_paid_twice_is_accepted_twice(after: tuple[PaymentRefunded, ...]) -> None:
    payment = given(Payment, PAYMENT, REQUESTED, ACCEPTED, *after)
    again = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-2", provider="sandbox")
    assert when(payment, ACCEPT_ANOTHER) == [again]
    assert payment.receipts == {"tx-1": PRICE, "tx-2": PRICE}


@pytest.mark.parametrize("other", [euros("397.99"), Money(PRICE.amount, "USD")])
def test_a_reference_stands_for_one_amount_only(other: Money) -> None:
    with pytest.raises(PaymentReferenceDiffers):
        when(
            given(Payment, PAYMENT, REQUESTED, ACCEPTED),
            AcceptPayment(payment_id=PAYMENT, amount=other, reference="tx-1"),
        )


def test_a_reference_is_claimed_over_all_payments_of_a_provider() -> None:
    payment = given(Payment, PAYMENT, REQUESTED)
    when(payment, ACCEPT)
    assert [(claim.scope, claim.value) for claim in payment.claimed] == [("payment-reference", "sandbox/tx-1")]


def test_a_payment_that_is_declined_after_it_was_accepted_stays_accepted() -> None:
    payment = given(Payment, PAYMENT, REQUESTED, ACCEPTED)
    assert when(payment, DECLINE) == [DECLINED]
    assert payment.status is Status.ACCEPTED
    assert payment.receipts == {"tx-1": PRICE}


def test_a_payment_may_be_pending_before_it_is_accepted_and_not_after() -> None:
    pending = PaymentPending(payment_id=PAYMENT, order_id=ORDER, reference="tx-1")
    payment = given(Payment, PAYMENT, REQUESTED)
    assert when(payment, AwaitPayment(payment_id=PAYMENT, reference="tx-1")) == [pending]
    assert payment.status is Status.PENDING
    assert given(Payment, PAYMENT, REQUESTED, ACCEPTED, pending).status is Status.ACCEPTED


def test_only_what_came_before_finance_and_was_not_returned_is_unbooked() -> None:
    before = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-0", provider="")
    assert given(Payment, PAYMENT, REQUESTED, before, ACCEPTED).unbooked == {"tx-0": PRICE}
    assert given(Payment, PAYMENT, REQUESTED, before, REFUNDED).unbooked == {}


UNKNOWN = unmatched_payment_id("bank", "tx-9")
UNMATCHED = PaymentUnmatched(payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE)
KEEP = KeepUnmatched(payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE)
ASSIGN = AssignPayment(payment_id=UNKNOWN, order_id=ORDER)
ASSIGNED = PaymentAssigned(payment_id=UNKNOWN, order_id=ORDER, provider="bank", reference="tx-9", amount=PRICE)


def test_money_that_nobody_knows_is_kept_once() -> None:
    assert when(UnmatchedPayment(UNKNOWN), KEEP) == [UNMATCHED]
    assert when(given(UnmatchedPayment, UNKNOWN, UNMATCHED), KEEP) == []


def test_money_that_nobody_knows_does_not_change_its_amount() -> None:
    other = KeepUnmatched(payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=euros("1.00"))
    with pytest.raises(PaymentReferenceDiffers):
        when(given(UnmatchedPayment, UNKNOWN, UNMATCHED), other)


def test_money_that_nobody_knew_is_assigned_to_an_order_once() -> None:
    order = given(Order, ORDER, PLACED)
    assert when(given(UnmatchedPayment, UNKNOWN, UNMATCHED), ASSIGN, others=[order]) == [ASSIGNED]
    with pytest.raises(PaymentAlreadyAssigned):
        when(given(UnmatchedPayment, UNKNOWN, UNMATCHED, ASSIGNED), ASSIGN, others=[order])


def test_money_is_assigned_to_an_order_that_there_is_and_in_its_currency() -> None:
    with pytest.raises(OrderNotFound):
        when(given(UnmatchedPayment, UNKNOWN, UNMATCHED), ASSIGN)
    dollars = PaymentUnmatched(payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=Money(PRICE.amount, "USD"))
    with pytest.raises(MixedCurrencies):
        when(given(UnmatchedPayment, UNKNOWN, dollars), ASSIGN, others=[given(Order, ORDER, PLACED)])


def test_an_accepted_payment_is_refunded() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, ACCEPTED), REFUND) == [REFUNDED]


def test_what_goes_back_is_what_was_paid() -> None:
    paid = euros("400.00")
    accepted = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=paid, reference="tx-1", provider="sandbox")

    recorded = when(given(Payment, PAYMENT, REQUESTED, accepted), REFUND)

    assert recorded == [PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=paid, reason="too late")]


def test_money_goes_back_once() -> None:
    assert when(given(Payment, PAYMENT, REQUESTED, ACCEPTED, REFUNDED), REFUND) == []


@pytest.mark.parametrize("before", [(), (DECLINED,)])
def test_what_was_not_paid_cannot_be_refunded(before: tuple[PaymentDeclined, ...]) -> None:
    with pytest.raises(PaymentNotRefundable):
        when(given(Payment, PAYMENT, REQUESTED, *before), REFUND)
