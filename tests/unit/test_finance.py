from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from eventstore.aggregates import Command
from eventstore.errors import DomainError, StreamNotFound
from eventstore.testing import given, when
from ordering.domain.errors import (
    MixedCurrencies,
    NothingToMove,
    PaymentNotReceived,
    RefundAlreadySettled,
    RefundClosed,
    RefundMadeTwice,
    RefundNotFailed,
    RefundNotFound,
    RefundNotUnderWay,
    RefundTooHigh,
)
from ordering.domain.finance import (
    Account,
    BookPayment,
    BringForward,
    FailRefund,
    MarkRefundMade,
    MovePaymentIn,
    MovePaymentOut,
    PaymentMovedIn,
    PaymentMovedOut,
    PaymentReceived,
    Refund,
    RefundFailed,
    RefundReduced,
    RefundRequested,
    RefundReversed,
    RefundSettled,
    RefundStatus,
    ReportRefund,
    RequestRefund,
    RetryRefund,
    ReturnEverything,
    SettleRefund,
    account_id_of,
)
from ordering.domain.payment import Payment, PaymentAccepted, PaymentRefunded, PaymentRequested
from ordering.domain.values import Money, payment_id_of

from .samples import ORDER, euros

ACCOUNT, PAYMENT = account_id_of(ORDER), payment_id_of(ORDER)
PRICE = euros("398.00")
RECEIVED = PaymentReceived(
    account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-1", amount=PRICE
)
BOOK = BookPayment(
    account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-1", amount=PRICE
)


def ask_back(amount: str, reference: str = "tx-1") -> RequestRefund:
    return RequestRefund(
        account_id=ACCOUNT, provider="sandbox", reference=reference, amount=euros(amount), reason="too much"
    )


def refund_id(recorded: object) -> UUID:
    assert isinstance(recorded, RefundRequested)
    return recorded.refund_id


def requested(amount: str = "398.00") -> RefundRequested:
    (event,) = when(given(Account, ACCOUNT, RECEIVED), ask_back(amount))
    assert isinstance(event, RefundRequested)
    return event


def settled(asked: RefundRequested, *, by_hand: bool = False) -> RefundSettled:
    return RefundSettled(
        account_id=ACCOUNT,
        order_id=ORDER,
        refund_id=asked.refund_id,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="tx-1",
        amount=asked.amount,
        refund_reference="back-1",
        by_hand=by_hand,
    )


def failed(asked: RefundRequested) -> RefundFailed:
    return RefundFailed(
        account_id=ACCOUNT,
        order_id=ORDER,
        refund_id=asked.refund_id,
        payment_id=PAYMENT,
        provider="sandbox",
        reference="tx-1",
        amount=asked.amount,
        reason="no",
    )


def reversed_(asked: RefundRequested) -> RefundReversed:
    return RefundReversed(**{name: getattr(failed(asked), name) for name in RefundReversed.__struct_fields__})


def reduced(asked: RefundRequested, amount: str) -> RefundReduced:
    named = {name: getattr(asked, name) for name in RefundReduced.__struct_fields__}
    return RefundReduced(**named | {"amount": euros(amount)})


def test_what_was_received_is_booked_once() -> None:
    assert when(Account(ACCOUNT), BOOK) == [RECEIVED]
    assert when(given(Account, ACCOUNT, RECEIVED), BOOK) == []


def test_money_goes_back_in_part_and_in_several_refunds() -> None:
    account = given(Account, ACCOUNT, RECEIVED)
    first, second = when(account, ask_back("100.00")) and when(account, ask_back("298.00"))
    assert refund_id(first) != refund_id(second)
    assert account.left("sandbox/tx-1") == euros("0.00")


@pytest.mark.parametrize("after", ["requested", "settled"])
def test_never_more_goes_back_than_was_received_and_has_not_gone_back_and_is_not_under_way(after: str) -> None:
    asked = requested("300.00")
    done = [settled(asked)] if after == "settled" else []
    account = given(Account, ACCOUNT, RECEIVED, asked, *done)
    with pytest.raises(RefundTooHigh):
        when(account, ask_back("98.01"))
    assert when(account, ask_back("98.00"))


@pytest.mark.parametrize("amount", ["0.00", "-1.00"])
def test_a_refund_is_of_more_than_nothing(amount: str) -> None:
    with pytest.raises(RefundTooHigh):
        when(given(Account, ACCOUNT, RECEIVED), ask_back(amount))


def test_a_refund_is_of_money_that_was_received_and_in_its_currency() -> None:
    with pytest.raises(PaymentNotReceived):
        when(given(Account, ACCOUNT, RECEIVED), ask_back("1.00", reference="tx-2"))
    dollars = RequestRefund(
        account_id=ACCOUNT, provider="sandbox", reference="tx-1", amount=Money(PRICE.amount, "USD"), reason=""
    )
    with pytest.raises(MixedCurrencies):
        when(given(Account, ACCOUNT, RECEIVED), dollars)
    with pytest.raises(StreamNotFound):
        when(Account(ACCOUNT), ask_back("1.00"))


def test_of_some_receipts_everything_goes_back_and_of_others_nothing() -> None:
    other = msgspec.structs.replace(RECEIVED, reference="tx-2")
    account = given(Account, ACCOUNT, RECEIVED, other)
    (back,) = when(account, ReturnEverything(account_id=ACCOUNT, reason="", only=("sandbox/tx-2", "sandbox/tx-3")))
    assert isinstance(back, RefundRequested)
    assert (back.reference, back.amount) == ("tx-2", RECEIVED.amount)


@pytest.mark.parametrize(("by_staff", "back"), [("0.01", ["397.99"]), ("300.00", ["98.00"]), ("398.00", [])])
def test_of_an_excess_goes_back_what_staff_have_not_given_back_already(by_staff: str, back: list[str]) -> None:
    account = given(Account, ACCOUNT, RECEIVED, requested(by_staff))
    excess = msgspec.structs.replace(ask_back("398.00"), at_most=True)
    assert [event.amount for event in when(account, excess) if isinstance(event, RefundRequested)] == [
        euros(amount) for amount in back
    ]


@pytest.mark.parametrize(("by_staff", "back"), [("0.01", ["397.99"]), ("300.00", ["98.00"]), ("398.00", [])])
def test_of_an_excess_stays_what_is_to_be_left_without_the_money_on_its_way_back(
    by_staff: str, back: list[str]
) -> None:
    again = msgspec.structs.replace(RECEIVED, reference="tx-2")
    account = given(Account, ACCOUNT, RECEIVED, requested(by_staff), again)
    excess = msgspec.structs.replace(ask_back("398.00", "tx-2"), at_most=True, leaving=PRICE)
    assert [event.amount for event in when(account, excess) if isinstance(event, RefundRequested)] == [
        euros(amount) for amount in back
    ]
    account.forget_changes()
    assert when(account, excess) == []


def test_everything_that_is_left_of_each_payment_goes_back() -> None:
    again = PaymentReceived(
        account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-2", amount=PRICE
    )
    account = given(Account, ACCOUNT, RECEIVED, requested("100.00"), again)
    recorded = when(account, ReturnEverything(account_id=ACCOUNT, reason="cancelled"))
    assert [(each.reference, each.amount) for each in recorded if isinstance(each, RefundRequested)] == [
        ("tx-1", euros("298.00")),
        ("tx-2", PRICE),
    ]
    account.forget_changes()
    assert when(account, ReturnEverything(account_id=ACCOUNT, reason="cancelled")) == []


@pytest.mark.parametrize(
    ("keep", "back"),
    [
        ("5.00", [("tx-1", "393.00"), ("tx-2", "398.00")]),
        ("398.00", [("tx-2", "398.00")]),
        ("400.00", [("tx-2", "396.00")]),
        ("796.00", []),
    ],
)
def test_what_is_to_be_kept_stays_however_often_the_rest_is_asked_back(keep: str, back: list[tuple[str, str]]) -> None:
    again = PaymentReceived(
        account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-2", amount=PRICE
    )
    account = given(Account, ACCOUNT, RECEIVED, again)
    command = ReturnEverything(account_id=ACCOUNT, reason="cancelled", keep=euros(keep))
    recorded = when(account, command)
    assert [(each.reference, each.amount) for each in recorded if isinstance(each, RefundRequested)] == [
        (reference, euros(amount)) for reference, amount in back
    ]
    account.forget_changes()
    assert when(account, command) == []


def test_what_came_in_another_currency_goes_back_whatever_is_kept() -> None:
    dollars = msgspec.structs.replace(RECEIVED, reference="tx-2", amount=Money(Decimal(7), "USD"))
    account = given(Account, ACCOUNT, RECEIVED, dollars)
    (asked,) = when(account, ReturnEverything(account_id=ACCOUNT, reason="cancelled", keep=PRICE))
    assert isinstance(asked, RefundRequested)
    assert asked.amount == Money(Decimal(7), "USD")


def test_a_refund_is_settled_once() -> None:
    asked = requested()
    settle = SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-1")
    assert when(given(Account, ACCOUNT, RECEIVED, asked), settle) == [settled(asked)]
    done = given(Account, ACCOUNT, RECEIVED, asked, settled(asked))
    assert when(done, settle) == []
    with pytest.raises(RefundNotUnderWay):
        when(done, msgspec.structs.replace(settle, refund_reference="back-2"))


def reported(*, settled: bool = True, asked: RefundRequested | None = None, amount: str = "398.00") -> ReportRefund:
    """Of our refund, or of one that was made at the provider."""
    return ReportRefund(
        account_id=ACCOUNT,
        provider="sandbox",
        reference="tx-1",
        refund_id=asked.refund_id if asked else None,
        attempt=asked.attempt if asked else 0,
        refund_reference="back-1",
        amount=euros(amount),
        settled=settled,
        reason="" if settled else "no",
    )


def test_a_refund_of_ours_is_settled_by_what_the_provider_reports_and_not_doubled() -> None:
    asked = requested()
    under_way, done = (RECEIVED, asked), (RECEIVED, asked, settled(asked))
    assert when(given(Account, ACCOUNT, *under_way), reported(asked=asked)) == [settled(asked)]
    assert when(given(Account, ACCOUNT, *done), reported(asked=asked)) == []
    assert when(given(Account, ACCOUNT, *done), reported()) == []
    assert when(given(Account, ACCOUNT, *under_way), reported(asked=asked, settled=False)) == [failed(asked)]


def test_a_refund_that_failed_has_failed_in_whatever_order_it_is_reported() -> None:
    asked = requested()
    account = given(Account, ACCOUNT, RECEIVED, asked, failed(asked))
    assert when(account, reported(asked=asked)) == []
    assert when(account, reported(asked=asked, settled=False)) == []
    assert when(account, FailRefund(account_id=ACCOUNT, refund_id=asked.refund_id, reason="no")) == []


@pytest.mark.parametrize("by_key", [True, False])
def test_a_refund_that_comes_back_after_it_was_settled_has_failed_once(by_key: bool) -> None:
    asked = requested()
    comes_back = reported(asked=asked if by_key else None, settled=False)
    account = given(Account, ACCOUNT, RECEIVED, asked, settled(asked))
    assert when(account, comes_back) == [reversed_(asked)]
    account.forget_changes()
    assert account.left("sandbox/tx-1") == PRICE
    settle = SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-1")
    for told_again in (comes_back, reported(asked=asked), reported(), settle):
        assert when(account, told_again) == []


def test_a_refund_that_came_back_is_asked_for_once_more_or_made_by_hand() -> None:
    asked = requested()
    came_back = (RECEIVED, asked, settled(asked), reversed_(asked))
    retry = RetryRefund(account_id=ACCOUNT, refund_id=asked.refund_id)
    (again,) = when(given(Account, ACCOUNT, *came_back), retry)
    assert again == msgspec.structs.replace(asked, attempt=2)
    by_hand = MarkRefundMade(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="cheque 7")
    (made,) = when(given(Account, ACCOUNT, *came_back), by_hand)
    assert made == msgspec.structs.replace(settled(asked, by_hand=True), refund_reference="cheque 7")
    for then in (again, made):
        account = given(Account, ACCOUNT, *came_back, then)
        for told_again in (reported(asked=asked, settled=False), reported(settled=False), reported()):
            assert when(account, told_again) == []


@pytest.mark.parametrize("keep", ["0.00", "30.00", "360.00"])
def test_what_failed_is_asked_for_again_when_everything_goes_back_and_is_not_left_beside_it(keep: str) -> None:
    """What is kept may be more than what never was asked for: then less of what failed goes back."""
    asked = msgspec.structs.replace(requested(), amount=euros("50.00"))
    account = given(Account, ACCOUNT, RECEIVED, asked, settled(asked), reversed_(asked))
    everything = ReturnEverything(account_id=ACCOUNT, reason="It was cancelled.", keep=euros(keep))
    again, *others = when(account, everything)
    assert isinstance(again, RefundRequested)
    back = PRICE - euros(keep)
    assert (again.refund_id, again.attempt, again.reason) == (asked.refund_id, 2, "It was cancelled.")
    assert again.amount == min(euros("50.00"), back)
    assert [each.amount for each in others if isinstance(each, RefundRequested)] == (
        [back - again.amount] if again.amount < back else []
    )
    assert account.left("sandbox/tx-1") == euros(keep)
    assert when(account, SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-2"))


def test_what_was_made_by_hand_does_not_come_back_to_the_provider() -> None:
    asked = requested()
    account = given(Account, ACCOUNT, RECEIVED, asked, settled(asked, by_hand=True))
    assert when(account, reported(asked=asked, settled=False)) == []


@pytest.mark.parametrize("has_failed", [True, False])
def test_what_was_made_by_hand_and_by_the_provider_is_not_passed_over(has_failed: bool) -> None:
    asked = requested()
    made = msgspec.structs.replace(settled(asked, by_hand=True), refund_reference="cheque 7")
    account = given(Account, ACCOUNT, RECEIVED, asked, *([failed(asked)] if has_failed else []), made)
    answer = SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-1", attempt=1)
    for command in (reported(asked=asked), answer, msgspec.structs.replace(answer, attempt=0)):
        with pytest.raises(RefundMadeTwice):
            when(account, command)


def test_by_hand_may_have_been_noted_what_the_provider_made() -> None:
    asked = requested()
    account = given(Account, ACCOUNT, RECEIVED, asked, settled(asked, by_hand=True))
    answer = SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-1", attempt=1)
    for command in (reported(asked=asked), answer):
        assert when(account, command) == []


def test_an_answer_to_an_attempt_that_was_followed_by_another_settles_and_fails_nothing() -> None:
    asked = requested()
    again = msgspec.structs.replace(asked, attempt=2)
    account = given(Account, ACCOUNT, RECEIVED, asked, failed(asked), again)
    fail = FailRefund(account_id=ACCOUNT, refund_id=asked.refund_id, reason="no", attempt=1)
    settle = SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-1", attempt=1)
    assert when(account, fail) == []
    with pytest.raises(RefundMadeTwice):
        when(account, settle)
    assert when(account, msgspec.structs.replace(settle, attempt=2)) == [settled(again)]


def test_a_refund_that_was_made_at_the_provider_may_come_back_too() -> None:
    made, done = when(given(Account, ACCOUNT, RECEIVED), reported())
    assert isinstance(made, RefundRequested)
    assert when(given(Account, ACCOUNT, RECEIVED, made, done), reported(settled=False)) == [reversed_(made)]


def test_a_report_of_an_attempt_that_was_followed_by_another_says_nothing() -> None:
    asked = requested()
    again = msgspec.structs.replace(asked, attempt=2)
    account = given(Account, ACCOUNT, RECEIVED, asked, failed(asked), again)
    assert when(account, reported(asked=asked, settled=False)) == []
    assert when(account, reported(asked=again)) == [settled(asked)]


def test_a_refund_that_was_made_at_the_provider_is_recorded_once_and_nobody_is_asked_for_it() -> None:
    account = given(Account, ACCOUNT, RECEIVED)
    made, done = when(account, reported(amount="100.00"))
    assert isinstance(made, RefundRequested)
    assert (made.made_there, made.amount) == (True, euros("100.00"))
    assert done == msgspec.structs.replace(settled(made), amount=euros("100.00"))
    account.forget_changes()
    assert when(account, reported(amount="100.00")) == []
    assert account.left("sandbox/tx-1") == euros("298.00")
    assert when(given(Account, ACCOUNT, RECEIVED), reported(settled=False)) == []


def test_never_more_is_reported_to_have_gone_back_than_was_received() -> None:
    with pytest.raises(RefundTooHigh):
        when(given(Account, ACCOUNT, RECEIVED), reported(amount="398.01"))
    with pytest.raises(RefundTooHigh):
        when(given(Account, ACCOUNT, RECEIVED, requested("300.00")), reported(amount="98.01"))
    with pytest.raises(PaymentNotReceived):
        when(given(Account, ACCOUNT, RECEIVED), msgspec.structs.replace(reported(), reference="tx-2"))


def test_a_refund_that_failed_can_be_tried_again() -> None:
    asked = requested()
    fail = FailRefund(account_id=ACCOUNT, refund_id=asked.refund_id, reason="no")
    retry = RetryRefund(account_id=ACCOUNT, refund_id=asked.refund_id)
    assert when(given(Account, ACCOUNT, RECEIVED, asked), fail) == [failed(asked)]
    with pytest.raises(RefundNotFailed):
        when(given(Account, ACCOUNT, RECEIVED, asked), retry)
    (again,) = when(given(Account, ACCOUNT, RECEIVED, asked, failed(asked)), retry)
    assert isinstance(again, RefundRequested)
    assert (again.refund_id, again.amount, again.attempt) == (asked.refund_id, asked.amount, 2)


@pytest.mark.parametrize("command", [RetryRefund, MarkRefundMade])
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_refund_that_failed_is_only_of_what_has_not_gone_back_otherwise(
    command: type[RetryRefund | MarkRefundMade], comes_back: bool
) -> None:
    asked = requested()
    account = given(
        Account, ACCOUNT, RECEIVED, asked, *(settled(asked), reversed_(asked)) if comes_back else [failed(asked)]
    )
    other, less = when(account, ask_back("98.00"))
    assert isinstance(other, RefundRequested)
    assert (other.refund_id != asked.refund_id, other.amount) == (True, euros("98.00"))
    assert less == reduced(asked, "300.00")
    account.forget_changes()
    (again,) = when(account, command(account_id=ACCOUNT, refund_id=asked.refund_id))
    assert isinstance(again, RefundRequested | RefundSettled)
    assert (again.refund_id, again.amount) == (asked.refund_id, euros("300.00"))
    assert account.left("sandbox/tx-1") == euros("0.00")


def test_a_refund_that_failed_is_closed_once_all_of_its_money_has_gone_back_otherwise() -> None:
    asked = requested()
    account = given(Account, ACCOUNT, RECEIVED, asked, failed(asked))
    other, less = when(account, ask_back("398.00"))
    assert isinstance(other, RefundRequested)
    assert less == reduced(asked, "0.00")
    assert account.left("sandbox/tx-1") == euros("0.00")
    for command in (RetryRefund, MarkRefundMade):
        with pytest.raises(RefundClosed):
            when(account, command(account_id=ACCOUNT, refund_id=asked.refund_id))
    with pytest.raises(RefundNotUnderWay):
        when(account, SettleRefund(account_id=ACCOUNT, refund_id=asked.refund_id))
    account.forget_changes()
    fails_again = FailRefund(account_id=ACCOUNT, refund_id=asked.refund_id, reason="no")
    for told_again in (fails_again, reported(asked=asked), reported(asked=asked, settled=False)):
        assert when(account, told_again) == []
    assert when(account, FailRefund(account_id=ACCOUNT, refund_id=other.refund_id, reason="no"))
    assert [*account.refunds.values()] == [
        Refund("sandbox/tx-1", PRICE, "too much", 1, RefundStatus.CLOSED),
        Refund("sandbox/tx-1", PRICE, "too much", 1, RefundStatus.FAILED),
    ]


def test_refunds_that_failed_stand_beside_others_while_there_is_money_for_all_of_them() -> None:
    """What is left then is for those that were asked for first."""
    account = given(Account, ACCOUNT, RECEIVED)
    when(account, ask_back("100.00"))
    first, second = when(account, ask_back("50.00"))
    assert isinstance(first, RefundRequested)
    assert isinstance(second, RefundRequested)
    account = given(Account, ACCOUNT, RECEIVED, first, failed(first), second, failed(second))
    (other,) = when(account, ask_back("248.00"))
    assert refund_id(other) not in (first.refund_id, second.refund_id)
    account.forget_changes()
    _, *less = when(account, ask_back("80.00"))
    assert less == [reduced(first, "70.00"), reduced(second, "0.00")]


def test_a_refund_that_failed_and_was_made_at_the_provider_after_all_is_closed() -> None:
    asked = requested()
    made, less, done = when(given(Account, ACCOUNT, RECEIVED, asked, failed(asked)), reported())
    assert isinstance(made, RefundRequested)
    assert (less, done) == (reduced(asked, "0.00"), settled(made))


@pytest.mark.parametrize("has_failed", [True, False])
def test_a_refund_can_be_marked_as_made_by_hand(has_failed: bool) -> None:
    asked = requested()
    by_hand = MarkRefundMade(account_id=ACCOUNT, refund_id=asked.refund_id, refund_reference="back-1")
    account = given(Account, ACCOUNT, RECEIVED, asked, *([failed(asked)] if has_failed else []))
    assert when(account, by_hand) == [settled(asked, by_hand=True)]
    with pytest.raises(RefundAlreadySettled):
        when(account, by_hand)


@pytest.mark.parametrize("command", [SettleRefund, RetryRefund, MarkRefundMade])
def test_a_refund_that_there_is_not_is_not_found(command: type[SettleRefund | RetryRefund | MarkRefundMade]) -> None:
    with pytest.raises(RefundNotFound):
        when(given(Account, ACCOUNT, RECEIVED), command(account_id=ACCOUNT, refund_id=ORDER))


UNKNOWN = UUID("01890000-0000-7000-8000-0000000000b9")
THEIRS = account_id_of(UNKNOWN)
NOBODYS = PaymentReceived(
    account_id=THEIRS, order_id=None, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
)
MOVE_OUT = MovePaymentOut(account_id=THEIRS, to_order_id=ORDER)
MOVED_OUT = PaymentMovedOut(
    account_id=THEIRS, to_order_id=ORDER, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
)


def test_money_moves_from_one_account_to_another_once() -> None:
    move_in = MovePaymentIn(
        account_id=ACCOUNT, order_id=ORDER, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
    )
    moved_in = PaymentMovedIn(
        account_id=ACCOUNT, order_id=ORDER, payment_id=UNKNOWN, provider="bank", reference="tx-9", amount=PRICE
    )
    assert when(given(Account, THEIRS, NOBODYS), MOVE_OUT) == [MOVED_OUT]
    assert when(Account(ACCOUNT), move_in) == [moved_in]
    assert when(given(Account, ACCOUNT, moved_in), move_in) == []


def nobodys_on_its_way_back() -> RefundRequested:
    back = RequestRefund(account_id=THEIRS, provider="bank", reference="tx-9", amount=euros("100.00"), reason="")
    (asked,) = when(given(Account, THEIRS, NOBODYS), back)
    assert isinstance(asked, RefundRequested)
    return asked


def nobodys_failed(asked: RefundRequested) -> RefundFailed:
    return RefundFailed(**{name: getattr(asked, name) for name in RefundFailed.__struct_fields__} | {"reason": "no"})


def test_what_failed_to_go_back_is_closed_once_its_money_has_moved() -> None:
    asked = nobodys_on_its_way_back()
    account = given(Account, THEIRS, NOBODYS, asked, nobodys_failed(asked))
    assert when(account, MOVE_OUT) == [MOVED_OUT, reduced(asked, "0.00")]
    assert account.left("bank/tx-9") == euros("0.00")
    for command in (RetryRefund, MarkRefundMade):
        with pytest.raises(RefundClosed):
            when(account, command(account_id=THEIRS, refund_id=asked.refund_id))


def test_what_fails_to_go_back_after_the_rest_has_moved_can_go_back_again() -> None:
    asked = nobodys_on_its_way_back()
    rest = msgspec.structs.replace(MOVED_OUT, amount=euros("298.00"))
    assert when(given(Account, THEIRS, NOBODYS, asked), MOVE_OUT) == [rest]
    account = given(Account, THEIRS, NOBODYS, asked, rest, nobodys_failed(asked))
    (again,) = when(account, RetryRefund(account_id=THEIRS, refund_id=asked.refund_id))
    assert again == msgspec.structs.replace(asked, attempt=2)


@pytest.mark.parametrize(
    "command", [MOVE_OUT, RequestRefund(account_id=THEIRS, provider="bank", reference="tx-9", amount=PRICE, reason="")]
)
def test_money_that_has_moved_neither_moves_again_nor_goes_back(command: Command) -> None:
    refusals: tuple[type[DomainError], ...] = (NothingToMove, RefundTooHigh)
    with pytest.raises(refusals):
        when(given(Account, THEIRS, NOBODYS, MOVED_OUT), command)


def test_what_came_in_before_finance_kept_books_is_brought_forward_once_unless_it_went_back() -> None:
    asked = PaymentRequested(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, provider="sandbox")
    paid = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-1", provider="")
    back = PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reason="")
    bring = BringForward(account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT)
    payment = given(Payment, PAYMENT, asked, paid)
    (booked,) = when(Account(ACCOUNT), bring, others=[payment])
    assert isinstance(booked, PaymentReceived)
    assert (booked.reference, booked.amount, booked.brought_forward) == ("tx-1", PRICE, True)
    assert when(given(Account, ACCOUNT, booked), bring, others=[payment]) == []
    assert when(Account(ACCOUNT), bring, others=[given(Payment, PAYMENT, asked, paid, back)]) == []
