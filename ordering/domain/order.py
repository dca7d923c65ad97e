"""Orders: somebody asks for seats of a conference, and gets them by paying in time."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.errors import ConcurrencyConflict, DomainError, StreamNotFound
from eventstore.events import Event, event
from ordering.domain.conference import ConferenceSeats, Line, PricedLine, check_reason, total
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    CancellationClosed,
    ConferenceIsCancelled,
    ConferenceNotFound,
    CustomerNotFound,
    DeadlinePassed,
    FeeTooHigh,
    MoneyGoingBack,
    NotEnoughSeats,
    OrderNotCancellable,
    OrderNotDue,
    OrderNotExpirable,
    OrderNotExtendable,
    OrderNotPayable,
    OrderNotRefusable,
    OrderNotReopenable,
    OrderNotTakenUp,
)
from ordering.domain.terms import CancellationRule
from ordering.domain.values import NUMBER_BITS, Moment, Money, order_number

A = TypeVar("A", bound=Aggregate)


class Status(StrEnum):
    PLACED = "placed"
    REFUSED = "refused"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@event("order.placed", version=2)
class OrderPlaced(Event):
    """It is to be paid until `expires_at`, and kept for `grace` minutes more. Version 1 had no `grace`."""

    order_id: UUID
    number: str
    customer_id: UUID
    conference_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money
    expires_at: Moment
    grace: int = 0


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


@event("order.reminder-requested")
class OrderReminderRequested(Event):
    """Time to pay is running out."""

    order_id: UUID


@event("order.status-mail-requested")
class OrderStatusMailRequested(Event):
    order_id: UUID
    customer_id: UUID


@command("order.place", stream="order_id")
class PlaceOrder(Command):
    order_id: UUID
    customer_id: UUID
    conference_id: UUID
    lines: tuple[Line, ...]


@command("order.refuse", stream="order_id")
class RefuseOrder(Command):
    order_id: UUID
    reason: str


@command("order.confirm", stream="order_id")
class ConfirmOrder(Command):
    order_id: UUID


@command("order.expire", stream="order_id")
class ExpireOrder(Command):
    """It was to be paid until `deadline`. Where none is told, as none once was, that is the time it was placed with."""

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
    order_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    brought_forward: bool = False


@command("order.debit-refund", stream="order_id")
class DebitRefund(Command):
    order_id: UUID
    refund_id: UUID
    amount: Money


@command("order.take-up", stream="order_id")
class TakeUpOrder(Command):
    order_id: UUID


@command("order.request-reminder", stream="order_id")
class RequestReminder(Command):
    """Only an order that waits for money is reminded of."""

    order_id: UUID


@command("order.request-status-mail", stream="order_id")
class RequestStatusMail(Command):
    order_id: UUID


class Order(Aggregate, category="order"):
    """Placed, then confirmed, refused or expired; placed or confirmed, it can be cancelled; expired, it can be taken up
    again; however it ended, somebody can reopen it.

    What it owes is its total, less what was credited, plus what was debited. `before_finance` is what an order had paid
    that was confirmed before finance kept books. It is to be paid until `expires_at`: that is `promised_until`, when it
    was placed or by somebody since, unless a payment that is pending or was declined moves it further.
    """

    number: str
    customer_id: UUID
    conference_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money
    received: Money
    returned: Money
    before_finance: Money
    placed_until: datetime
    promised_until: datetime
    expires_at: datetime
    fee: Money
    status: Status

    @property
    def held(self) -> Money:
        """What has come in for it and not gone back."""
        return self.received + self.before_finance - self.returned

    @property
    def due(self) -> Money:
        """What is still owed; negative if there is too much."""
        return self.total - self.held

    @handles(PlaceOrder, creates=True)
    def place(self, command: PlaceOrder, facts: Facts) -> None:
        customer = look_up(facts, Customer, command.customer_id, CustomerNotFound())
        seats = look_up(facts, ConferenceSeats, command.conference_id, ConferenceNotFound())
        lines = seats.offer(command.lines, facts.now)
        seats.check_customer_limit(customer.id, lines)
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
            )
        )

    @handles(RefuseOrder)
    def refuse(self, command: RefuseOrder, facts: Facts) -> None:
        if self.status is not Status.PLACED:
            raise OrderNotRefusable
        self.record(OrderRefused(order_id=self.id, reason=command.reason))

    @handles(ConfirmOrder)
    def confirm(self, command: ConfirmOrder, facts: Facts) -> None:
        if self.status is not Status.PLACED:
            raise OrderNotPayable
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
        if self.status is Status.PLACED and self.due.amount <= 0:
            self.record(OrderConfirmed(order_id=self.id))
        elif self.status is Status.PLACED and counts:
            self.record(OrderUnderpaid(order_id=self.id, due=self.due))

    @handles(DebitRefund)
    def debit(self, command: DebitRefund, facts: Facts) -> None:
        counts = command.amount.currency == self.total.currency
        due = self.due + command.amount if counts else self.due
        self.record(RefundDebited(order_id=self.id, refund_id=command.refund_id, amount=command.amount, due=due))

    @handles(TakeUpOrder)
    def take_up(self, command: TakeUpOrder, facts: Facts) -> None:
        if self.status is not Status.EXPIRED or self.due.amount > 0:
            raise OrderNotTakenUp
        self.record(OrderTakenUp(order_id=self.id))
        self.record(OrderConfirmed(order_id=self.id))

    @handles(ExpireOrder)
    def expire(self, command: ExpireOrder, facts: Facts) -> None:
        if self.status is not Status.PLACED:
            raise OrderNotExpirable
        if (command.deadline or self.placed_until) < self.expires_at:
            raise OrderNotDue
        self.record(OrderExpired(order_id=self.id))

    @handles(ExtendOrder)
    def extend(self, command: ExtendOrder, facts: Facts) -> None:
        if self.status is not Status.PLACED:
            raise OrderNotExtendable
        check_reason(command.reason)
        if command.expires_at <= facts.now:
            raise DeadlinePassed
        if command.expires_at != self.promised_until:
            self.record(OrderExtended(order_id=self.id, expires_at=command.expires_at, reason=command.reason))

    @handles(FollowPayment)
    def follow_payment(self, command: FollowPayment, facts: Facts) -> None:
        if self.status is not Status.PLACED:
            raise OrderNotExtendable
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        terms, time_zone = seats.payment_terms, seats.time_zone
        until = terms.at_most(command.until, time_zone)
        if not command.pending:
            until = min(until, terms.deadline(command.since, time_zone))
        expires_at = max(until, self.promised_until)
        if expires_at != self.expires_at:
            self.record(DeadlineMoved(order_id=self.id, expires_at=expires_at))

    @handles(ReopenOrder)
    def reopen(self, command: ReopenOrder, facts: Facts) -> None:
        """Refused at once while there are no seats; whether it gets them is for the conference to decide."""
        if self.status not in (Status.REFUSED, Status.EXPIRED, Status.CANCELLED):
            raise OrderNotReopenable
        check_reason(command.reason)
        if self.fee < self.held:
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
        fee = self._fee_by_rule(facts) if command.keep is None else self._fee_by_staff(command.keep)
        self.record(OrderCancelled(order_id=self.id, reason=command.reason, fee=fee))

    @handles(RequestReminder)
    def request_reminder(self, command: RequestReminder, facts: Facts) -> None:
        if self.status is Status.PLACED and self.due.amount > 0:
            self.record(OrderReminderRequested(order_id=self.id))

    @handles(RequestStatusMail)
    def request_status_mail(self, command: RequestStatusMail, facts: Facts) -> None:
        self.record(OrderStatusMailRequested(order_id=self.id, customer_id=self.customer_id))

    @on(OrderPlaced)
    def _placed(self, event: OrderPlaced) -> None:
        self.number, self.customer_id, self.conference_id = event.number, event.customer_id, event.conference_id
        self.lines, self.total = event.lines, event.total
        self.placed_until = self.promised_until = self.expires_at = event.expires_at
        self.received = self.returned = self.before_finance = self.fee = Money(Decimal(0), event.total.currency)
        self.status = Status.PLACED

    @on(OrderRefused)
    def _refused(self, event: OrderRefused) -> None:
        self.status = Status.REFUSED

    @on(OrderConfirmed)
    def _confirmed(self, event: OrderConfirmed) -> None:
        self.status = Status.CONFIRMED
        if self.due.amount > 0:
            self.before_finance = self.due

    @on(PaymentCredited)
    def _credited(self, event: PaymentCredited) -> None:
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

    @on(OrderCancelled)
    def _cancelled(self, event: OrderCancelled) -> None:
        self.status = Status.CANCELLED
        self.fee = event.fee or self.fee

    @on(OrderReminderRequested)
    def _reminder_requested(self, event: OrderReminderRequested) -> None:
        """A mail changes nothing about the order."""

    @on(OrderStatusMailRequested)
    def _status_mail_requested(self, event: OrderStatusMailRequested) -> None:
        """A mail changes nothing about the order."""

    def _fee_by_rule(self, facts: Facts) -> Money:
        """Who has not paid all of it yet has no seats to give up, and may do so at any time."""
        if self.status is Status.PLACED:
            return self.total * 0
        seats = facts.look_up(ConferenceSeats, self.conference_id)
        rule = seats.cancellation_of_orders()
        ends_at = rule.ends_at(seats.starts_at)
        if ends_at is not None and facts.now >= ends_at:
            raise CancellationClosed
        return cancellation_fee(rule, self.lines, self.held)

    def _fee_by_staff(self, keep: Money) -> Money:
        keep.check()
        if keep < self.total * 0 or self.held < keep:
            raise FeeTooHigh
        return keep


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
