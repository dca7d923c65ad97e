"""Orders: somebody asks for seats of a conference, and gets them by paying in time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.errors import ConcurrencyConflict, DomainError, StreamNotFound
from eventstore.events import Event, event
from ordering.domain.conference import ConferenceSeats, check_reason
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    CancellationClosed,
    ChangeNotTakenUp,
    ChangeUnderWay,
    ConferenceIsCancelled,
    ConferenceNotFound,
    CustomerNotFound,
    DeadlinePassed,
    FeeTooHigh,
    MoneyGoingBack,
    NotEnoughSeats,
    OrderNotCancellable,
    OrderNotChangeable,
    OrderNotDue,
    OrderNotExpirable,
    OrderNotExtendable,
    OrderNotPayable,
    OrderNotRefusable,
    OrderNotReopenable,
    OrderNotTakenUp,
    QuantitiesUnchanged,
    StatusMailTooSoon,
)
from ordering.domain.finance import Account, account_id_of
from ordering.domain.order_changes import (
    ChangeQuantities,
    ConcludeChange,
    OwedChange,
    QuantitiesChanged,
    QuantityChangeLapsed,
    QuantityChangeOwed,
    QuantityChangeRefused,
    QuantityChangeRequested,
    TakeUpChange,
)
from ordering.domain.seats import Line, PricedLine, at_least, difference, offered_seats_id, total
from ordering.domain.terms import CancellationRule
from ordering.domain.values import NUMBER_BITS, Moment, Money, order_number

PAID_LATE = "It was paid after it had lapsed."

A = TypeVar("A", bound=Aggregate)


class Status(StrEnum):
    PLACED = "placed"
    REFUSED = "refused"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@event("order.placed", version=3)
class OrderPlaced(Event):
    """It is to be paid until `expires_at`, and kept for `grace` minutes more. The `provider` collects its
    money; empty for that of the site. Version 1 had no `grace`, version 2 no `provider`.
    """

    order_id: UUID
    number: str
    customer_id: UUID
    conference_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money
    expires_at: Moment
    grace: int = 0
    provider: str = ""


@event("order.refused")
class OrderRefused(Event):
    order_id: UUID
    reason: str


@event("order.confirmed")
class OrderConfirmed(Event):
    order_id: UUID


@event("order.expired")
class OrderExpired(Event):
    order_id: UUID


@event("order.cancelled", version=2)
class OrderCancelled(Event):
    """The fee is what is kept of its money, all else goes back. Version 1 had none, as there were no fees."""

    order_id: UUID
    reason: str
    fee: Money | None = None


@event("order.payment-credited")
class PaymentCredited(Event):
    """Finance has booked money for this order; `due` is what it owes since then, negative if there is too much.

    Money in another currency than the order's doesn't count.
    """

    order_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    due: Money
    brought_forward: bool = False


@event("order.underpaid")
class OrderUnderpaid(Event):
    """Money has come in, and this is still due."""

    order_id: UUID
    due: Money


@event("order.refund-debited")
class RefundDebited(Event):
    """Money of this order has gone back; `due` is what it owes since then."""

    order_id: UUID
    refund_id: UUID
    amount: Money
    due: Money


@event("order.refund-recredited")
class RefundRecredited(Event):
    """Money of this order had gone back and came back to the provider: the order has it again; `due` is what it owes
    since then.
    """

    order_id: UUID
    refund_id: UUID
    amount: Money
    due: Money


@event("order.taken-up")
class OrderTakenUp(Event):
    """It had expired, was paid all the same, and has got seats again."""

    order_id: UUID


@event("order.extended")
class OrderExtended(Event):
    """Somebody has given it another time until which it is to be paid."""

    order_id: UUID
    expires_at: Moment
    reason: str


@event("order.deadline-moved")
class DeadlineMoved(Event):
    """A payment of it is pending, or was declined after it was: it is to be paid until then instead."""

    order_id: UUID
    expires_at: Moment


@event("order.reopened")
class OrderReopened(Event):
    """It had ended, and waits for seats, and for what is `due`, again."""

    order_id: UUID
    reason: str
    due: Money
    expires_at: Moment
    grace: int


@event("order.provider-chosen")
class ProviderChosen(Event):
    """What is `due` is to be paid by this payment provider, instead of the one before."""

    order_id: UUID
    provider: str
    due: Money


@event("order.reminder-requested")
class OrderReminderRequested(Event):
    """Time to pay is running out."""

    order_id: UUID


@event("order.status-mail-requested", version=2)
class OrderStatusMailRequested(Event):
    """When it was asked for is not known of the first ones."""

    order_id: UUID
    customer_id: UUID
    requested_at: Moment | None = None


@command("order.place", stream="order_id")
class PlaceOrder(Command):
    """To be paid by this payment provider; if it is empty, by the first that the conference offers."""

    order_id: UUID
    customer_id: UUID
    conference_id: UUID
    lines: tuple[Line, ...]
    provider: str = ""


@command("order.refuse", stream="order_id")
class RefuseOrder(Command):
    order_id: UUID
    reason: str


@command("order.confirm", stream="order_id")
class ConfirmOrder(Command):
    """It has got its seats, when it had been reopened so often: not what it waits for if it was again since."""

    order_id: UUID
    reopened: int | None = None


@command("order.expire", stream="order_id")
class ExpireOrder(Command):
    """It was to be paid until `deadline`. Where none is told, as none once was, that is the time it was placed with. Of
    a confirmed order only the change lapses that it owes money for.
    """

    order_id: UUID
    deadline: Moment | None = None


@command("order.extend", stream="order_id")
class ExtendOrder(Command):
    """What is promised is another time to pay, later or earlier than it is now."""

    order_id: UUID
    expires_at: Moment
    reason: str


@command("order.follow-payment", stream="order_id")
class FollowPayment(Command):
    """A payment of it is pending since then, or was declined then after it was pending.

    For one that is pending the order is kept, at most `until` then; one that was declined leaves as much time as a new
    order would have, and no more than that.
    """

    order_id: UUID
    since: Moment
    until: Moment
    pending: bool


@command("order.choose-provider", stream="order_id")
class ChooseProvider(Command):
    """Its customer wants to pay by this payment provider. What is due is asked for there, and money that comes by the
    one before counts as well.
    """

    order_id: UUID
    provider: str


@command("order.reopen", stream="order_id")
class ReopenOrder(Command):
    """Its seats are wanted again, at the prices that it has. It is to be paid by the payment terms unless another time
    is said.
    """

    order_id: UUID
    reason: str
    expires_at: Moment | None = None


@command("order.cancel", stream="order_id")
class CancelOrder(Command):
    """By the cancellation rule of the conference; or, for staff, at any time, with what they `keep` of the money."""

    order_id: UUID
    reason: str = ""
    keep: Money | None = None


@command("order.credit-payment", stream="order_id")
class CreditPayment(Command):
    """`reopened` is how often it had been when it got its seats, or ended. If it was again since, it waits for others,
    and this money doesn't confirm it before it has them.
    """

    order_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    brought_forward: bool = False
    reopened: int | None = None


@command("order.debit-refund", stream="order_id")
class DebitRefund(Command):
    order_id: UUID
    refund_id: UUID
    amount: Money


@command("order.recredit-refund", stream="order_id")
class RecreditRefund(Command):
    order_id: UUID
    refund_id: UUID
    amount: Money


@command("order.review-payment", stream="order_id")
class ReviewPayment(Command):
    """Money of it is no longer on its way back, and may be what it lacked. `reopened` as for a credit."""

    order_id: UUID
    reopened: int | None = None


@command("order.take-up", stream="order_id")
class TakeUpOrder(Command):
    order_id: UUID


@command("order.request-reminder", stream="order_id")
class RequestReminder(Command):
    """Only an order that waits for money is reminded of."""

    order_id: UUID


@command("order.request-status-mail", stream="order_id")
class RequestStatusMail(Command):
    """Refused until `pause` seconds have passed since one was asked for last."""

    order_id: UUID
    pause: int = 0


class Order(Aggregate, category="order"):
    """Placed, then confirmed, refused or expired; placed or confirmed, it can be cancelled; expired, it can be taken up
    again; however it ended, somebody can reopen it.

    What it owes is its total, less what was credited, plus what was debited. `before_finance` is what an order had paid
    that was confirmed before finance kept books. It is to be paid until `expires_at`: that is `promised_until`, when it
    was placed or by somebody since, unless a payment that is pending or was declined moves it further. `reopened` is
    how often it was.

    While a change of its quantities is under way, as `wanted` says, it neither expires nor is confirmed. `changed` says
    that what it owes comes from such a change, and not from a payment. `came_before` had come in when it was asked for.

    One that makes a confirmed order dearer is `owed` until it is paid: the order has its lines and its total as before,
    and seats of both. It has `lapsed` if that wasn't in time, and is taken up again if it is paid after all.
    """

    number: str
    customer_id: UUID
    conference_id: UUID
    lines: tuple[PricedLine, ...]
    provider: str
    total: Money
    received: Money
    returned: Money
    before_finance: Money
    placed_until: datetime
    promised_until: datetime
    expires_at: datetime
    fee: Money
    status: Status
    reopened: int
    changes: int
    wanted: tuple[PricedLine, ...]
    came_before: Money
    owed: OwedChange | None
    lapsed: tuple[PricedLine, ...]
    changed: bool
    status_mail_at: Moment | None

    @property
    def came(self) -> Money:
        """What has come in for it, whether or not it has gone back."""
        return self.received + self.before_finance

    @property
    def held(self) -> Money:
        """What has come in for it and not gone back."""
        return self.came - self.returned

    @property
    def due(self) -> Money:
        """What is still owed; negative if there is too much. What goes back while it owes money for a change was too
        much before, or is a favour.
        """
        return self.owed.needs - self.came if self.owed else self.total - self.held

    def still_held(self, account: Account) -> Money:
        """What it has of its money, less what is on its way back."""
        if not account.exists:
            return self.held
        return min(self.held, account.left_in(self.total.currency) + self.before_finance)

    def still_owes(self, account: Account) -> Money:
        """What it owes, as `due`, but that money on its way back pays for nothing."""
        return self.due if self.owed else self.total - self.still_held(account)

    def held_values(self) -> list[tuple[str, str]]:
        return [("order-number", self.number)]

    @property
    def awaits_payment(self) -> bool:
        """Whether it is to be paid until `expires_at`: all of it, or a change that it owes money for."""
        return self.status is Status.PLACED or self.owed is not None

    @property
    def asked_for(self) -> tuple[PricedLine, ...]:
        """The lines that it is to have once it is paid."""
        return self.owed.lines if self.owed else self.lines

    @property
    def kept(self) -> tuple[PricedLine, ...]:
        """Its own lines, where it has their seats beside others."""
        return self.lines if self.owed else ()

    @property
    def prices(self) -> dict[str, Money]:
        """By seat type: what its customer has agreed to."""
        return {line.seat_type: line.unit_price for line in (*self.lines, *self.asked_for)}

    def instead(self, seats: ConferenceSeats, lines: Iterable[Line], now: datetime) -> tuple[PricedLine, ...]:
        """What it would have if it had these lines, at the prices that were agreed to. Raises what `offer_instead` of
        its conference does.
        """
        return seats.offer_instead(lines, self.asked_for, self.prices, now)

    @handles(PlaceOrder, creates=True)
    def place(self, command: PlaceOrder, facts: Facts) -> None:
        customer = look_up(facts, Customer, command.customer_id, CustomerNotFound())
        seats = look_up(facts, ConferenceSeats, command.conference_id, ConferenceNotFound())
        lines = seats.offer(command.lines, facts.now)
        seats.check_customer_limit(customer.id, difference(seats.held_by(offered_seats_id(self.id)), lines))
        number = order_number(facts.random_bits(NUMBER_BITS))
        self.claim("order-number", number, ConcurrencyConflict())
        self.record(
            OrderPlaced(
                order_id=self.id,
                number=number,
                customer_id=customer.id,
                conference_id=seats.id,
                lines=lines,
                total=total(lines),
                expires_at=seats.to_be_paid_by(facts.now),
                grace=seats.payment_terms.grace,
                provider=seats.provider_for(command.provider),
            )
        )

    @handles(RefuseOrder)
    def refuse(self, command: RefuseOrder, facts: Facts) -> None:
        if self.status is not Status.PLACED:
            raise OrderNotRefusable
        self.record(OrderRefused(order_id=self.id, reason=command.reason))

    @handles(ConfirmOrder)
    def confirm(self, command: ConfirmOrder, facts: Facts) -> None:
        """While a change is under way that is decided when it ends."""
        if self.status is not Status.PLACED or not self._waits_since(command.reopened):
            raise OrderNotPayable
        if not self.wanted:
            self.record(OrderConfirmed(order_id=self.id))

    @handles(CreditPayment)
    def credit(self, command: CreditPayment, facts: Facts) -> None:
        before = self.due
        if command.brought_forward:
            before += self.before_finance
        counts = command.amount.currency == before.currency
        due = before + command.amount * -1 if counts else before
        self.record(
            PaymentCredited(
                order_id=self.id,
                payment_id=command.payment_id,
                provider=command.provider,
                reference=command.reference,
                amount=command.amount,
                due=due,
                brought_forward=command.brought_forward,
            )
        )
        if not self.awaits_payment or not self._waits_since(command.reopened):
            return
        owes = self._owes(facts)
        if owes.amount <= 0:
            self._be_paid()
        elif counts:
            self.record(OrderUnderpaid(order_id=self.id, due=owes))

    @handles(ReviewPayment)
    def review_payment(self, command: ReviewPayment, facts: Facts) -> None:
        if self.awaits_payment and self._waits_since(command.reopened) and self._owes(facts).amount <= 0:
            self._be_paid()

    @handles(DebitRefund)
    def debit(self, command: DebitRefund, facts: Facts) -> None:
        counts = command.amount.currency == self.total.currency and self.owed is None
        due = self.due + command.amount if counts else self.due
        self.record(RefundDebited(order_id=self.id, refund_id=command.refund_id, amount=command.amount, due=due))

    @handles(RecreditRefund)
    def recredit(self, command: RecreditRefund, facts: Facts) -> None:
        counts = command.amount.currency == self.total.currency and self.owed is None
        due = self.due - command.amount if counts else self.due
        self.record(RefundRecredited(order_id=self.id, refund_id=command.refund_id, amount=command.amount, due=due))

    @handles(TakeUpOrder)
    def take_up(self, command: TakeUpOrder, facts: Facts) -> None:
        if self.status is not Status.EXPIRED or self._owes(facts).amount > 0:
            raise OrderNotTakenUp
        self.record(OrderTakenUp(order_id=self.id))
        self.record(OrderConfirmed(order_id=self.id))

    @handles(ExpireOrder)
    def expire(self, command: ExpireOrder, facts: Facts) -> None:
        if not self.awaits_payment:
            raise OrderNotExpirable
        if self.wanted or (command.deadline or self.placed_until) < self.expires_at:
            raise OrderNotDue
        if self.owed is None:
            self.record(OrderExpired(order_id=self.id))
        else:
            self.record(
                QuantityChangeLapsed(
                    order_id=self.id, change=self.owed.change, lines=self.lines, due=self.total - self.held
                )
            )

    @handles(ExtendOrder)
    def extend(self, command: ExtendOrder, facts: Facts) -> None:
        if not self.awaits_payment:
            raise OrderNotExtendable
        check_reason(command.reason)
        if command.expires_at <= facts.now:
            raise DeadlinePassed
        if command.expires_at != self.promised_until:
            self.record(OrderExtended(order_id=self.id, expires_at=command.expires_at, reason=command.reason))

    @handles(FollowPayment)
    def follow_payment(self, command: FollowPayment, facts: Facts) -> None:
        if not self.awaits_payment:
            raise OrderNotExtendable
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        terms, time_zone = seats.payment_terms, seats.time_zone
        until = terms.at_most(command.until, time_zone)
        if not command.pending:
            until = min(until, terms.deadline(command.since, time_zone))
        expires_at = max(until, self.promised_until)
        if expires_at != self.expires_at:
            self.record(DeadlineMoved(order_id=self.id, expires_at=expires_at))

    @handles(ChooseProvider)
    def choose_provider(self, command: ChooseProvider, facts: Facts) -> None:
        if not self.awaits_payment:
            raise OrderNotPayable
        provider = facts.look_up(ConferenceSeats, self.conference_id).provider_for(command.provider)
        if provider != self.provider:
            self.record(ProviderChosen(order_id=self.id, provider=provider, due=self._owes(facts)))

    @handles(ReopenOrder)
    def reopen(self, command: ReopenOrder, facts: Facts) -> None:
        """Refused at once while there are no seats; whether it gets them is for the conference to decide."""
        if self.status not in (Status.REFUSED, Status.EXPIRED, Status.CANCELLED):
            raise OrderNotReopenable
        check_reason(command.reason)
        if min(self.fee, self._still_held(facts)) < self.held:
            raise MoneyGoingBack
        if command.expires_at is not None and command.expires_at <= facts.now:
            raise DeadlinePassed
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        if seats.cancelled:
            raise ConferenceIsCancelled
        if not seats.has_room(self.lines):
            raise NotEnoughSeats
        seats.check_customer_limit(self.customer_id, self.lines)
        self.record(
            OrderReopened(
                order_id=self.id,
                reason=command.reason,
                due=self.due,
                expires_at=command.expires_at or seats.to_be_paid_by(facts.now),
                grace=seats.payment_terms.grace,
            )
        )

    @handles(CancelOrder)
    def cancel(self, command: CancelOrder, facts: Facts) -> None:
        if self.status not in (Status.PLACED, Status.CONFIRMED):
            raise OrderNotCancellable
        fee = self._fee_by_rule(facts) if command.keep is None else self._fee_by_staff(command.keep, facts)
        self.record(OrderCancelled(order_id=self.id, reason=command.reason, fee=fee))

    @handles(ChangeQuantities)
    def change_quantities(self, command: ChangeQuantities, facts: Facts) -> None:
        """Refused at once while there are no seats, or no time to pay for them; whether it gets them is for the
        conference to decide.
        """
        if self.status not in (Status.PLACED, Status.CONFIRMED):
            raise OrderNotChangeable
        if self.wanted:
            raise ChangeUnderWay
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        if seats.cancelled:
            raise ConferenceIsCancelled
        lines = self.instead(seats, command.lines, facts.now)
        if not difference(self.asked_for, lines):
            raise QuantitiesUnchanged
        dearer = self._comes_to_cost_more(lines)
        seats.check_change(
            self.customer_id, at_least(self.kept, self.asked_for), lines, kept=self.lines if dearer else ()
        )
        if dearer and self.owed is None:
            seats.to_be_paid_by(facts.now)
        self._request_change(lines, command.reason)

    @handles(ConcludeChange)
    def conclude_change(self, command: ConcludeChange, facts: Facts) -> None:
        """A change of an order that has ended meanwhile is no longer under way. What makes a confirmed order dearer is
        to be paid first, until the same time as what it owed for a change before.
        """
        if not self.wanted or command.change != self.changes:
            return
        cost = total(self.wanted)
        if command.refusal:
            self.record(
                QuantityChangeRefused(
                    order_id=self.id, change=command.change, reason=command.refusal, expires_at=self.expires_at
                )
            )
        elif self._comes_to_cost_more(self.wanted) and (due := self._difference(cost, command.spare)).amount > 0:
            self._owe_change(command.change, self.wanted, due, facts)
        else:
            owes = cost - self._still_held(facts)
            self._change(command.change, self.wanted, owes if owes.amount > 0 else cost - self.held)
        if self.awaits_payment and self._owes(facts).amount <= 0:
            self._be_paid()

    @handles(TakeUpChange)
    def take_up_change(self, command: TakeUpChange, facts: Facts) -> None:
        """Whether it gets the seats again is for the conference to decide."""
        if not self.lapsed or self.owed or self.wanted:
            raise ChangeNotTakenUp
        self._request_change(self.lapsed, PAID_LATE)

    @handles(RequestReminder)
    def request_reminder(self, command: RequestReminder, facts: Facts) -> None:
        if self.awaits_payment and self._owes(facts).amount > 0:
            self.record(OrderReminderRequested(order_id=self.id))

    @handles(RequestStatusMail)
    def request_status_mail(self, command: RequestStatusMail, facts: Facts) -> None:
        if self.status_mail_at is not None:
            wait = self.status_mail_at + timedelta(seconds=command.pause) - facts.now
            if wait > timedelta():
                raise StatusMailTooSoon(wait=wait)
        self.record(OrderStatusMailRequested(order_id=self.id, customer_id=self.customer_id, requested_at=facts.now))

    @on(OrderPlaced)
    def _placed(self, event: OrderPlaced) -> None:
        self.number, self.customer_id, self.conference_id = event.number, event.customer_id, event.conference_id
        self.lines, self.total, self.provider = event.lines, event.total, event.provider
        self.placed_until = self.promised_until = self.expires_at = event.expires_at
        self.received = self.returned = self.before_finance = self.fee = Money(Decimal(0), event.total.currency)
        self.status, self.reopened = Status.PLACED, 0
        self.changes, self.wanted, self.changed = 0, (), False
        self.came_before, self.owed, self.lapsed = self.received, None, ()
        self.status_mail_at = None

    @on(ProviderChosen)
    def _provider_chosen(self, event: ProviderChosen) -> None:
        self.provider = event.provider

    @on(OrderRefused)
    def _refused(self, event: OrderRefused) -> None:
        self.status, self.wanted = Status.REFUSED, ()

    @on(OrderConfirmed)
    def _confirmed(self, event: OrderConfirmed) -> None:
        self.status = Status.CONFIRMED
        if self.due.amount > 0:
            self.before_finance = self.due

    @on(PaymentCredited)
    def _credited(self, event: PaymentCredited) -> None:
        self.changed = False
        if event.brought_forward:
            self.before_finance = event.due * 0
        if event.amount.currency == event.due.currency:
            self.received += event.amount

    @on(OrderUnderpaid)
    def _underpaid(self, event: OrderUnderpaid) -> None:
        """What is due is known."""

    @on(RefundDebited)
    def _debited(self, event: RefundDebited) -> None:
        if event.amount.currency == event.due.currency:
            self.returned += event.amount

    @on(RefundRecredited)
    def _recredited(self, event: RefundRecredited) -> None:
        if event.amount.currency == event.due.currency:
            self.returned -= event.amount

    @on(OrderTakenUp)
    def _taken_up(self, event: OrderTakenUp) -> None:
        """It is confirmed in the same decision."""

    @on(OrderExpired)
    def _expired(self, event: OrderExpired) -> None:
        self.status = Status.EXPIRED

    @on(OrderExtended)
    def _extended(self, event: OrderExtended) -> None:
        self.promised_until = self.expires_at = event.expires_at

    @on(DeadlineMoved)
    def _deadline_moved(self, event: DeadlineMoved) -> None:
        self.expires_at = event.expires_at

    @on(OrderReopened)
    def _reopened(self, event: OrderReopened) -> None:
        self.promised_until = self.expires_at = event.expires_at
        self.fee *= 0
        self.status = Status.PLACED
        self.reopened += 1

    @on(OrderCancelled)
    def _cancelled(self, event: OrderCancelled) -> None:
        self.status, self.wanted = Status.CANCELLED, ()
        self.owed, self.lapsed = None, ()
        self.fee = event.fee or self.fee

    @on(QuantityChangeRequested)
    def _change_requested(self, event: QuantityChangeRequested) -> None:
        self.changes, self.wanted, self.came_before = event.change, event.lines, self.came

    @on(QuantitiesChanged)
    def _quantities_changed(self, event: QuantitiesChanged) -> None:
        self.lines, self.total = event.lines, event.total
        self.wanted, self.changed = (), True
        self.owed, self.lapsed = None, ()

    @on(QuantityChangeOwed)
    def _change_owed(self, event: QuantityChangeOwed) -> None:
        if self.owed is None:
            self.promised_until = event.expires_at
        self.expires_at = event.expires_at
        self.owed, self.lapsed = OwedChange(event.change, event.lines, event.total, event.needs, event.grace), ()
        self.wanted, self.changed = (), True

    @on(QuantityChangeLapsed)
    def _change_lapsed(self, event: QuantityChangeLapsed) -> None:
        self.lapsed, self.owed = self.asked_for, None

    @on(QuantityChangeRefused)
    def _change_refused(self, event: QuantityChangeRefused) -> None:
        self.wanted = ()

    @on(OrderReminderRequested)
    def _reminder_requested(self, event: OrderReminderRequested) -> None:
        """A mail changes nothing about the order."""

    @on(OrderStatusMailRequested)
    def _status_mail_requested(self, event: OrderStatusMailRequested) -> None:
        """A mail changes nothing about the order but when there may be another."""
        self.status_mail_at = event.requested_at

    def _waits_since(self, reopened: int | None) -> bool:
        """Whether it was not reopened any more since. What was sent once didn't say."""
        return reopened in (None, self.reopened)

    def _be_paid(self) -> None:
        """While a change is under way that is decided when it ends."""
        if self.wanted:
            return
        if self.owed:
            self._change(self.owed.change, self.owed.lines, total(self.owed.lines) - self.held)
        else:
            self.record(OrderConfirmed(order_id=self.id))

    def _comes_to_cost_more(self, lines: Iterable[PricedLine]) -> bool:
        """Whether its customer has to pay more before it has these lines, and keeps its own until then."""
        return self.status is Status.CONFIRMED and self.total < total(lines)

    def _request_change(self, lines: tuple[PricedLine, ...], reason: str) -> None:
        self.record(QuantityChangeRequested(order_id=self.id, change=self.changes + 1, lines=lines, reason=reason))

    def _difference(self, cost: Money, spare: Money | None) -> Money:
        """What it has to be paid before it may come to cost that much. What staff have given back as a favour is not
        asked for again.
        """
        there = self.came - self.came_before
        return cost - self.total - (there if spare is None else there + spare)

    def _owe_change(self, change: int, lines: tuple[PricedLine, ...], due: Money, facts: Facts) -> None:
        terms = facts.look_up(ConferenceSeats, self.conference_id)
        until, grace = terms.payment_terms.deadline(facts.now, terms.time_zone), terms.payment_terms.grace
        self.record(
            QuantityChangeOwed(
                order_id=self.id,
                change=change,
                lines=lines,
                total=total(lines),
                needs=self.came + due,
                due=due,
                expires_at=self.expires_at if self.owed else until,
                grace=self.owed.grace if self.owed else grace,
            )
        )

    def _change(self, change: int, lines: tuple[PricedLine, ...], due: Money) -> None:
        self.record(
            QuantitiesChanged(
                order_id=self.id,
                change=change,
                lines=lines,
                before=self.total,
                total=total(lines),
                due=due,
                expires_at=self.expires_at,
            )
        )

    def _fee_by_rule(self, facts: Facts) -> Money:
        """Who has not paid all of it yet has no seats to give up, and may do so at any time."""
        if self.status is Status.PLACED:
            return self.total * 0
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        rule = seats.cancellation_of_orders()
        ends_at = rule.ends_at(seats.starts_at)
        if ends_at is not None and facts.now >= ends_at:
            raise CancellationClosed
        return cancellation_fee(rule, self.lines, self._still_held(facts))

    def _fee_by_staff(self, keep: Money, facts: Facts) -> Money:
        keep.check()
        if keep < self.total * 0 or min(self._still_held(facts), self.total) < keep:
            raise FeeTooHigh
        return keep

    def _owes(self, facts: Facts) -> Money:
        """What is on its way back pays for nothing. What a change needs is reckoned without what goes back."""
        return self.due if self.owed else self.total - self._still_held(facts)

    def _still_held(self, facts: Facts) -> Money:
        """What it has, less what is on its way back, which it has until that is settled."""
        try:
            return self.still_held(facts.look_up(Account, account_id_of(self.id), guarded=True))
        except StreamNotFound:
            return self.held


def cancellation_fee(rule: CancellationRule, lines: Iterable[PricedLine], held: Money) -> Money:
    """What is kept of an order of these lines when it is cancelled, if that much is `held` of its money."""
    lines = tuple(lines)
    costing = sum(line.quantity for line in lines if line.unit_price.amount)
    return rule.fee(total(lines), costing, held)


def look_up(facts: Facts, kind: type[A], stream_id: UUID, missing: DomainError) -> A:
    """Another aggregate; raises `missing` rather than leave open what was not found."""
    try:
        return facts.look_up(kind, stream_id)
    except StreamNotFound:
        raise missing from None
