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
from ordering.domain.finance import (
    BringForward,
    PaymentMovedIn,
    PaymentReceived,
    RefundFailed,
    RefundReversed,
    RefundSettled,
    RequestRefund,
    ReturnEverything,
    account_id_of,
    receipt_key,
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
    ProviderChosen,
    RecreditRefund,
    RefundRecredited,
    RefuseOrder,
    RequestReminder,
    ReviewPayment,
    TakeUpOrder,
)
from ordering.domain.order_changes import (
    ConcludeChange,
    QuantitiesChanged,
    QuantityChangeLapsed,
    QuantityChangeOwed,
    QuantityChangeRefused,
    QuantityChangeRequested,
    TakeUpChange,
)
from ordering.domain.payment import (
    PaymentAccepted,
    PaymentDeclined,
    PaymentPending,
    RequestPayment,
    further_payment_id,
)
from ordering.domain.seats import (
    ChangeSeats,
    Line,
    PricedLine,
    ReleaseSeats,
    ReserveSeats,
    SeatsChanged,
    SeatsChangeRefused,
    SeatsRefused,
    SeatsReserved,
    SellSeats,
    UnpaidLimit,
    at_least,
    total,
)
from ordering.domain.values import Money, payment_id_of
from sagas.refusal import CommandRefused
from sagas.saga import Saga, on, on_refusal
from sagas.steps import At, Cancel, Send, Step

PAYMENT_TIMER = "payment-window"
PENDING_TIMER = "payment-pending"
REMINDER_TIMER = "payment-reminder"

CANCELLED = "The order was cancelled."
CHANGED = "The order has fewer seats."
ENDED = "The order had ended when the payment arrived."
LAPSED = "The change of the order was not paid in full in time."
TOO_LITTLE = "The order was not paid in full in time."
TOO_MUCH = "The order cost less than was paid."
WRONG_CURRENCY = "The order is not paid in this currency."
NO_SEATS = "No seats were left when the payment arrived."


class SaleState(msgspec.Struct):
    """What the sale of one order remembers.

    `paid` says that money came in before finance kept books, and is not brought forward yet. `kept` is what came in and
    was not asked back, `asked` counts the payments asked for beyond the first, and `early` are credits that wait until
    it is clear whether there are seats; `reserving` counts the answers about seats that are yet to come. `credited`
    names the receipts that the order has been credited with; sales that began before these were noted don't know. `due`
    is what a reopened order owes, and `grace` is how many minutes one is kept beyond its deadline. `reopened` counts
    how often it was; sales that began before that was counted don't know either. `fee` is what stays of the money of an
    order that was cancelled. `reminds` says that a timer runs for a reminder. The `provider` collects the money; empty
    for that of the site.

    `changing` says that a change is under way; when it was asked for the order had some money to `spare`. `owed` is
    what a confirmed order will cost once a change of it is paid, and `late` what it would cost if one that has lapsed
    were paid after all. What comes in `meanwhile` is kept until it is clear what the order costs.
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
    reopened: int | None = None
    reserving: int = 0
    provider: str = ""
    credited: tuple[str, ...] | None = None
    changing: bool = False
    spare: Money | None = None
    owed: Money | None = None
    late: Money | None = None
    meanwhile: tuple[PaymentCredited, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether the order is to be paid until its deadline, or a change of it."""
        return not self.closed and (not self.confirmed or self.owed is not None)

    @property
    def to_stay(self) -> Money | None:
        """What finance is to have of it when it costs less than was paid, where finance knows of all its money."""
        return None if self.paid else self.total


class Sale(Saga[SaleState], name="sale", version=4):
    """Reserve, ask for the money, credit what finance has booked; when the order ends otherwise, give back seats and
    money. Money that comes late takes the order up again, if it is all of it and there are seats.

    A change that a confirmed order owes money for is paid and waited for likewise. Until it is in force, or has lapsed,
    the order keeps its own seats beside those that it is to have.

    Until when an order is to be paid is said by the order alone: the timer follows it.

    Version 1 asked the payment itself for its money, gave it back without asking anybody, and moved the timer without
    telling the order. Instances that it began go on here.
    """

    state = SaleState

    @on(OrderPlaced, key="order_id", starts=True)
    def placed(self, state: SaleState, event: OrderPlaced, meta: Meta) -> Iterator[Step]:
        state.order_id, state.conference_id, state.total = event.order_id, event.conference_id, event.total
        state.lines, state.awaits_seats = _without_prices(event.lines), True
        state.prices = {line.seat_type: line.unit_price for line in event.lines}
        state.customer_id, state.provider = event.customer_id, event.provider
        state.grace, state.reopened, state.credited = event.grace, 0, ()
        yield self._reserve(state, event.order_id, event.conference_id)
        yield self._wait_until(event.expires_at, state, event.order_id)
        yield from self._remind(event.expires_at, state, event.order_id, meta)

    @on(SeatsReserved, key="order_id")
    def reserved(self, state: SaleState, event: SeatsReserved, meta: Meta) -> Iterator[Step]:
        if self._is_overtaken(state):
            return
        if state.reviving:
            yield Send(TakeUpOrder(order_id=event.order_id))
        elif state.closed:
            yield Send(ReleaseSeats(conference_id=event.conference_id, order_id=event.order_id))
        elif state.due is not None:
            yield from self._ask_again(state, event.order_id, state.due)
        elif not event.total.amount:
            yield self._confirm(state, event.order_id)
        else:
            yield self._ask(state, payment_id_of(event.order_id), event.order_id, event.total)
        yield from self._credit_early(state)

    @on(SeatsRefused, key="order_id")
    def seats_refused(self, state: SaleState, event: SeatsRefused, meta: Meta) -> Iterator[Step]:
        if self._is_overtaken(state):
            return
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
        if state.pending_until is None and state.waits:
            state.pending_until = meta.recorded_at + conf.pending_bound()
            yield from self._remind_no_more(state)
            yield self._follow(event, meta, state.pending_until, pending=True)

    @on(PaymentDeclined, key="order_id")
    def declined(self, state: SaleState, event: PaymentDeclined, meta: Meta) -> Iterator[Step]:
        """After it was pending there is time to pay in another way."""
        if state.pending_until is not None and state.waits:
            yield self._follow(event, meta, state.pending_until, pending=False)

    @on(OrderExtended, key="order_id")
    def extended(self, state: SaleState, event: OrderExtended, meta: Meta) -> Iterator[Step]:
        yield from self._move_timer(state, event.order_id, event.expires_at)

        if state.waits:
            yield from self._remind(event.expires_at, state, event.order_id, meta)

    @on(DeadlineMoved, key="order_id")
    def deadline_moved(self, state: SaleState, event: DeadlineMoved, meta: Meta) -> Iterator[Step]:
        yield from self._move_timer(state, event.order_id, event.expires_at)

    @on(ProviderChosen, key="order_id")
    def provider_chosen(self, state: SaleState, event: ProviderChosen, meta: Meta) -> Iterator[Step]:
        """What is waited for is asked for there; what is not asked for yet, will be."""
        state.provider = event.provider
        if not state.awaits_seats and state.waits:
            yield self._ask_further(state, event.order_id, event.due)

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
        if state.credited is not None:
            state.credited += (receipt_key(event),)
        if counts:
            state.kept += event.amount.amount
        if counts and state.due is not None:
            state.due = event.due
        if state.closed and not state.expired:
            yield self._return_all_but_fee(state, event.order_id, ENDED)
        elif not counts:
            yield self._refund(event, event.amount, WRONG_CURRENCY)
        elif state.expired:
            yield from self._take_late(state, event)
        elif state.changing or state.owed is not None:
            state.meanwhile += (event,)
        elif state.late is not None and state.kept >= state.late.amount:
            state.meanwhile += (event,)
            yield Send(TakeUpChange(order_id=event.order_id))
        else:
            yield from self._return_excess(state, event, event.due * -1, leaving=state.to_stay)

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
        if state.reopened is not None:
            state.reopened += 1
        state.due, state.grace, state.fee = event.due, event.grace, None
        if state.conference_id:
            yield self._reserve(state, event.order_id, state.conference_id, again=True)
        yield self._wait_until(event.expires_at, state, event.order_id)
        yield from self._remind(event.expires_at, state, event.order_id, meta)

    @on(OrderCancelled, key="order_id")
    def cancelled(self, state: SaleState, event: OrderCancelled, meta: Meta) -> Iterator[Step]:
        state.closed, state.fee = True, event.fee
        yield from self._stop_waiting(state)
        state.changing, state.owed, state.late, state.meanwhile = False, None, None, ()
        yield from self._give_seats_back(state)
        yield from self._return_everything(state, CANCELLED)
        if state.paid:
            yield self._bring_forward(event.order_id)

    @on(QuantityChangeRequested, key="order_id")
    def change_requested(self, state: SaleState, event: QuantityChangeRequested, meta: Meta) -> Iterator[Step]:
        """The order has paid for its own seats, and keeps them until a dearer change is paid."""
        state.changing, state.spare = True, self._spare(state)
        dearer = state.confirmed and state.total is not None and state.total < total(event.lines)
        kept, unpaid = state.lines if dearer else (), None if state.confirmed else conf.unpaid_limit()
        yield from self._change_seats(state, event, _without_prices(event.lines), kept, unpaid)

    @on(SeatsChanged, key="order_id")
    def seats_changed(self, state: SaleState, event: SeatsChanged, meta: Meta) -> Iterator[Step]:
        yield Send(ConcludeChange(order_id=event.order_id, change=event.change, spare=state.spare))

    @on(SeatsChangeRefused, key="order_id")
    def seat_change_refused(self, state: SaleState, event: SeatsChangeRefused, meta: Meta) -> Iterator[Step]:
        yield Send(ConcludeChange(order_id=event.order_id, change=event.change, refusal=event.reason))

    @on(QuantitiesChanged, key="order_id")
    def quantities_changed(self, state: SaleState, event: QuantitiesChanged, meta: Meta) -> Iterator[Step]:
        """What is too much of an order that costs less goes back whoever received it, as it was changed on purpose."""
        kept, dearer = state.lines, state.confirmed and event.before < event.total
        state.lines, state.total = _without_prices(event.lines), event.total
        state.prices = {line.seat_type: line.unit_price for line in event.lines}
        if state.owed is not None:
            yield from self._stop_waiting(state)
        state.changing, state.owed, state.late = False, None, None
        if dearer and at_least(kept, state.lines) != state.lines:
            yield from self._change_seats(state, event, state.lines)
        yield from self._wait_again(state, event.order_id, event.expires_at)
        if event.due.amount > 0 and not state.confirmed:
            yield self._ask_further(state, event.order_id, event.due)
        if state.kept > event.total.amount and not dearer:
            state.kept = event.total.amount
            yield Send(ReturnEverything(account_id=account_id_of(event.order_id), reason=CHANGED, keep=event.total))
        yield from self._return_meanwhile(state, TOO_MUCH)
        if state.paid and event.due.amount < 0:
            yield self._bring_forward(event.order_id)

    @on(QuantityChangeRefused, key="order_id")
    def change_refused(self, state: SaleState, event: QuantityChangeRefused, meta: Meta) -> Iterator[Step]:
        state.changing = False
        yield from self._wait_again(state, event.order_id, event.expires_at)
        if state.owed is None:
            yield from self._return_meanwhile(state, TOO_MUCH)

    @on(QuantityChangeOwed, key="order_id")
    def change_owed(self, state: SaleState, event: QuantityChangeOwed, meta: Meta) -> Iterator[Step]:
        """Another change until the same time has the same reminder."""
        began = state.owed is None
        state.changing, state.owed, state.late, state.grace = False, event.total, None, event.grace
        if began:
            state.pending_until = None
            yield from self._remind(event.expires_at, state, event.order_id, meta)
        yield from self._wait_again(state, event.order_id, event.expires_at)
        yield self._ask_further(state, event.order_id, event.due)
        if state.paid:
            yield self._bring_forward(event.order_id)

    @on(QuantityChangeLapsed, key="order_id")
    def change_lapsed(self, state: SaleState, event: QuantityChangeLapsed, meta: Meta) -> Iterator[Step]:
        yield from self._stop_waiting(state)
        state.owed, state.late = None, state.owed
        yield from self._change_seats(state, event, _without_prices(event.lines))
        yield from self._return_meanwhile(state, LAPSED)

    @on(RefundSettled, key="order_id")
    def refund_settled(self, state: SaleState, event: RefundSettled, meta: Meta) -> Iterator[Step]:
        if state.order_id:
            yield Send(DebitRefund(order_id=state.order_id, refund_id=event.refund_id, amount=event.amount))

    @on(RefundFailed, key="order_id")
    def refund_failed(self, state: SaleState, event: RefundFailed, meta: Meta) -> Iterator[Step]:
        """What the order lacked may be there with it."""
        if state.order_id and state.waits and not state.awaits_seats:
            yield Send(ReviewPayment(order_id=state.order_id, reopened=state.reopened))

    @on(RefundReversed, key="order_id")
    def refund_reversed(self, state: SaleState, event: RefundReversed, meta: Meta) -> Iterator[Step]:
        if state.order_id:
            yield Send(RecreditRefund(order_id=state.order_id, refund_id=event.refund_id, amount=event.amount))

    @on(RefundRecredited, key="order_id")
    def refund_recredited(self, state: SaleState, event: RefundRecredited, meta: Meta) -> Iterator[Step]:
        """What the order lacked may be there with it."""
        if event.amount.currency != event.due.currency:
            return
        if state.due is not None:
            state.due = event.due
        if not (state.closed or state.confirmed or state.awaits_seats) and event.due.amount <= 0:
            yield Send(ReviewPayment(order_id=event.order_id, reopened=state.reopened))

    @on_refusal(RequestPayment)
    def not_asked(self, state: SaleState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """Its id is that of something else: another payment is asked for instead."""
        cost = state.owed or state.total
        if state.order_id and cost and state.waits and not state.awaits_seats:
            due = state.due or Money(cost.amount - state.kept, cost.currency)
            yield self._ask_further(state, state.order_id, due)

    @on_refusal(ConfirmOrder)
    def not_confirmed(self, state: SaleState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """It had ended just before: what was paid goes back."""
        if state.paid and state.order_id:
            yield self._bring_forward(state.order_id)

    @on_refusal(TakeUpOrder)
    def not_taken_up(self, state: SaleState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        """It can't be any more: the seats and the money go back."""
        state.reviving = False
        yield from self._give_seats_back(state)
        yield from self._return_everything(state, ENDED)

    @on_refusal(TakeUpChange)
    def change_not_taken_up(self, state: SaleState, event: CommandRefused, meta: Meta) -> Iterator[Step]:
        if not (state.changing or state.owed or state.closed):
            yield from self._return_meanwhile(state, TOO_MUCH)

    @on_refusal(RefuseOrder, ExpireOrder, FollowPayment)
    def ended_meanwhile(self, state: SaleState, event: CommandRefused, meta: Meta) -> None:
        """It had, or was paid, just before: nothing is left to do."""

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
            reopened=state.reopened,
        )
        if state.awaits_seats:
            state.early += (credit,)
        else:
            yield Send(credit)

    def _credit_early(self, state: SaleState) -> Iterator[Step]:
        state.awaits_seats = False
        yield from (Send(msgspec.structs.replace(credit, reopened=state.reopened)) for credit in state.early)
        state.early = ()

    def _is_overtaken(self, state: SaleState) -> bool:
        """Whether this answers what an order asked for that has ended and was reopened since: these seats are on their
        way back, and another answer is to come.
        """
        state.reserving = max(0, state.reserving - 1)
        return state.reserving > 0

    def _take_late(self, state: SaleState, event: PaymentCredited) -> Iterator[Step]:
        """Reserve again, if the money is all there; what is too much goes back, and what is too little as well."""
        missing = state.total.amount - state.kept if state.total else Decimal(0)
        if missing <= 0 and state.lines and state.conference_id:
            if not state.reviving:
                state.reviving = True
                yield self._reserve(state, event.order_id, state.conference_id, again=True)
            yield from self._return_excess(state, event, Money(-missing, event.amount.currency), leaving=state.to_stay)
        elif not state.reviving:
            yield from self._return_everything(state, ENDED)

    def _return_excess(
        self,
        state: SaleState,
        event: PaymentCredited,
        excess: Money,
        reason: str = TOO_MUCH,
        *,
        leaving: Money | None = None,
    ) -> Iterator[Step]:
        """Of this payment. What of others was too much has been asked back before, or is for staff to decide."""
        amount = min(excess.amount, event.amount.amount)
        if amount <= 0 or not conf.returned_at_once(event.provider):
            return
        state.kept -= amount
        yield self._refund(event, Money(amount, event.amount.currency), reason, leaving)

    def _return_meanwhile(self, state: SaleState, reason: str) -> Iterator[Step]:
        """What is above the cost, of that which came in before it was clear: of what came last before the other."""
        for event in reversed(state.meanwhile):
            if spare := self._spare(state):
                yield from self._return_excess(state, event, spare, reason, leaving=state.to_stay)
        state.meanwhile = ()

    def _spare(self, state: SaleState) -> Money | None:
        """What has come in above what the order costs, and was not asked back, if anything has."""
        if state.total is None or state.kept <= state.total.amount:
            return None
        return Money(state.kept - state.total.amount, state.total.currency)

    def _return_everything(self, state: SaleState, reason: str) -> Iterator[Step]:
        fee = state.fee.amount if state.fee else Decimal(0)
        if state.kept > fee and state.order_id:
            yield self._return_all_but_fee(state, state.order_id, reason)

    def _return_all_but_fee(self, state: SaleState, order_id: UUID, reason: str) -> Step:
        """What is still to be credited to an order that has expired may take it up again, and is not given back."""
        state.kept = state.fee.amount if state.fee else Decimal(0)
        only = state.credited if state.expired else None
        return Send(ReturnEverything(account_id=account_id_of(order_id), reason=reason, keep=state.fee, only=only))

    def _reserve(self, state: SaleState, order_id: UUID, conference_id: UUID, *, again: bool = False) -> Step:
        """What is reserved again has its money, or staff want it: it has no limit of what is unpaid."""
        state.reserving += 1
        return Send(
            ReserveSeats(
                conference_id=conference_id,
                order_id=order_id,
                lines=state.lines,
                prices=state.prices,
                customer_id=state.customer_id,
                unpaid=None if again else conf.unpaid_limit(),
            )
        )

    def _change_seats(
        self,
        state: SaleState,
        event: QuantityChangeRequested | QuantitiesChanged | QuantityChangeLapsed,
        lines: tuple[Line, ...],
        kept: tuple[Line, ...] = (),
        unpaid: UnpaidLimit | None = None,
    ) -> Iterator[Step]:
        if state.conference_id:
            yield Send(
                ChangeSeats(
                    conference_id=state.conference_id,
                    order_id=event.order_id,
                    change=event.change,
                    lines=lines,
                    kept=kept,
                    unpaid=unpaid,
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
        if state.waits:
            yield from self._stop_waiting(state)
            yield self._wait_until(deadline, state, order_id)

    def _wait_again(self, state: SaleState, order_id: UUID, deadline: datetime) -> Iterator[Step]:
        """The timer may have come to its end while a change was under way, when no order expires."""
        if state.waits:
            yield Cancel(PAYMENT_TIMER)
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

    def _refund(self, event: PaymentCredited, amount: Money, reason: str, leaving: Money | None = None) -> Step:
        """What staff have given back of it meanwhile is not given back again."""
        return Send(
            RequestRefund(
                account_id=account_id_of(event.order_id),
                provider=event.provider,
                reference=event.reference,
                amount=amount,
                reason=reason,
                at_most=True,
                leaving=leaving,
            )
        )

    def _confirm(self, state: SaleState, order_id: UUID) -> Step:
        return Send(ConfirmOrder(order_id=order_id, reopened=state.reopened))

    def _ask(self, state: SaleState, payment_id: UUID, order_id: UUID, amount: Money) -> Step:
        provider = state.provider or settings.PAYMENT_PROVIDER
        return Send(RequestPayment(payment_id=payment_id, order_id=order_id, amount=amount, provider=provider))

    def _ask_again(self, state: SaleState, order_id: UUID, due: Money) -> Iterator[Step]:
        """Of an order that was reopened, what is due then. What it had may be on its way back meanwhile."""
        if due.amount > 0:
            yield self._ask_further(state, order_id, due)
        else:
            yield Send(ReviewPayment(order_id=order_id, reopened=state.reopened))

    def _ask_further(self, state: SaleState, order_id: UUID, due: Money) -> Step:
        state.asked += 1
        return self._ask(state, further_payment_id(order_id, state.asked), order_id, due)

    def _bring_forward(self, order_id: UUID) -> Step:
        return Send(
            BringForward(account_id=account_id_of(order_id), order_id=order_id, payment_id=payment_id_of(order_id))
        )


def _without_prices(lines: tuple[PricedLine, ...]) -> tuple[Line, ...]:
    return tuple(Line(line.seat_type, line.quantity) for line in lines)
