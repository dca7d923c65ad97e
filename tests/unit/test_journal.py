"""The books: whatever happens they balance, and they say what the aggregates say."""

from collections import defaultdict
from collections.abc import Hashable
from decimal import Decimal
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from eventstore.aggregates import Aggregate, Command
from eventstore.errors import DomainError
from eventstore.events import Event
from eventstore.testing import given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.finance import (
    Account,
    BookPayment,
    FailRefund,
    MarkRefundMade,
    MovePaymentIn,
    MovePaymentOut,
    PaymentMovedOut,
    PaymentReceived,
    RefundFailed,
    RefundRequested,
    RefundReversed,
    RefundSettled,
    RefundStatus,
    ReportRefund,
    RequestRefund,
    RetryRefund,
    SettleRefund,
    account_id_of,
)
from ordering.domain.order import (
    CancelOrder,
    CreditPayment,
    DebitRefund,
    ExpireOrder,
    Order,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderReopened,
    RecreditRefund,
    Status,
    TakeUpOrder,
)
from ordering.domain.order_changes import ChangeQuantities, ConcludeChange, QuantitiesChanged, QuantityChangeRequested
from ordering.domain.payment import PaymentAccepted, PaymentRefunded, unmatched_payment_id
from ordering.domain.seats import Line, PricedLine
from ordering.domain.values import Money, payment_id_of
from ordering.models import FinanceAccount, JournalEntry
from ordering.projections.journal import FinanceAccounts, Journal
from projections.errors import RowMissing
from projections.testing import project

from .samples import ANOTHER_ORDER, CONFERENCE, ON_SALE, ORDER, PLACED, euros

A = JournalEntry.Account
ACCOUNT, PAYMENT, PRICE = account_id_of(ORDER), payment_id_of(ORDER), PLACED.total
UNKNOWN = unmatched_payment_id("bank", "tx-0")
ORDERS = (ORDER, ANOTHER_ORDER)
OWNERS = (*ORDERS, UNKNOWN)

RECEIVED = PaymentReceived(
    account_id=ACCOUNT, order_id=ORDER, payment_id=PAYMENT, provider="sandbox", reference="tx-1", amount=PRICE
)
CONFIRMED = OrderConfirmed(order_id=ORDER)
CANCELLED = OrderCancelled(order_id=ORDER, reason="")
REQUESTED = RefundRequested(
    account_id=ACCOUNT,
    order_id=ORDER,
    refund_id=UUID(int=9),
    payment_id=PAYMENT,
    provider="sandbox",
    reference="tx-1",
    amount=PRICE,
    reason="",
    attempt=1,
)
FAILED = RefundFailed(**{name: getattr(REQUESTED, name) for name in RefundFailed.__struct_fields__})
REVERSED = RefundReversed(**{name: getattr(REQUESTED, name) for name in RefundReversed.__struct_fields__})
SETTLED = RefundSettled(
    **{
        name: getattr(REQUESTED, name)
        for name in RefundRequested.__struct_fields__
        if name not in ("reason", "attempt", "made_there")
    },
    refund_reference="",
    by_hand=True,
)
ACCEPTED_BEFORE = PaymentAccepted(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reference="tx-1", provider="")

Balances = dict[tuple[str, str], Decimal]


def journal(*log: Event) -> list[JournalEntry]:
    accounts: dict[Hashable, FinanceAccount] = project(FinanceAccounts, *log)
    entries: dict[Hashable, JournalEntry] = project(Journal, *log, looked_up=accounts.values())
    return sorted(entries.values(), key=attrgetter("number"))


def balances(entries: list[JournalEntry]) -> Balances:
    """What each account has by its name and currency, its debits less its credits, where that isn't nothing."""
    found: Balances = defaultdict(Decimal)
    for entry in entries:
        found[entry.account, entry.currency] += entry.debit - entry.credit
    return {key: balance for key, balance in found.items() if balance}


def in_euros(*log: Event) -> dict[str, Decimal]:
    return {account: balance for (account, _), balance in balances(journal(*log)).items()}


def test_what_is_received_is_owed_until_the_order_is_confirmed():
    assert in_euros(PLACED, RECEIVED) == {A.PROVIDER: 398, A.CUSTOMERS: -398}
    assert in_euros(PLACED, RECEIVED, CONFIRMED) == {A.PROVIDER: 398, A.REVENUE: -398}


def test_an_entry_says_for_which_order_and_conference_it_is_and_who_holds_the_money():
    debit, credit = journal(PLACED, RECEIVED)
    assert (debit.number, debit.position, debit.event) == (20, 2, "finance.payment-received")
    assert (debit.order_id, debit.conference_id, debit.currency) == (ORDER, CONFERENCE, "EUR")
    assert (debit.account, debit.provider) == (A.PROVIDER.value, "sandbox")
    assert (credit.account, credit.provider) == (A.CUSTOMERS.value, "")
    assert (debit.debit, debit.credit) == (credit.credit, credit.debit) == (PRICE.amount, Decimal(0))


def test_what_is_above_the_total_stays_owed():
    above = msgspec.structs.replace(RECEIVED, amount=euros("400.00"))
    assert in_euros(PLACED, above, CONFIRMED) == {A.PROVIDER: 400, A.REVENUE: -398, A.CUSTOMERS: -2}


def test_what_a_cancelled_order_had_earned_is_owed_again_until_it_has_gone_back():
    cancelled = (PLACED, RECEIVED, CONFIRMED, CANCELLED)
    assert in_euros(*cancelled) == {A.PROVIDER: 398, A.CUSTOMERS: -398}
    assert in_euros(*cancelled, REQUESTED) == {A.PROVIDER: 398, A.REFUNDS: -398}
    assert in_euros(*cancelled, REQUESTED, SETTLED) == {}
    assert in_euros(PLACED, RECEIVED, CANCELLED) == {A.PROVIDER: 398, A.CUSTOMERS: -398}


def test_what_is_kept_of_a_cancelled_order_is_a_fee_until_it_is_reopened():
    kept = msgspec.structs.replace(CANCELLED, fee=euros("20.00"))
    cancelled = (PLACED, RECEIVED, CONFIRMED, kept)
    assert in_euros(*cancelled) == {A.PROVIDER: 398, A.CUSTOMERS: -378, A.FEES: -20}
    reopened = OrderReopened(
        order_id=ORDER, reason="By mistake.", due=euros("378.00"), expires_at=PLACED.expires_at, grace=0
    )
    assert in_euros(*cancelled, reopened) == {A.PROVIDER: 398, A.CUSTOMERS: -398}
    expired = OrderExpired(order_id=ORDER)
    assert in_euros(*cancelled, reopened, expired, reopened) == {A.PROVIDER: 398, A.CUSTOMERS: -398}


def test_a_refund_that_failed_is_owed_again_and_can_be_made_by_hand_or_asked_for_again():
    failed = (PLACED, RECEIVED, REQUESTED, FAILED)
    again = msgspec.structs.replace(REQUESTED, attempt=2)
    assert in_euros(*failed) == {A.PROVIDER: 398, A.CUSTOMERS: -398}
    assert in_euros(*failed, SETTLED) == {}
    assert in_euros(*failed, again) == {A.PROVIDER: 398, A.REFUNDS: -398}
    assert in_euros(*failed, again, SETTLED) == {}
    assert in_euros(*failed, again, FAILED, SETTLED) == {}


def test_a_refund_that_comes_back_is_booked_back_and_can_be_made_by_hand_or_asked_for_again():
    by_provider = msgspec.structs.replace(SETTLED, by_hand=False)
    came_back = (PLACED, RECEIVED, REQUESTED, by_provider, REVERSED)
    again = msgspec.structs.replace(REQUESTED, attempt=2)
    assert in_euros(*came_back) == {A.PROVIDER: 398, A.CUSTOMERS: -398}
    assert in_euros(*came_back, SETTLED) == {}
    assert in_euros(*came_back, again) == {A.PROVIDER: 398, A.REFUNDS: -398}
    assert in_euros(*came_back, again, by_provider) == {}
    assert in_euros(*came_back, again, by_provider, REVERSED, SETTLED) == {}
    made_after_it_failed = (PLACED, RECEIVED, REQUESTED, FAILED, SETTLED, REVERSED)
    assert in_euros(*made_after_it_failed) == {A.PROVIDER: 398, A.CUSTOMERS: -398}
    assert in_euros(*made_after_it_failed, SETTLED) == {}


def test_an_order_that_costs_nothing_makes_no_entries():
    assert journal(msgspec.structs.replace(PLACED, total=euros("0.00")), CONFIRMED, CANCELLED) == []


def test_money_of_before_finance_counts_once():
    brought = msgspec.structs.replace(RECEIVED, brought_forward=True)
    before = (PLACED, ACCEPTED_BEFORE, CONFIRMED)
    assert in_euros(*before) == {A.PROVIDER: 398, A.REVENUE: -398}
    assert in_euros(*before, brought) == {A.PROVIDER: 398, A.REVENUE: -398}
    assert in_euros(*before, brought, CANCELLED, REQUESTED, SETTLED) == {}
    held = {entry.provider for entry in journal(*before, brought) if entry.account == A.PROVIDER}
    assert held == {"", "sandbox"}
    back = PaymentRefunded(payment_id=PAYMENT, order_id=ORDER, amount=PRICE, reason="")
    assert in_euros(*before, CANCELLED, back) == {}


def test_a_payment_that_finance_books_is_not_booked_by_the_payment():
    assert journal(PLACED, msgspec.structs.replace(ACCEPTED_BEFORE, provider="sandbox")) == []


def test_money_of_an_order_that_is_not_there_yet_waits():
    with pytest.raises(RowMissing):
        journal(RECEIVED)


class Business:
    """Streams of orders and accounts that commands go to, and the log of all that they record."""

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.streams: dict[tuple[type[Aggregate], UUID], list[Event]] = defaultdict(list)
        self.payments = 0
        for order_id in ORDERS:
            self._record(Order, order_id, [msgspec.structs.replace(PLACED, order_id=order_id)])

    def order(self, order_id: UUID) -> Order:
        return given(Order, order_id, *self.streams[Order, order_id])

    def account(self, owner: UUID) -> Account:
        account_id = account_id_of(owner)
        return given(Account, account_id, *self.streams[Account, account_id])

    def send(self, to: Aggregate, command: Command, *others: Aggregate) -> list[Event]:
        """What is refused changes nothing."""
        try:
            recorded = when(to, command, others=others)
        except DomainError:
            return []
        self._record(type(to), to.id, recorded)
        return recorded

    def pay(self, owner: UUID, amount: Money) -> None:
        self.payments += 1
        order_id = None if owner == UNKNOWN else owner
        booked = self.send(
            self.account(owner),
            BookPayment(
                account_id=account_id_of(owner),
                order_id=order_id,
                payment_id=payment_id_of(owner),
                provider="sandbox",
                reference=f"tx-{self.payments}",
                amount=amount,
            ),
        )
        self._credit(owner, booked)

    def move(self, order_id: UUID) -> None:
        moving = MovePaymentOut(account_id=account_id_of(UNKNOWN), to_order_id=order_id)
        for out in self.send(self.account(UNKNOWN), moving):
            assert isinstance(out, PaymentMovedOut)
            command = MovePaymentIn(
                account_id=account_id_of(order_id),
                order_id=order_id,
                payment_id=out.payment_id,
                provider=out.provider,
                reference=out.reference,
                amount=out.amount,
            )
            self._credit(order_id, self.send(self.account(order_id), command))

    def cancel(self, order_id: UUID, keep: Money) -> None:
        self.send(self.order(order_id), CancelOrder(order_id=order_id, keep=keep))

    def change(self, order_id: UUID, quantity: int) -> None:
        """What the order asks for the conference has."""
        conference = given(ConferenceSeats, CONFERENCE, *ON_SALE)
        wanted = ChangeQuantities(order_id=order_id, lines=(Line("standard", quantity),))
        for asked in self.send(self.order(order_id), wanted, conference):
            assert isinstance(asked, QuantityChangeRequested)
            self.send(self.order(order_id), ConcludeChange(order_id=order_id, change=asked.change))

    def ask_back(self, owner: UUID, amount: Money) -> None:
        for receipt in self.account(owner).receipts.values():
            named: dict[str, Any] = {"provider": receipt.provider, "reference": receipt.reference}
            command = RequestRefund(account_id=account_id_of(owner), amount=amount, reason="", **named)
            if self.send(self.account(owner), command):
                return

    def go_on(self, owner: UUID, command: type[Command]) -> None:
        """With the first refund that it can be done with."""
        reason = {"reason": ""} if command is FailRefund else {}
        for refund_id in self.account(owner).refunds:
            told = command(account_id=account_id_of(owner), refund_id=refund_id, **reason)
            recorded = self.send(self.account(owner), told)
            for event in recorded:
                if isinstance(event, RefundSettled) and owner in ORDERS:
                    debit = DebitRefund(order_id=owner, refund_id=refund_id, amount=event.amount)
                    self.send(self.order(owner), debit)
            if recorded:
                return

    def come_back(self, owner: UUID) -> None:
        """The first refund that the provider has made."""
        account = self.account(owner)
        for refund_id, refund in account.refunds.items():
            receipt = account.receipts[refund.receipt]
            told = ReportRefund(
                account_id=account.id,
                provider=receipt.provider,
                reference=receipt.reference,
                refund_id=refund_id,
                attempt=refund.attempt,
                refund_reference="",
                amount=refund.amount,
                settled=False,
            )
            for event in self.send(self.account(owner), told) if refund.status is RefundStatus.SETTLED else ():
                if owner in ORDERS:
                    again = RecreditRefund(order_id=owner, refund_id=refund_id, amount=refund.amount)
                    self.send(self.order(owner), again)
                assert isinstance(event, RefundReversed)
                return

    def _credit(self, owner: UUID, booked: list[Event]) -> None:
        for event in booked if owner in ORDERS else ():
            names = ("payment_id", "provider", "reference", "amount")
            credit = CreditPayment(order_id=owner, **{name: getattr(event, name) for name in names})
            self.send(self.order(owner), credit)

    def _record(self, kind: type[Aggregate], stream_id: UUID, recorded: list[Event]) -> None:
        self.streams[kind, stream_id] += recorded
        self.log += recorded


AMOUNTS = st.builds(
    Money,
    st.sampled_from(["100.00", "298.00", "398.00", "500.00"]).map(Decimal),
    st.sampled_from(["EUR", "EUR", "CHF"]),
)
ACTS = st.one_of(
    st.tuples(st.just("pay"), st.sampled_from(OWNERS), AMOUNTS),
    st.tuples(st.just("ask_back"), st.sampled_from(OWNERS), AMOUNTS),
    st.tuples(
        st.just("go_on"),
        st.sampled_from(OWNERS),
        st.sampled_from([SettleRefund, FailRefund, RetryRefund, MarkRefundMade]),
    ),
    st.tuples(st.just("come_back"), st.sampled_from(OWNERS)),
    st.tuples(st.just("move"), st.sampled_from(ORDERS)),
    st.tuples(st.just("cancel"), st.sampled_from(ORDERS), st.sampled_from([euros("0.00"), euros("20.00")])),
    st.tuples(st.just("change"), st.sampled_from(ORDERS), st.integers(1, 4)),
    st.tuples(st.just("order"), st.sampled_from(ORDERS), st.sampled_from([ExpireOrder, TakeUpOrder])),
)


def act(business: Business, what: str, *given_with: object) -> None:
    if what == "order":
        order_id, command = given_with
        assert isinstance(order_id, UUID)
        assert isinstance(command, type)
        business.send(business.order(order_id), command(order_id=order_id))
    else:
        getattr(business, what)(*given_with)


def left(business: Business, owners: tuple[UUID, ...], currency: str) -> Decimal:
    """What could still go back."""
    accounts = [business.account(owner) for owner in owners]
    amounts = [account.left(key) for account in accounts for key in account.receipts]
    return sum((each.amount for each in amounts if each.currency == currency), Decimal(0))


def under_way(business: Business, owners: tuple[UUID, ...], currency: str) -> Decimal:
    refunds = [refund for owner in owners for refund in business.account(owner).refunds.values()]
    asked = [each.amount for each in refunds if each.status is RefundStatus.REQUESTED]
    return sum((each.amount for each in asked if each.currency == currency), Decimal(0))


def failed(account: Account, key: str) -> Decimal:
    """What refunds of a receipt are of that can be tried again."""
    refunds = [each for each in account.refunds.values() if each.receipt == key]
    return sum((each.amount.amount for each in refunds if each.status is RefundStatus.FAILED), Decimal(0))


@settings(max_examples=150, deadline=None)
@for_all(st.lists(ACTS, min_size=3, max_size=14))
def test_whatever_happens_the_books_say_what_the_aggregates_say(acts):
    business = Business()
    for each in acts:
        act(business, *each)
    entries = journal(*business.log)
    found: Balances = defaultdict(Decimal, balances(entries))
    sold = [each for each in map(business.order, ORDERS) if each.status is Status.CONFIRMED]
    kept = sum(each.fee.amount for each in map(business.order, ORDERS))
    for currency in ("EUR", "CHF"):
        assert found[A.PROVIDER, currency] == left(business, OWNERS, currency) + under_way(business, OWNERS, currency)
        assert found[A.REFUNDS, currency] == -under_way(business, OWNERS, currency)
        assert found[A.UNMATCHED, currency] == -left(business, (UNKNOWN,), currency)
        assert found[A.MOVING, currency] == 0
        earned = sum((each.total.amount for each in sold if each.total.currency == currency), Decimal(0))
        assert found[A.REVENUE, currency] == -earned
        fees = kept if currency == PRICE.currency else 0
        assert found[A.FEES, currency] == -fees
        assert found[A.CUSTOMERS, currency] == earned + fees - left(business, ORDERS, currency)
    for account in map(business.account, OWNERS):
        for key in account.receipts:
            assert failed(account, key) <= account.left(key).amount
    for order in sold:
        theirs = balances([each for each in entries if each.order_id == order.id])
        assert sum(theirs.get((side, "EUR"), 0) for side in (A.CUSTOMERS, A.REFUNDS)) == order.due.amount


@settings(max_examples=50, deadline=None)
@for_all(st.lists(ACTS, min_size=3, max_size=10))
def test_the_books_balance_at_every_position(acts):
    business = Business()
    for each in acts:
        act(business, *each)
    at: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for entry in journal(*business.log):
        at[entry.position, entry.currency] += entry.debit - entry.credit
    assert not any(at.values())


def test_what_a_confirmed_order_no_longer_costs_is_owed_to_its_customer_again():
    less = QuantitiesChanged(
        order_id=ORDER,
        change=1,
        lines=(PricedLine("standard", 1, PRICE),),
        before=PRICE,
        total=euros("199.00"),
        due=euros("-199.00"),
        expires_at=PLACED.expires_at,
    )
    sold = balances(journal(PLACED, RECEIVED, CONFIRMED, less))
    assert (sold[A.REVENUE, "EUR"], sold[A.CUSTOMERS, "EUR"]) == (Decimal(-199), Decimal(-199))
    assert (A.REVENUE, "EUR") not in balances(journal(PLACED, RECEIVED, CONFIRMED, less, CANCELLED))
    assert balances(journal(PLACED, less, CONFIRMED))[A.REVENUE, "EUR"] == Decimal(-199)


def test_an_order_is_on_the_account_that_finance_keeps_for_it():
    (row,) = project(FinanceAccounts, PLACED, CONFIRMED).values()
    assert isinstance(PLACED, OrderPlaced)
    assert (row.account_id, row.order_id, row.price_before(3)) == (ACCOUNT, ORDER, PRICE)
    assert [row.is_sold(position) for position in (2, 3)] == [False, True]
