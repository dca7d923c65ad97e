"""What customers, staff, providers and time do to the business, in any order."""

import os
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid5

from hypothesis import HealthCheck, Phase
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    rule,
    run_state_machine_as_test,
)

from eventstore.aggregates import Command
from eventstore.errors import DomainError
from ordering.domain.conference_changes import (
    AddPool,
    AssignPools,
    CancelConference,
    ChangeCancellationRule,
    ChangeCapacity,
    ChangePool,
    HoldSeats,
    Pool,
    ReleaseHold,
)
from ordering.domain.customer import RegisterCustomer
from ordering.domain.finance import (
    Account,
    MarkRefundMade,
    RefundStatus,
    ReportRefund,
    RequestRefund,
    RetryRefund,
    SettleRefund,
)
from ordering.domain.order import (
    CancelOrder,
    ExpireOrder,
    ExtendOrder,
    Order,
    PlaceOrder,
    ReopenOrder,
    Status,
)
from ordering.domain.order_changes import ChangeQuantities
from ordering.domain.payment import (
    AcceptPayment,
    AssignPayment,
    AwaitPayment,
    DeclinePayment,
    KeepUnmatched,
    Payment,
    further_payment_id,
    unmatched_payment_id,
)
from ordering.domain.scheduling import ScheduleConference
from ordering.domain.seats import Line, SeatType
from ordering.domain.terms import CancellationRule
from ordering.domain.values import Money, payment_id_of
from tests.business.model import ENDED, NOT_YET, PRICE, TYPES, Model
from tests.business.worlds import BANK, FAILS, HANGS, SETTLES, UNKNOWN

IDS = UUID("01890000-0000-7000-8000-000000000000")
MOST_ORDERS = 6
REASON = "Somebody asked."

some = st.integers(0, 11)
"""Which one of those that there are."""

choices = st.lists(st.integers(0, 50), max_size=12)
"""What happens next, of what may."""

lines = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(1, 3)), min_size=1, max_size=2)


def euros(amount: Decimal | int) -> Money:
    return Money(Decimal(amount), "EUR")


class Business(Model):
    """What may be asked for is asked for, whether or not it makes sense: what is refused changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = count(1)
        self.holds: list[UUID] = []
        self.reports: list[AcceptPayment | KeepUnmatched] = []

    def new_id(self) -> UUID:
        return uuid5(IDS, str(next(self.ids)))

    def attempt(self, command: Command) -> bool:
        """Whether it was carried out."""
        before = len(self.world.since(self.seen))
        try:
            self.world.dispatch(command)
        except DomainError:
            assert len(self.world.since(self.seen)) == before
            return False
        return True

    @initialize(capacity=st.integers(3, 9), fee=st.sampled_from([0, 5, 150]), percent=st.sampled_from([0, 10, 100]))
    def open(self, capacity: int, fee: int, percent: int) -> None:
        self.conference, self.customer, now = self.new_id(), self.new_id(), self.world.now
        self.world.dispatch(RegisterCustomer(customer_id=self.customer, name="Ada", email="ada@example.com"))
        self.world.dispatch(
            ScheduleConference(
                conference_id=self.conference,
                name="Logs",
                starts_at=now + timedelta(days=300),
                opens_at=now - timedelta(days=1),
                closes_at=now + timedelta(days=299),
                seat_types=tuple(SeatType(code, code.title(), euros(PRICE), capacity, 4) for code in TYPES),
            )
        )
        of_it = self.conference
        self.world.dispatch(AddPool(conference_id=of_it, pool=Pool("hall", "Hall", capacity + 2)))
        for code in TYPES:
            self.world.dispatch(AssignPools(conference_id=of_it, seat_type=code, pools=("hall",)))
        terms = CancellationRule(fixed=euros(fee) if fee else None, percent=percent)
        self.attempt(ChangeCancellationRule(conference_id=of_it, rule=terms))

    # Customers

    @rule(lines=lines, choices=choices)
    def place(self, lines: list[tuple[str, int]], choices: list[int]) -> None:
        if len(self.orders) == MOST_ORDERS:
            return
        order, asked = self.new_id(), tuple(Line(code, quantity) for code, quantity in lines)
        placing = PlaceOrder(order_id=order, customer_id=self.customer, conference_id=self.conference, lines=asked)
        if self.attempt(placing):
            self.orders.append(order)
        self.go_on(choices)

    @rule(lines=lines)
    def place_and_wait(self, lines: list[tuple[str, int]]) -> None:
        self.place(lines, [])
        self.world.rest()

    @rule(which=some, lines=lines, choices=choices)
    def change_quantities(self, which: int, lines: list[tuple[str, int]], choices: list[int]) -> None:
        if self.orders:
            wanted = tuple(Line(code, quantity) for code, quantity in lines)
            self.attempt(ChangeQuantities(order_id=self._order(which), lines=wanted))
            self.go_on(choices)

    @rule(which=some, code=st.sampled_from(TYPES), choices=choices)
    def pay_and_add_a_seat(self, which: int, code: str, choices: list[int]) -> None:
        """What is due is paid, and the order is to have one seat more."""
        self.world.rest()
        if not self.orders:
            return
        it = self.world.get(Order, order := self._order(which))
        if it.awaits_payment and (payments := self._payments(order)):
            self._pay(order, payments[-1], it.due.amount, "EUR", SETTLES)
            self.world.rest()
            it = self.world.get(Order, order)
        seats = Counter({line.seat_type: line.quantity for line in it.asked_for})
        seats[code] += 1
        wanted = tuple(Line(each, quantity) for each, quantity in seats.items())
        self.attempt(ChangeQuantities(order_id=order, lines=wanted))
        self.go_on(choices)

    @rule(which=some)
    def cancel(self, which: int) -> None:
        self._cancel(which, None)

    # Providers

    @rule(
        which=some,
        payment=some,
        part=st.sampled_from(["all", "all", "all", "due", "due", "half", "more", "one"]),
        currency=st.sampled_from(["EUR", "EUR", "EUR", "EUR", "CHF"]),
        begins=st.sampled_from([SETTLES, SETTLES, FAILS, HANGS, UNKNOWN]),
        choices=choices,
    )
    def pay(self, which: int, payment: int, part: str, currency: str, begins: str, choices: list[int]) -> None:
        """One of the payments that were asked for, whether or not it was paid before."""
        asked = [order for order in self.orders if self._payments(order)]
        if not asked:
            return
        order = asked[which % len(asked)]
        payments, it = self._payments(order), self.world.get(Order, order)
        total, due = it.total.amount, max(it.due.amount, Decimal(1))
        amount = {"all": total, "due": due, "half": total / 2, "more": total + 7, "one": Decimal(1)}[part]
        self._pay(order, payments[payment % len(payments)], amount, currency, begins)
        self.go_on(choices)

    @rule(which=some)
    def report_again(self, which: int) -> None:
        """What was paid is told once more."""
        if self.reports:
            before = len(self.world.since(0))
            self.world.dispatch(self.reports[which % len(self.reports)])
            assert len(self.world.since(0)) == before

    @rule(which=some, pending=st.booleans())
    def report_no_money(self, which: int, pending: bool) -> None:
        if self.orders:
            payment_id = payment_id_of(self._order(which))
            declined = DeclinePayment(payment_id=payment_id, reason="No.")
            self.attempt(AwaitPayment(payment_id=payment_id) if pending else declined)

    @rule(amount=st.sampled_from([PRICE, PRICE * 2]), currency=st.sampled_from(["EUR", "EUR", "CHF"]))
    def pay_for_nobody(self, amount: Decimal, currency: str) -> None:
        reference, money = f"{SETTLES}-{next(self.ids)}", Money(amount, currency)
        payment_id = unmatched_payment_id(BANK, reference)
        kept = KeepUnmatched(payment_id=payment_id, provider=BANK, reference=reference, amount=money)
        self.world.dispatch(kept)
        self.unknown.append(payment_id)
        self.paid[payment_id, currency] += amount
        self.reports.append(kept)

    # Staff

    @rule(which=some, order=some)
    def assign(self, which: int, order: int) -> None:
        if self.unknown and self.orders:
            payment_id = self.unknown[which % len(self.unknown)]
            self.attempt(AssignPayment(payment_id=payment_id, order_id=self._order(order)))

    @rule(which=some, keep=st.sampled_from([0, 1, 100, 10_000]))
    def cancel_and_keep(self, which: int, keep: int) -> None:
        self._cancel(which, euros(keep))

    @rule(which=some, receipt=some, half=st.booleans())
    def refund(self, which: int, receipt: int, half: bool) -> None:
        """Of an order that is yet to be confirmed it is no favour: it is to be paid again."""
        owners = [*self.orders, *self.unknown]
        if not owners:
            return
        account = self.account(owner := owners[which % len(owners)])
        if not account.receipts:
            return
        key = [*account.receipts][receipt % len(account.receipts)]
        of, left = account.receipts[key], account.left(key)
        amount = Money((left.amount / 2).quantize(Decimal("0.01")), left.currency) if half else left
        named: dict[str, Any] = {"provider": of.provider, "reference": of.reference}
        asked = RequestRefund(account_id=account.id, amount=amount, reason=REASON, **named)
        waits = owner in self.orders and self.world.get(Order, owner).status is Status.PLACED
        if self.attempt(asked) and amount.currency == "EUR" and not waits:
            self.given_back_by_staff[owner] += amount.amount

    @rule(which=some, refund=some, command=st.sampled_from([RetryRefund, MarkRefundMade, SettleRefund]))
    def go_on_with_a_refund(self, which: int, refund: int, command: Any) -> None:
        """Only what is known to be under way for good is settled without the bank."""
        if not self.orders:
            return
        account = self.account(self._order(which))
        if command is SettleRefund or not account.refunds:
            waiting = [id_ for id_, each in account.refunds.items() if HANGS in each.receipt]
        else:
            waiting = [id_ for id_, each in account.refunds.items() if each.status is RefundStatus.FAILED]
        if waiting:
            refund_id = waiting[refund % len(waiting)]
            done = self.attempt(command(account_id=account.id, refund_id=refund_id))
            amount = account.refunds[refund_id].amount
            if done and refund_id in self.came_back and amount.currency == "EUR":
                self.given_back_by_staff[self._order(which)] += amount.amount

    @rule(which=some, refund=some, twice=st.booleans(), choices=choices)
    def have_a_refund_come_back(self, which: int, refund: int, twice: bool, choices: list[int]) -> None:
        """The bank has given it back, and has it again."""
        owners = [*self.orders, *self.unknown]
        account = self.account(owners[which % len(owners)]) if owners else None
        made = self._made_by_the_bank(account) if account else []
        if not account or not made:
            return
        refund_id = made[refund % len(made)]
        it = account.refunds[refund_id]
        receipt = account.receipts[it.receipt]
        told = ReportRefund(
            account_id=account.id,
            provider=receipt.provider,
            reference=receipt.reference,
            refund_id=refund_id,
            attempt=it.attempt,
            refund_reference=it.refund_reference,
            amount=it.amount,
            settled=False,
            reason="The account is closed.",
        )
        assert self.attempt(told)
        self.came_back.add(refund_id)
        if twice:
            before = len(self.world.since(0))
            assert self.attempt(told)
            assert len(self.world.since(0)) == before
        self.go_on(choices)

    @rule(which=some, hours=st.sampled_from([1, 48]))
    def extend(self, which: int, hours: int) -> None:
        if self.orders:
            until = self.world.now + timedelta(hours=hours)
            self.attempt(ExtendOrder(order_id=self._order(which), expires_at=until, reason=REASON))

    @rule(which=some)
    def reopen(self, which: int) -> None:
        if self.orders:
            order = self._order(which)
            self.reopening.add(order)
            self.attempt(ReopenOrder(order_id=order, reason=REASON))
            self.see()
            self.reopening.discard(order)

    @rule(which=some)
    def expire_twice(self, which: int) -> None:
        """The second time nothing happens."""
        if self.orders:
            expire = ExpireOrder(order_id=self._order(which))
            if self.attempt(expire):
                assert not self.attempt(expire)

    @rule(code=st.sampled_from(TYPES), capacity=st.integers(0, 12))
    def change_capacity(self, code: str, capacity: int) -> None:
        of_it = self.conference
        self.attempt(ChangeCapacity(conference_id=of_it, seat_type=code, capacity=capacity, reason=REASON))

    @rule(capacity=st.integers(0, 16))
    def change_the_pool(self, capacity: int) -> None:
        of_it = self.conference
        self.attempt(ChangePool(conference_id=of_it, pool="hall", name="Hall", capacity=capacity, reason=REASON))

    @rule(code=st.sampled_from(TYPES), quantity=st.integers(1, 3))
    def hold(self, code: str, quantity: int) -> None:
        hold_id = self.new_id()
        of_it = {"conference_id": self.conference, "hold_id": hold_id}
        hold = HoldSeats(**of_it, seat_type=code, quantity=quantity, label="Press", reason=REASON, seen=None)
        if self.attempt(hold):
            self.holds.append(hold_id)

    @rule(which=some)
    def release_a_hold(self, which: int) -> None:
        if self.holds:
            hold_id = self.holds[which % len(self.holds)]
            self.attempt(ReleaseHold(conference_id=self.conference, hold_id=hold_id, quantity=1))

    @rule(really=st.integers(0, 15))
    def cancel_the_conference(self, really: int) -> None:
        if really == 7 and self.attempt(CancelConference(conference_id=self.conference, reason=REASON)):
            self.conference_cancelled = True

    # Time, and what follows

    @rule(minutes=st.sampled_from([1, 5, 16, 60, 80 * 60]))
    def let_time_pass(self, minutes: int) -> None:
        self.world.let_pass(timedelta(minutes=minutes))

    @rule(choices=choices)
    def go_on(self, choices: list[int]) -> None:
        for choice in choices:
            self.world.advance(choice)

    @rule()
    def come_to_rest(self) -> None:
        self.world.rest()
        self.see()
        self.check_orders()
        self.check_money()

    def teardown(self) -> None:
        if self.conference != NOT_YET:
            self.come_to_rest()
            self.world.let_pass(timedelta(days=20))
            self.come_to_rest()
            assert not [order for order in self.orders if self.world.get(Order, order).awaits_payment]
            if self.conference_cancelled:
                assert all(self.status[order] in ENDED for order in self.orders)

    # Of whom it is about

    def _made_by_the_bank(self, account: Account) -> list[UUID]:
        refunds = account.refunds.items()
        return [id_ for id_, each in refunds if each.status is RefundStatus.SETTLED and each.refund_reference]

    def _order(self, which: int) -> UUID:
        return self.orders[which % len(self.orders)]

    def _payments(self, order: UUID) -> list[UUID]:
        """Those that were asked for, the first and the further ones."""
        known = (payment_id_of(order), *(further_payment_id(order, number) for number in range(1, 9)))
        return [payment_id for payment_id in known if self.world.get(Payment, payment_id).exists]

    def _pay(self, order: UUID, payment_id: UUID, amount: Decimal, currency: str, begins: str) -> None:
        reference = f"{begins}-{next(self.ids)}"
        money = Money(amount, currency)
        paying = AcceptPayment(payment_id=payment_id, amount=money, reference=reference, provider=BANK)
        self.world.dispatch(paying)
        self.paid[order, currency] += amount
        self.reports.append(paying)

    def _cancel(self, which: int, keep: Money | None) -> None:
        if self.orders:
            order = self._order(which)
            self.cancelling.add(order)
            self.attempt(CancelOrder(order_id=order, reason=REASON, keep=keep))
            self.see()
            self.cancelling.discard(order)


def tell(business: type[Business], *, stories: int, steps: int) -> None:
    """So many stories, the same in every run; or as many others as STORIES says, of STEPS steps, and where one fails
    the steps to that are made few.
    """
    asked = int(os.environ.get("STORIES", "0"))
    run_state_machine_as_test(
        business,
        settings=profile(
            max_examples=asked or stories,
            stateful_step_count=int(os.environ.get("STEPS", steps)),
            derandomize=not asked,
            database=None,
            deadline=None,
            phases=[Phase.generate, *([Phase.shrink] if asked else [])],
            suppress_health_check=list(HealthCheck),
        ),
    )
