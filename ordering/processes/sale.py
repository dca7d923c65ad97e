"""The sale: from an order to seats that are paid for, or given back, and its money with them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
from django.conf import settings

from eventstore.aggregates import Command
from eventstore.events import Meta
from ordering import conf
from ordering.domain.conference import (
    Line,
    ReleaseSeats,
    ReserveSeats,
    SeatsRefused,
    SeatsReserved,
    SellSeats,
)
from ordering.domain.finance import (
    BringForward,
    PaymentMovedIn,
    PaymentReceived,
    RefundSettled,
    RequestRefund,
    ReturnEverything,
    account_id_of,
)
from ordering.domain.order import (
    ConfirmOrder,
    CreditPayment,
    DeadlineMoved,
    DebitRefund,
    ExpireOrder,
    ExtendOrder,
    FollowPayment,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderExtended,
    OrderPlaced,
    OrderRefused,
    OrderReopened,
    OrderTakenUp,
    OrderUnderpaid,
    PaymentCredited,
    RefuseOrder,
    RequestReminder,
    TakeUpOrder,
)
from ordering.domain.payment import (
    PaymentAccepted,
    PaymentDeclined,
    PaymentPending,
    RequestPayment,
    further_payment_id,
)
from ordering.domain.values import Money, payment_id_of
from sagas.refusal import CommandRefused
from sagas.saga import Saga, on
from sagas.steps import At, Cancel, Send, Step

PAYMENT_TIMER = "payment-window"
PENDING_TIMER = "payment-pending"
REMINDER_TIMER = "payment-reminder"

CANCELLED = "The order was cancelled."
ENDED = "The order had ended when the payment arrived."
TOO_LITTLE = "The order was not paid in full in time."
TOO_MUCH = "The order cost less than was paid."
WRONG_CURRENCY = "The order is not paid in this currency."
NO_SEATS = "No seats were left when the payment arrived."


class SaleState(msgspec.Struct):
    """What the sale of one order remembers.

    `paid` says that money came in before finance kept books, and is not brought forward yet. `kept` is what came in and
    was not asked back, `asked` counts the payments asked for beyond the first, and `early` are credits that wait until
    it is clear whether there are seats. `due` is what a reopened order owes, and `grace` is how many minutes one
    is kept beyond its deadline. `fee` is what stays of the money of an order that was cancelled. `reminds` says that a
    timer runs for a reminder.
    """

    order_id: UUID | None = None
    conference_id: UUID | None = None
    total: Money | None = None
    closed: bool = False
    paid: bool = False
    lines: tuple[Line, ...] = ()
    prices: dict[str, Money] = {}
    awaits_seats: bool = False
    confirmed: bool = False
    expired: bool = False
    reviving: bool = False
    kept: Decimal = Decimal(0)
    asked: int = 0
    early: tuple[CreditPayment, ...] = ()
    pending_until: datetime | None = None
    due: Money | None = None
    grace: int = 0
    fee: Money | None = None
    customer_id: UUID | None = None
    reminds: bool = False


class Sale(Saga[SaleState], name="sale", version=2):
    """Reserve, ask for the money, credit what finance has booked; when the order ends otherwise, give back seats and
    money. Money that comes late takes the order up again, if it is all of it and there are seats.

    Until when an order is to be paid is said by the order alone: the timer follows it.

    Version 1 asked the payment itself for its money, gave it back without asking anybody, and moved the timer without
    telling the order. Instances that it began go on here.
    """

    state = SaleState

    @on(OrderPlaced, key="order_id", starts=True)
    def placed(self, state: SaleState, event: OrderPlaced, meta: Meta) -> Iterator[Step]:
        state.order_id, state.conference_id, state.total = event.order_id, event.conference_id, event.total
        lines = tuple(Line(line.seat_type, line.quantity) for line in event.lines)
        state.lines, state.awaits_seats = lines, True
        state.prices = {line.seat_type: line.unit_price for line in event.lines}
        state.customer_id, state.grace = event.customer_id, event.grace
        yield self._reserve(state, event.order_id, event.conference_id)
        yield self._wait_until(event.expires_at, state, event.order_id)
        yield from self._remind(event.expires_at, state, event.order_id, meta)

    @on(SeatsReserved, key="order_id")
    def reserved(self, state: SaleState, event: SeatsReserved, meta: Meta) -> Iterator[Step]:
        if state.reviving:
            yield Send(TakeUpOrder(order_id=event.order_id))
        elif state.closed:
            yield Send(ReleaseSeats(conference_id=event.conference_id, order_id=event.order_id))
        elif state.due is not None:
            yield from self._ask_again(state, event.order_id, state.due)
        elif not event.total.amount:
            yield Send(ConfirmOrder(order_id=event.order_id))
        else:
            yield self._ask(payment_id_of(event.order_id), event.order_id, event.total)
        yield from self._credit_early(state)

    @on(SeatsRefused, key="order_id")
    def seats_refused(self, state: SaleState, event: SeatsRefused, meta: Meta) -> Iterator[Step]:
        if state.reviving:
            state.reviving = False
            yield from self._return_everything(state, NO_SEATS)
        else:
            yield Send(RefuseOrder(order_id=event.order_id, reason=event.reason))
        yield from self._credit_early(state)

    @on(PaymentAccepted, key="order_id")
    def accepted(self, state: SaleState, event: PaymentAccepted, meta: Meta) -> Iterator[Step]:
        """Of before finance kept books, or of a process that doesn't know of finance yet. All others are booked."""
        if not event.provider:
            yield self._bring_forward(event.order_id)

    @on(PaymentPending, key="order_id")
    def pending(self, state: SaleState, event: PaymentPending, meta: Meta) -> Iterator[Step]:
        if state.pending_until is None and not state.closed and not state.confirmed:
            state.pending_until = meta.recorded_at + conf.pending_bound()
            yield from self._remind_no_more(state)
            yield self._follow(event, meta, state.pending_until, pending=True)

    @on(PaymentDeclined, key="order_id")
    def declined(self, state: SaleState, event: PaymentDeclined, meta: Meta) -> Iterator[Step]:
        """After it was pending there is time to pay in another way."""
        if state.pending_until is not None and not state.closed and not state.confirmed:
            yield self._follow(event, meta, state.pending_until, pending=False)

    @on(OrderExtended, key="order_id")
    def extended(self, state: SaleState, event: OrderExtended, meta: Meta) -> Iterator[Step]:
        yield from self._move_timer(state, event.order_id, event.expires_at)

        if not state.closed and not state.confirmed:
            yield from self._remind(event.expires_at, state, event.order_id, meta)

    @on(DeadlineMoved, key="order_id")
    def deadline_moved(self, state: SaleState, event: DeadlineMoved, meta: Meta) -> Iterator[Step]:
        yield from self._move_timer(state, event.order_id, event.expires_at)

    @on(PaymentReceived, key="order_id")
    def received(self, state: SaleState, event: PaymentReceived, meta: Meta) -> Iterator[Step]:
        yield from self._credit(state, event, brought_forward=event.brought_forward)

    @on(PaymentMovedIn, key="order_id")
    def moved_in(self, state: SaleState, event: PaymentMovedIn, meta: Meta) -> Iterator[Step]:
        yield from self._credit(state, event)

    @on(PaymentCredited, key="order_id")
    def credited(self, state: SaleState, event: PaymentCredited, meta: Meta) -> Iterator[Step]:
        if event.brought_forward:
            state.paid = False
        counts = event.amount.currency == event.due.currency
        if counts:
            state.kept += event.amount.amount
        if state.closed and not state.expired:
            yield self._return_all_but_fee(state, event.order_id, ENDED)
        elif not counts:
            yield self._refund(event, event.amount, WRONG_CURRENCY)
        elif state.expired:
            yield from self._take_late(state, event)
        else:
            yield from self._return_excess(state, event, event.due * -1)

    @on(OrderUnderpaid, key="order_id")
    def underpaid(self, state: SaleState, event: OrderUnderpaid, meta: Meta) -> Iterator[Step]:
        yield self._ask_further(state, event.order_id, event.due)

    @on(OrderConfirmed, key="order_id")
    def confirmed(self, state: SaleState, event: OrderConfirmed, meta: Meta) -> Iterator[Step]:
        state.confirmed = True
        yield from self._stop_waiting(state)
        if state.conference_id:
            yield Send(SellSeats(conference_id=state.conference_id, order_id=event.order_id))

    @on(OrderRefused, key="order_id")
    def refused(self, state: SaleState, event: OrderRefused, meta: Meta) -> Iterator[Step]:
        state.closed = True
        yield from self._stop_waiting(state)
        yield from self._return_everything(state, NO_SEATS)

    @on(OrderExpired, key="order_id")
    def expired(self, state: SaleState, event: OrderExpired, meta: Meta) -> Iterator[Step]:
        state.closed = state.expired = True
        yield from self._stop_waiting(state)
        yield from self._give_seats_back(state)
        yield from self._return_everything(state, TOO_LITTLE)

    @on(OrderTakenUp, key="order_id")
    def taken_up(self, state: SaleState, event: OrderTakenUp, meta: Meta) -> None:
        state.closed = state.expired = state.reviving = False

    @on(OrderReopened, key="order_id")
    def reopened(self, state: SaleState, event: OrderReopened, meta: Meta) -> Iterator[Step]:
        state.closed = state.expired = state.confirmed = False
        state.awaits_seats, state.pending_until = True, None
        state.due, state.grace, state.fee = event.due, event.grace, None
        if state.conference_id:
            yield self._reserve(state, event.order_id, state.conference_id)
        yield self._wait_until(event.expires_at, state, event.order_id)
        yield from self._remind(event.expires_at, state, event.order_id, meta)

    @on(OrderCancelled, key="order_id")
    def cancelled(self, state: SaleState, event: OrderCancelled, meta: Meta) -> Iterator[Step]:
        state.closed, state.fee = True, event.fee
        yield from self._stop_waiting(state)
        yield from self._give_seats_back(state)
        yield from self._return_everything(state, CANCELLED)
        if state.paid:
            yield self._bring_forward(event.order_id)

    @on(RefundSettled, key="order_id")
    def refund_settled(self, state: SaleState, event: RefundSettled, meta: Meta) -> Iterator[Step]:
        if state.order_id:
            yield Send(DebitRefund(order_id=state.order_id, refund_id=event.refund_id, amount=event.amount))

    @on(CommandRefused, key="key")
    def command_refused(self, state: SaleState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """The order had ended just before its confirmation, or could not be taken up again: the money goes back."""
        if event.command == ConfirmOrder.stored and state.paid and state.order_id:
            yield self._bring_forward(state.order_id)
        if event.command == TakeUpOrder.stored:
            state.reviving = False
            yield from self._give_seats_back(state)
            yield from self._return_everything(state, ENDED)

    def timer_moved(self, timer: At, due_at: datetime, reason: str) -> Command | None:
        """The order is to be paid until another time then, with as much grace as before."""
        if not isinstance(timer.command, ExpireOrder):
            return None
        grace = timer.due_at - (timer.command.deadline or timer.due_at)
        return ExtendOrder(order_id=timer.command.order_id, expires_at=due_at - grace, reason=reason)

    def _credit(
        self, state: SaleState, event: PaymentReceived | PaymentMovedIn, *, brought_forward: bool = False
    ) -> Iterator[Step]:
        """At once, or as soon as it is clear whether there are seats: an order without any must not be confirmed."""
        if state.order_id is None:
            return
        credit = CreditPayment(
            order_id=state.order_id,
            payment_id=event.payment_id,
            provider=event.provider,
            reference=event.reference,
            amount=event.amount,
            brought_forward=brought_forward,
        )
        if state.awaits_seats:
            state.early += (credit,)
        else:
            yield Send(credit)

    def _credit_early(self, state: SaleState) -> Iterator[Step]:
        state.awaits_seats = False
        yield from map(Send, state.early)
        state.early = ()

    def _take_late(self, state: SaleState, event: PaymentCredited) -> Iterator[Step]:
        """Reserve again, if the money is all there; what is too much goes back, and what is too little as well."""
        missing = state.total.amount - state.kept if state.total else Decimal(0)
        if missing <= 0 and state.lines and state.conference_id:
            if not state.reviving:
                state.reviving = True
                yield self._reserve(state, event.order_id, state.conference_id)
            yield from self._return_excess(state, event, Money(-missing, event.amount.currency))
        elif not state.reviving:
            yield from self._return_everything(state, ENDED)

    def _return_excess(self, state: SaleState, event: PaymentCredited, excess: Money) -> Iterator[Step]:
        """Of this payment. What of others was too much has been asked back before, or is for staff to decide."""
        amount = min(excess.amount, event.amount.amount)
        if amount <= 0 or not conf.returned_at_once(event.provider):
            return
        state.kept -= amount
        yield self._refund(event, Money(amount, event.amount.currency), TOO_MUCH)

    def _return_everything(self, state: SaleState, reason: str) -> Iterator[Step]:
        fee = state.fee.amount if state.fee else Decimal(0)
        if state.kept > fee and state.order_id:
            yield self._return_all_but_fee(state, state.order_id, reason)

    def _return_all_but_fee(self, state: SaleState, order_id: UUID, reason: str) -> Step:
        state.kept = state.fee.amount if state.fee else Decimal(0)
        return Send(ReturnEverything(account_id=account_id_of(order_id), reason=reason, keep=state.fee))

    def _reserve(self, state: SaleState, order_id: UUID, conference_id: UUID) -> Step:
        return Send(
            ReserveSeats(
                conference_id=conference_id,
                order_id=order_id,
                lines=state.lines,
                prices=state.prices,
                customer_id=state.customer_id,
            )
        )

    def _give_seats_back(self, state: SaleState) -> Iterator[Step]:
        if state.conference_id and state.order_id:
            yield Send(ReleaseSeats(conference_id=state.conference_id, order_id=state.order_id))

    def _wait_until(self, deadline: datetime, state: SaleState, order_id: UUID) -> Step:
        expires = ExpireOrder(order_id=order_id, deadline=deadline)
        return At(deadline + timedelta(minutes=state.grace), expires, name=PAYMENT_TIMER)

    def _remind(self, deadline: datetime, state: SaleState, order_id: UUID, meta: Meta) -> Iterator[Step]:
        """Who has long enough for that."""
        before = conf.reminded_before()
        if deadline - meta.recorded_at >= 2 * before:
            state.reminds = True
            yield At(deadline - before, RequestReminder(order_id=order_id), name=REMINDER_TIMER)

    def _move_timer(self, state: SaleState, order_id: UUID, deadline: datetime) -> Iterator[Step]:
        if not state.closed and not state.confirmed:
            yield from self._stop_waiting(state)
            yield self._wait_until(deadline, state, order_id)

    def _follow(self, event: PaymentPending | PaymentDeclined, meta: Meta, until: datetime, *, pending: bool) -> Step:
        return Send(FollowPayment(order_id=event.order_id, since=meta.recorded_at, until=until, pending=pending))

    def _stop_waiting(self, state: SaleState) -> Iterator[Step]:
        yield Cancel(PAYMENT_TIMER)
        yield from self._remind_no_more(state)
        if state.pending_until is not None:
            yield Cancel(PENDING_TIMER)

    def _remind_no_more(self, state: SaleState) -> Iterator[Step]:
        if state.reminds:
            state.reminds = False
            yield Cancel(REMINDER_TIMER)

    def _refund(self, event: PaymentCredited, amount: Money, reason: str) -> Step:
        return Send(
            RequestRefund(
                account_id=account_id_of(event.order_id),
                provider=event.provider,
                reference=event.reference,
                amount=amount,
                reason=reason,
            )
        )

    def _ask(self, payment_id: UUID, order_id: UUID, amount: Money) -> Step:
        return Send(
            RequestPayment(payment_id=payment_id, order_id=order_id, amount=amount, provider=settings.PAYMENT_PROVIDER)
        )

    def _ask_again(self, state: SaleState, order_id: UUID, due: Money) -> Iterator[Step]:
        """Of an order that was reopened, what is due then."""
        if due.amount > 0:
            yield self._ask_further(state, order_id, due)
        else:
            yield Send(ConfirmOrder(order_id=order_id))

    def _ask_further(self, state: SaleState, order_id: UUID, due: Money) -> Step:
        state.asked += 1
        return self._ask(further_payment_id(order_id, state.asked), order_id, due)

    def _bring_forward(self, order_id: UUID) -> Step:
        return Send(
            BringForward(account_id=account_id_of(order_id), order_id=order_id, payment_id=payment_id_of(order_id))
        )
