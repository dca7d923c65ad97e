"""A model beside the business that knows none of its rules: what was paid for whom, what was asked for, and how much
staff gave back. And what has to hold by it, after every step and when all is done.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)

from eventstore.codec import Recorded
from ordering.domain.conference import ConferenceSeats
from ordering.domain.finance import (
    Account,
    PaymentMovedIn,
    PaymentReceived,
    RefundReversed,
    RefundSettled,
    RefundStatus,
    account_id_of,
)
from ordering.domain.order import (
    Order,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderExtended,
    OrderPlaced,
    OrderRefused,
    OrderReopened,
    OrderTakenUp,
    Status,
)
from ordering.domain.seats import Line, at_least
from ordering.domain.values import Money
from ordering.models import JournalEntry
from ordering.processes.sale import PAYMENT_TIMER
from ordering.providers import registry
from tests.business.worlds import Bank, World

A = JournalEntry.Account
CURRENCIES = ("EUR", "CHF")
PRICE, NOTHING = Decimal("100.00"), Decimal(0)
NOT_YET = UUID(int=0)
TYPES = ("standard", "balcony")

ENDS: dict[type, Status] = {
    OrderRefused: Status.REFUSED,
    OrderExpired: Status.EXPIRED,
    OrderCancelled: Status.CANCELLED,
}
OPEN, ENDED = {Status.PLACED, Status.CONFIRMED}, {*ENDS.values()}


class Model(RuleBasedStateMachine):
    """What is known of one conference, its orders and its money."""

    make_world: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.conference = NOT_YET
        self.bank = Bank()
        registry.register(self.bank)
        self.world = self.make_world()
        self.orders: list[UUID] = []
        self.unknown: list[UUID] = []
        self.paid: dict[tuple[UUID, str], Decimal] = defaultdict(Decimal)
        self.given_back_by_staff: dict[UUID, Decimal] = defaultdict(Decimal)
        self.came_back: set[UUID] = set()
        self.seen = 0
        self.status: dict[UUID, Status] = {}
        self.cancelling: set[UUID] = set()
        self.reopening: set[UUID] = set()
        self.extended: dict[UUID, datetime] = {}
        self.conference_cancelled = False

    # What always holds

    @invariant()
    def no_seat_is_given_out_twice(self) -> None:
        if self.conference == NOT_YET:
            return
        seats = self.world.get(ConferenceSeats, self.conference)
        assert not {*seats.reserved} & {*seats.sold}
        for code in TYPES:
            held = sum(hold.quantity for hold in seats.holds.values() if hold.seat_type == code)
            given_out = _seats([*seats.reserved.values(), *seats.sold.values()], code) + held
            assert given_out == seats.taken[code] <= seats.seat_types[code].capacity
        assert sum(seats.taken[code] for code in TYPES) <= seats.pools["hall"].capacity

    @invariant()
    def what_has_ended_stays_so_unless_somebody_asked(self) -> None:
        self.see()

    @invariant()
    def no_fee_is_more_than_was_paid(self) -> None:
        for order_id in self.orders:
            order = self.world.get(Order, order_id)
            assert NOTHING <= order.fee.amount <= order.received.amount

    @invariant()
    def no_more_goes_back_than_was_received(self) -> None:
        for owner in (*self.orders, *self.unknown):
            account = self.account(owner)
            failed = [each for each in account.refunds.values() if each.status is RefundStatus.FAILED]
            for key in account.receipts:
                to_try_again = sum((each.amount.amount for each in failed if each.receipt == key), NOTHING)
                assert NOTHING <= to_try_again <= account.left(key).amount

    def see(self) -> None:
        """What has happened to orders since."""
        for told in self.world.since(self.seen):
            self.seen = told.position
            if isinstance(told.event, OrderPlaced):
                self.status[told.stream_id] = Status.PLACED
            elif told.category == "order":
                self.status[told.stream_id] = self._next(told, self.status[told.stream_id])

    def _next(self, told: Recorded, before: Status) -> Status:
        order = told.stream_id
        match told.event:
            case OrderConfirmed() | OrderRefused():
                assert before is Status.PLACED
            case OrderExpired():
                assert before is Status.PLACED
                assert (
                    order not in self.extended or told.recorded_at >= self.extended[order] or not self.world.has_clock
                )
            case OrderCancelled():
                assert before in OPEN
                assert order in self.cancelling or self.conference_cancelled
            case OrderExtended(expires_at=until):
                self.extended[order] = until
                return before
            case OrderReopened():
                self.extended.pop(order, None)
                assert before in ENDED
                assert order in self.reopening
                return Status.PLACED
            case OrderTakenUp():
                assert before is Status.EXPIRED
                return Status.PLACED  # it is confirmed in the same decision
            case _:
                return before
        return ENDS.get(type(told.event), Status.CONFIRMED)

    # What holds when all is done

    def check_orders(self) -> None:
        seats = self.world.get(ConferenceSeats, self.conference)
        for order_id in self.orders:
            order = self.world.get(Order, order_id)
            assert (order_id in seats.sold) == (order.status is Status.CONFIRMED)
            assert (order_id in seats.reserved) == (order.status is Status.PLACED)
            assert self.world.timers(order_id, PAYMENT_TIMER) == order.awaits_payment
            assert not order.wanted
            if order.status in OPEN:
                has = seats.reserved.get(order_id) or seats.sold[order_id]
                assert {*has} == {*at_least(order.kept, order.asked_for)}
            self._check_what_is_kept(order)

    def _check_what_is_kept(self, order: Order) -> None:
        """Of an order that has ended nothing but the fee, and what could not go back; of one that is confirmed what it
        costs, less what staff gave back, and what has come in for a change that it owes money for.
        """
        account, by_staff = self.account(order.id), self.given_back_by_staff[order.id]
        kept = sum(
            (account.left(key).amount for key in account.receipts if account.left(key).currency == "EUR"), NOTHING
        )
        failed = [each.amount for each in account.refunds.values() if each.status is RefundStatus.FAILED]
        stuck = sum((each.amount for each in failed if each.currency == "EUR"), NOTHING)
        assert order.received.amount == sum(
            (each.amount.amount for each in account.receipts.values() if each.amount.currency == "EUR"), NOTHING
        )
        if order.awaits_payment:
            assert order.still_owes(account).amount > 0
        if order.status is Status.CONFIRMED:
            most = order.owed.total if order.owed else order.total
            assert order.total.amount - by_staff <= kept <= most.amount + stuck
        elif order.status in ENDED:
            assert order.fee.amount - by_staff <= kept <= order.fee.amount + stuck

    def check_money(self) -> None:
        """Received is what confirmed orders cost, what has gone back, what is held, and what nobody knows; and so say
        the log, the books, the bank and the model.
        """
        entries, log = self.world.entries(), self.world.since(0)
        orders = [self.world.get(Order, order_id) for order_id in self.orders]
        accounts = [self.account(owner) for owner in (*self.orders, *self.unknown)]
        at: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        balance: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for entry in entries:
            at[entry.position, entry.currency] += entry.debit - entry.credit
            balance[entry.account, entry.currency] += entry.debit - entry.credit
        assert not any(at.values())
        for currency in CURRENCIES:
            received = _sum((each.event.amount for each in log if isinstance(each.event, PaymentReceived)), currency)
            returned = _sum((each.event.amount for each in log if isinstance(each.event, RefundSettled)), currency)
            returned -= _sum((each.event.amount for each in log if isinstance(each.event, RefundReversed)), currency)
            refunds = [each for account in accounts for each in account.refunds.values()]
            under_way = _sum((each.amount for each in refunds if each.status is RefundStatus.REQUESTED), currency)
            costs = _sum((each.total for each in orders if each.status is Status.CONFIRMED), currency)
            fees = _sum((each.fee for each in orders), currency)
            unknown = _sum(_left(self.account(owner) for owner in self.unknown), currency)
            owed = _sum(_left(self.account(owner) for owner in self.orders), currency) - costs - fees
            assert received == sum(amount for (_, each), amount in self.paid.items() if each == currency)
            assert received == costs + fees + returned + owed + under_way + unknown
            assert balance[A.PROVIDER, currency] == received - returned
            assert balance[A.REVENUE, currency] == -costs
            assert balance[A.FEES, currency] == -fees
            assert balance[A.CUSTOMERS, currency] == -owed
            assert balance[A.REFUNDS, currency] == -under_way
            assert balance[A.UNMATCHED, currency] == -unknown
            assert balance[A.MOVING, currency] == 0
            settled = [each.event for each in log if isinstance(each.event, RefundSettled)]
            by_the_bank = _sum((each.amount for each in settled if each.refund_reference), currency)
            assert by_the_bank == _sum(self.bank.given_back.values(), currency)
        for order_id in self.orders:
            told = [each.event for each in log if each.stream_id == account_id_of(order_id)]
            for currency in CURRENCIES:
                booked = _sum((each.amount for each in told if isinstance(each, PaymentReceived)), currency)
                assert booked == self.paid[order_id, currency]
        moved = [each.event.reference for each in log if isinstance(each.event, PaymentMovedIn)]
        assert len({*moved}) == len(moved)

    def account(self, owner: UUID) -> Account:
        return self.world.get(Account, account_id_of(owner))


def _seats(of_orders: Iterable[Iterable[Line]], code: str) -> int:
    return sum(line.quantity for lines in of_orders for line in lines if line.seat_type == code)


def _left(accounts: Iterable[Account]) -> list[Money]:
    return [account.left(key) for account in accounts for key in account.receipts]


def _sum(amounts: Iterable[Money], currency: str) -> Decimal:
    return sum((each.amount for each in amounts if each.currency == currency), NOTHING)
