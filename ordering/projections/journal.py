"""Writes `FinanceAccount` and `JournalEntry`: the books, by double entry.

Each event that moves money, or earns it, makes entries that balance by themselves, so that the books do at every
position. What is received is owed to customers until their order is confirmed, which earns its total; what is above
stays owed, and a confirmed order of which money has gone back has its customer owe.

Before finance kept books the payments themselves told of money, held by a provider without a name. What finance has
brought forward since goes over from there, and is not received again.
"""

from typing import Any, NamedTuple
from uuid import UUID

from eventstore.events import Meta
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
from ordering.domain.payment import PaymentAccepted, PaymentRefunded
from ordering.domain.values import Money
from ordering.models import FinanceAccount, JournalEntry
from projections.errors import RowMissing
from projections.projection import ASYNC, DELETE, Outcome, Projection, on

Account = JournalEntry.Account

MOST = 10
"""Entries that an event can make: their numbers have one digit more than its position."""


class Side(NamedTuple):
    """An account of the books, and who holds the money if it is held."""

    account: JournalEntry.Account
    provider: str = ""


class Transfer(NamedTuple):
    """An amount that one side is debited and another one credited."""

    amount: Money
    debit: Side
    credit: Side


CUSTOMERS, UNMATCHED, MOVING = Side(Account.CUSTOMERS), Side(Account.UNMATCHED), Side(Account.MOVING)
REFUNDS, REVENUE, FEES = Side(Account.REFUNDS), Side(Account.REVENUE), Side(Account.FEES)


def held(provider: str) -> Side:
    return Side(Account.PROVIDER, provider)


def owed(order_id: UUID | None) -> Side:
    return UNMATCHED if order_id is None else CUSTOMERS


def known(account: FinanceAccount | None) -> FinanceAccount:
    """The account of an order, which is there since the order is. Raises `RowMissing`."""
    if account is None:
        raise RowMissing
    return account


def account_of_order(event: Any, meta: Meta) -> UUID:
    return account_id_of(event.order_id)


def account_of_order_alone(event: Any, meta: Meta) -> tuple[UUID]:
    return (account_of_order(event, meta),)


def account_if_tried_again(event: RefundRequested, meta: Meta) -> tuple[UUID, ...]:
    return (event.account_id,) if event.attempt > 1 else ()


def both_sides(event: Any, meta: Meta) -> tuple[int, ...]:
    """The numbers of the entries that one transfer makes."""
    return (meta.position * MOST, meta.position * MOST + 1)


def both_sides_twice(event: Any, meta: Meta) -> tuple[int, ...]:
    """The numbers of the entries that two transfers make."""
    return tuple(meta.position * MOST + number for number in range(4))


def sides_before_finance(event: PaymentAccepted, meta: Meta) -> tuple[int, ...]:
    return () if event.provider else both_sides(event, meta)


class FinanceAccounts(Projection[FinanceAccount], name="finance-accounts", version=3, mode=ASYNC):
    """An account is there from its order on, and one of money that nobody knows as soon as a refund of it failed."""

    model = FinanceAccount

    @on(OrderPlaced, key=account_of_order_alone)
    def placed(self, row: FinanceAccount, event: OrderPlaced, meta: Meta) -> None:
        row.order_id, row.conference_id = event.order_id, event.conference_id
        row.total, row.currency = event.total.amount, event.total.currency

    @on(OrderConfirmed, key=account_of_order_alone)
    def confirmed(self, row: FinanceAccount, event: OrderConfirmed, meta: Meta) -> None:
        if not row.is_sold(meta.position):
            row.sales.append(meta.position)

    @on(OrderCancelled, key=account_of_order_alone)
    def cancelled(self, row: FinanceAccount, event: OrderCancelled, meta: Meta) -> None:
        if row.is_sold(meta.position):
            row.sales.append(meta.position)
        if event.fee is not None:
            row.fees.append([meta.position, str(event.fee.amount)])

    @on(OrderReopened, key=account_of_order_alone)
    def reopened(self, row: FinanceAccount, event: OrderReopened, meta: Meta) -> None:
        row.fees.append([meta.position, "0"])

    @on(QuantitiesChanged, key=account_of_order_alone)
    def quantities_changed(self, row: FinanceAccount, event: QuantitiesChanged, meta: Meta) -> None:
        row.prices.append([meta.position, str(event.total.amount)])

    @on(RefundFailed, key="account_id")
    def refund_failed(self, row: FinanceAccount, event: RefundFailed, meta: Meta) -> None:
        row.failures.setdefault(str(event.refund_id), []).append(meta.position)

    @on(RefundReversed, key="account_id")
    def refund_reversed(self, row: FinanceAccount, event: RefundReversed, meta: Meta) -> None:
        """One that was made by hand after it failed counts as failed already."""
        failures = row.failures.setdefault(str(event.refund_id), [])
        if not row.has_failed(event.refund_id, meta.position):
            failures.append(meta.position)

    @on(RefundRequested, key=account_if_tried_again)
    def refund_tried_again(self, row: FinanceAccount, event: RefundRequested, meta: Meta) -> None:
        row.failures[str(event.refund_id)].append(meta.position)


class Journal(Projection[JournalEntry], name="journal", version=4, mode=ASYNC, uses=["finance-accounts"]):
    """Each handler says what is debited and what is credited. An event names as many entries as it can make; those that
    it doesn't make leave no row.
    """

    model = JournalEntry

    @on(PaymentAccepted, key=sides_before_finance, look_up=(FinanceAccount, account_of_order))
    def accepted(
        self, row: JournalEntry, event: PaymentAccepted, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        return self._enter(row, event.order_id, meta, account, Transfer(event.amount, debit=held(""), credit=CUSTOMERS))

    @on(PaymentRefunded, key=both_sides, look_up=(FinanceAccount, account_of_order))
    def refunded(
        self, row: JournalEntry, event: PaymentRefunded, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        return self._enter(row, event.order_id, meta, account, Transfer(event.amount, debit=CUSTOMERS, credit=held("")))

    @on(PaymentReceived, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def received(
        self, row: JournalEntry, event: PaymentReceived, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        source = held("") if event.brought_forward else owed(event.order_id)
        return self._enter(
            row, event.order_id, meta, account, Transfer(event.amount, debit=held(event.provider), credit=source)
        )

    @on(PaymentMovedOut, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def moved_out(
        self, row: JournalEntry, event: PaymentMovedOut, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        order_id = account.order_id if account else None
        return self._enter(row, order_id, meta, account, Transfer(event.amount, debit=owed(order_id), credit=MOVING))

    @on(PaymentMovedIn, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def moved_in(
        self, row: JournalEntry, event: PaymentMovedIn, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        return self._enter(row, event.order_id, meta, account, Transfer(event.amount, debit=MOVING, credit=CUSTOMERS))

    @on(RefundRequested, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def refund_requested(
        self, row: JournalEntry, event: RefundRequested, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        return self._enter(
            row, event.order_id, meta, account, Transfer(event.amount, debit=owed(event.order_id), credit=REFUNDS)
        )

    @on(RefundFailed, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def refund_failed(
        self, row: JournalEntry, event: RefundFailed, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        return self._enter(
            row, event.order_id, meta, account, Transfer(event.amount, debit=REFUNDS, credit=owed(event.order_id))
        )

    @on(RefundSettled, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def refund_settled(
        self, row: JournalEntry, event: RefundSettled, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        """One that had failed was made by hand, of money that was no longer on its way."""
        failed = account is not None and account.has_failed(event.refund_id, meta.position)
        source = owed(event.order_id) if failed else REFUNDS
        return self._enter(
            row, event.order_id, meta, account, Transfer(event.amount, debit=source, credit=held(event.provider))
        )

    @on(RefundReversed, key=both_sides, look_up=(FinanceAccount, "account_id"))
    def refund_reversed(
        self, row: JournalEntry, event: RefundReversed, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        return self._enter(
            row,
            event.order_id,
            meta,
            account,
            Transfer(event.amount, debit=held(event.provider), credit=owed(event.order_id)),
        )

    @on(OrderConfirmed, key=both_sides, look_up=(FinanceAccount, account_of_order))
    def confirmed(
        self, row: JournalEntry, event: OrderConfirmed, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        price = known(account).price_before(meta.position)
        return self._enter(row, event.order_id, meta, account, Transfer(price, debit=CUSTOMERS, credit=REVENUE))

    @on(OrderCancelled, key=both_sides_twice, look_up=(FinanceAccount, account_of_order))
    def cancelled(
        self, row: JournalEntry, event: OrderCancelled, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        """What was earned by an order that had been confirmed is owed again, but for what is kept of it."""
        order = known(account)
        price = order.price_before(meta.position)
        nothing = price * 0
        earned = price if order.is_sold(meta.position) else nothing
        return self._enter(
            row,
            event.order_id,
            meta,
            account,
            Transfer(earned, debit=REVENUE, credit=CUSTOMERS),
            Transfer(event.fee or nothing, debit=CUSTOMERS, credit=FEES),
        )

    @on(OrderReopened, key=both_sides, look_up=(FinanceAccount, account_of_order))
    def reopened(
        self, row: JournalEntry, event: OrderReopened, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        """What was kept counts for the order again."""
        kept = known(account).fee_before(meta.position)
        return self._enter(row, event.order_id, meta, account, Transfer(kept, debit=FEES, credit=CUSTOMERS))

    @on(QuantitiesChanged, key=both_sides, look_up=(FinanceAccount, account_of_order))
    def quantities_changed(
        self, row: JournalEntry, event: QuantitiesChanged, meta: Meta, account: FinanceAccount | None
    ) -> Outcome | None:
        """What a confirmed order no longer costs was not earned, and what it costs more is. One that isn't confirmed
        has earned nothing yet.
        """
        more = event.total - event.before
        if not known(account).is_sold(meta.position):
            more *= 0
        earned = Transfer(more, debit=CUSTOMERS, credit=REVENUE)
        if more.amount < 0:
            earned = Transfer(more * -1, debit=REVENUE, credit=CUSTOMERS)
        return self._enter(row, event.order_id, meta, account, earned)

    def _enter(
        self, row: JournalEntry, order_id: UUID | None, meta: Meta, account: FinanceAccount | None, *transfers: Transfer
    ) -> Outcome | None:
        """Fill the row with the side of the transfer that its number means."""
        if order_id is not None:
            row.order_id, row.conference_id = order_id, known(account).conference_id
        which, credited = divmod(row.number % MOST, 2)
        transfer = transfers[which]
        amount = transfer.amount
        if not amount.amount:
            return DELETE
        row.position, row.event, row.recorded_at = meta.position, meta.type, meta.recorded_at
        row.currency = amount.currency
        if credited:
            (row.account, row.provider), row.credit = transfer.credit, amount.amount
        else:
            (row.account, row.provider), row.debit = transfer.debit, amount.amount
        return None
