"""Watches that the books balance, and say what orders and finance say."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import takewhile
from math import inf
from typing import Any
from uuid import UUID

from django.db.models import F, Min, Q, Sum

from eventstore import store
from eventstore.codec import Recorded
from eventstore.events import Event
from eventstore.models import ParkedEvent
from ordering.domain.finance import (
    PaymentMovedIn,
    PaymentMovedOut,
    PaymentReceived,
    RefundFailed,
    RefundRequested,
    RefundReversed,
    RefundSettled,
    account_id_of,
)
from ordering.domain.order import OrderCancelled, OrderConfirmed, OrderPlaced, OrderReopened
from ordering.domain.order_changes import QuantitiesChanged
from ordering.domain.values import Money
from ordering.findings import UNBALANCED
from ordering.models import JournalEntry
from projections.watch import Judgement, Watch

A = JournalEntry.Account
Sums = dict[tuple[str, str], Decimal]
"""By account of the journal and currency, what is debited less what is credited."""


class Facts:
    """The money of one account, and the order that it is for, by the events of both and not by the books."""

    def __init__(self) -> None:
        self.on_account: dict[str, Decimal] = defaultdict(Decimal)
        self.under_way: dict[UUID, Money] = {}
        self.total: Money | None = None
        self.earned: Money | None = None
        self.fee: Money | None = None

    def fold(self, event: Event) -> None:
        self._fold_account(event)
        match event:
            case OrderPlaced(total=total):
                self.total = total
            case OrderConfirmed():
                self.earned = self.total
            case QuantitiesChanged(total=total):
                self.total = total
                self.earned = None if self.earned is None else total
            case OrderCancelled(fee=fee):
                self.earned, self.fee = None, fee
            case OrderReopened():
                self.fee = None

    def _fold_account(self, event: Event) -> None:
        match event:
            case PaymentReceived(amount=amount) | PaymentMovedIn(amount=amount):
                self.on_account[amount.currency] += amount.amount
            case PaymentMovedOut(amount=amount):
                self.on_account[amount.currency] -= amount.amount
            case RefundRequested():
                self.under_way[event.refund_id] = event.amount
            case RefundFailed():
                self.under_way.pop(event.refund_id, None)
            case RefundSettled(amount=amount):
                self.under_way.pop(event.refund_id, None)
                self.on_account[amount.currency] -= amount.amount
            case RefundReversed(amount=amount):
                self.on_account[amount.currency] += amount.amount

    def expected(self, currency: str, before_finance: Decimal, owed: str) -> Sums:
        """What the journal has to say in this currency: received, less what has gone back, is what a confirmed order
        costs, what is kept as a fee, what is under way, and what is owed or nobody's.
        """
        earned, fee = _in(currency, self.earned), _in(currency, self.fee)
        under_way = _in(currency, *self.under_way.values())
        left = self.on_account[currency] + before_finance - earned - fee - under_way
        return {
            (A.REVENUE, currency): -earned,
            (A.FEES, currency): -fee,
            (A.REFUNDS, currency): -under_way,
            (owed, currency): -left,
        }


class Books(
    Watch,
    name="watch.books",
    kind=UNBALANCED,
    uses=["finance-accounts", "journal"],
    events=(
        *(PaymentReceived, PaymentMovedOut, PaymentMovedIn),
        *(RefundRequested, RefundFailed, RefundSettled, RefundReversed),
        *(OrderConfirmed, QuantitiesChanged, OrderCancelled, OrderReopened),
    ),
):
    """Of each account of finance, in each currency: its entries balance, and they say what its events say. What was
    received is what confirmed orders cost, what has gone back, what is held and what nobody knows. What holds of each
    account holds of all together, so the trial balance is zero.

    Entries have the position of their event, so the journal is read as it was at each. While it holds back an event of
    an account, what comes from there on can't be compared: that is left out, and judged as of the next event of the
    account once it no longer does.
    """

    def key(self, recorded: Recorded) -> Hashable:
        event: Any = recorded.event
        return account_id_of(event.order_id) if recorded.category == "order" else event.account_id

    def judge(self, key: Hashable, recorded: Sequence[Recorded]) -> Iterable[Judgement]:
        assert isinstance(key, UUID)
        order_id = next(filter(None, (getattr(each.event, "order_id", None) for each in recorded)), None)
        streams = [store.read_stream(key), store.read_stream(order_id) if order_id else []]
        told = sorted((each for stream in streams for each in stream), key=lambda each: each.position)
        held_back = self._first_held_back(told)
        entries = self._entries(order_id, told)
        wanted, facts = {each.position for each in recorded}, Facts()
        for each in takewhile(lambda one: one.position <= recorded[-1].position, told):
            if each.position >= held_back:
                return
            facts.fold(each.event)
            if each.position in wanted:
                until = [entry for entry in entries if entry["position"] <= each.position]
                yield from self._balance(each, key, until)
                yield from self._agree(each, key, facts, until, A.CUSTOMERS if order_id else A.UNMATCHED)

    def _first_held_back(self, told: Sequence[Recorded]) -> float:
        """The position of the first of these events that is parked. It is asked before the entries are read: one that
        was healed by then has them.
        """
        parked = ParkedEvent.objects.filter(subscriber__in=self.uses, position__in=[each.position for each in told])
        first: int | None = parked.aggregate(first=Min("position"))["first"]
        return inf if first is None else first

    def _entries(self, order_id: UUID | None, told: Sequence[Recorded]) -> list[Any]:
        """The sums of each event, by account and currency; money that nobody knows has no order to be found by."""
        theirs = Q(order_id=order_id) if order_id else Q(position__in=[each.position for each in told])
        groups = JournalEntry.objects.filter(theirs).order_by().values("position", "account", "provider", "currency")
        return [*groups.annotate(balance=Sum(F("debit") - F("credit")))]

    def _balance(self, recorded: Recorded, account_id: UUID, entries: Sequence[Any]) -> Iterator[Judgement]:
        for currency in {entry["currency"] for entry in entries}:
            off = sum(entry["balance"] for entry in entries if entry["currency"] == currency)
            fault = f"debits and credits differ by {off:f}" if off else ""
            yield Judgement(recorded, f"trial balance in {currency}, of account {account_id}", fault)

    def _agree(
        self, recorded: Recorded, account_id: UUID, facts: Facts, entries: Sequence[Any], owed: str
    ) -> Iterator[Judgement]:
        before_finance: dict[str, Decimal] = defaultdict(Decimal)
        booked: Sums = defaultdict(Decimal)
        for entry in entries:
            currency = entry["currency"]
            booked[entry["account"], currency] += entry["balance"]
            if entry["account"] == A.PROVIDER and not entry["provider"]:
                before_finance[currency] += entry["balance"]
        for currency in {*facts.on_account, *(currency for _, currency in booked)}:
            expected = facts.expected(currency, before_finance[currency], owed)
            faults = [
                f"{A(account).label}: {booked[account, currency]:f} instead of {balance:f}"
                for (account, _), balance in expected.items()
                if booked[account, currency] != balance
            ]
            held = facts.on_account[currency] + before_finance[currency]
            if held < 0:
                faults.append(f"{-held:f} more went back than was received")
            yield Judgement(recorded, f"money in {currency}, of account {account_id}", "; ".join(faults))


def _in(currency: str, *amounts: Money | None) -> Decimal:
    return sum((each.amount for each in amounts if each is not None and each.currency == currency), Decimal(0))
