from uuid import UUID

import pytest

from ordering.domain.finance import (
    BookPayment,
    FailRefund,
    MovePaymentIn,
    MovePaymentOut,
    PaymentMovedOut,
    RefundAnswered,
    SettleRefund,
    account_id_of,
)
from ordering.domain.payment import PaymentAccepted, PaymentAssigned, PaymentUnmatched, unmatched_payment_id
from ordering.domain.values import payment_id_of
from ordering.processes.booking import Booking
from sagas.steps import Send
from sagas.testing import tell

from .samples import ORDER, euros

PAYMENT, UNKNOWN = payment_id_of(ORDER), unmatched_payment_id("bank", "tx-9")
ACCOUNT = account_id_of(ORDER)
PRICE = euros("398.00")
REFUND = UUID("01890000-0000-7000-8000-0000000000d1")
UNMATCHED = PaymentUnmatched(payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE)
ASSIGNED = PaymentAssigned(payment_id=UNKNOWN, order_id=ORDER, provider="bank", reference="tx-9", amount=PRICE)


def accepted(provider: str) -> PaymentAccepted:
    return PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-1", provider=provider)


def answered(outcome: str) -> RefundAnswered:
    return RefundAnswered(
        account_id=ACCOUNT,
        refund_id=REFUND,
        payment_id=PAYMENT,
        attempt=1,
        outcome=outcome,
        refund_reference="back-1",
        reason="no",
    )


def test_every_amount_that_is_accepted_is_booked() -> None:
    book = BookPayment(
        account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-1", amount=PRICE
    )
    assert tell(Booking, accepted("sandbox")).last == [Send(book)]


def test_what_came_in_before_finance_kept_books_is_left_to_the_sale() -> None:
    assert tell(Booking, accepted("")).last == []


def test_money_that_nobody_knows_has_an_account_of_its_own_until_it_is_assigned() -> None:
    theirs = account_id_of(UNKNOWN)
    book = BookPayment(
        account_id=theirs, order_id=None, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
    )
    moved = PaymentMovedOut(
        account_id=theirs, to_order_id=ORDER, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
    )
    move_in = MovePaymentIn(
        account_id=ACCOUNT, order_id=ORDER, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
    )
    assert [list(each) for each in tell(Booking, UNMATCHED, ASSIGNED, moved).steps] == [
        [Send(book)],
        [Send(MovePaymentOut(account_id=theirs, to_order_id=ORDER))],
        [Send(move_in)],
    ]


@pytest.mark.parametrize(
    ("outcome", "steps"),
    [
        ("settled", [Send(SettleRefund(account_id=ACCOUNT, refund_id=REFUND, refund_reference="back-1", attempt=1))]),
        ("failed", [Send(FailRefund(account_id=ACCOUNT, refund_id=REFUND, reason="no", attempt=1))]),
        ("pending", []),
    ],
)
def test_a_refund_becomes_what_the_provider_says(outcome: str, steps: list[Send]) -> None:
    assert tell(Booking, answered(outcome)).last == steps
