"""What happened, in words."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from eventstore.events import Event, catalogue, event
from eventstore.testing import recorded
from ordering.admin import conference_story, customer_story
from ordering.admin.words import LEFT, ordinal, say, sentence
from ordering.domain.finance import RefundRequested, RefundSettled
from ordering.domain.order import OrderCancelled, PaymentCredited
from ordering.domain.payment import PaymentAccepted
from ordering.domain.values import Money, payment_id_of
from ordering.domain.waitlist import Leaving
from ordering.registry import COMMANDS

from .samples import ORDER, PLACED, euros

REQUEST = RefundRequested(
    account_id=ORDER,
    order_id=ORDER,
    refund_id=ORDER,
    payment_id=payment_id_of(ORDER),
    provider="bank-transfer",
    reference="RF12",
    amount=euros("99.50"),
    reason="A seat was broken.",
    attempt=1,
)
CREDIT = PaymentCredited(
    order_id=ORDER,
    payment_id=payment_id_of(ORDER),
    provider="stripe",
    reference="tx-1",
    amount=euros("100.00"),
    due=euros("0.00"),
)


@pytest.mark.parametrize("kind", COMMANDS)
def test_each_event_of_the_business_has_words_of_its_own(kind) -> None:
    tellers = (say, conference_story.tell, customer_story.tell)
    silent = {teller.dispatch(Event) for teller in tellers}
    told = {evolved: {teller.dispatch(evolved) for teller in tellers} for evolved in kind.evolvers}
    assert [evolved.stored for evolved, words in told.items() if words <= silent] == []


def test_an_event_without_words_is_called_by_its_name() -> None:
    try:

        @event("parcel.sent-away")
        class SentAway(Event):
            pass

        assert sentence(recorded(SentAway())) == "Parcel: sent away."
    finally:
        catalogue.unregister(SentAway)


def test_amounts_have_the_decimals_and_the_thousands_of_their_currency() -> None:
    yen = replace(REQUEST, amount=Money(Decimal(12500), "JPY"))
    assert say(yen) == "12,500 JPY of RF12 are to go back: A seat was broken."


def test_money_that_arrives_says_by_whom_and_under_which_reference() -> None:
    arrived = PaymentAccepted(
        payment_id=payment_id_of(ORDER),
        order_id=ORDER,
        amount=euros("79.00"),
        reference="RF12",
        provider="bank-transfer",
    )
    assert say(arrived) == "79.00 EUR arrived by bank transfer, RF12."
    assert say(replace(arrived, provider="")) == "79.00 EUR arrived, RF12."


def test_what_is_credited_says_what_is_still_due() -> None:
    assert say(CREDIT) == "100.00 EUR were credited to the order: all is paid."
    assert say(replace(CREDIT, due=euros("5.00"))) == "100.00 EUR were credited to the order; 5.00 EUR are still due."
    too_much = "100.00 EUR were credited to the order, which is 5.00 EUR too much."
    assert say(replace(CREDIT, due=euros("-5.00"))) == too_much


def test_a_refund_says_how_often_it_was_asked_for_and_how_it_was_made() -> None:
    assert "go back for the 2nd time: A seat" in say(replace(REQUEST, attempt=2))
    settled = RefundSettled(
        account_id=ORDER,
        order_id=ORDER,
        refund_id=ORDER,
        payment_id=payment_id_of(ORDER),
        provider="stripe",
        reference="tx-1",
        amount=euros("5.00"),
        refund_reference="cheque 7",
        by_hand=True,
    )
    assert say(settled) == "5.00 EUR of tx-1 went back by hand, cheque 7."


def test_a_reason_is_told_where_there_is_one() -> None:
    assert say(OrderCancelled(order_id=ORDER, reason="She is ill.")) == "The order was cancelled: She is ill."
    assert say(OrderCancelled(order_id=ORDER, reason="")) == "The order was cancelled."
    assert say(PLACED).startswith(f"{PLACED.number} was placed: ")


def test_each_reason_to_leave_a_waitlist_has_words() -> None:
    assert set(LEFT) == set(Leaving)


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 22, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "22nd", "111th")
    ]
