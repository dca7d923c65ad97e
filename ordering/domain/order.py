"""Orders: somebody asks for seats of a conference, and gets them by paying in time."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.errors import ConcurrencyConflict, DomainError, StreamNotFound
from eventstore.events import Event, event
from ordering.domain.conference import ConferenceSeats, Line, PricedLine, total
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    ConferenceNotFound,
    CustomerNotFound,
    OrderNotCancellable,
    OrderNotExpirable,
    OrderNotPayable,
    OrderNotRefusable,
    OrderNotTakenUp,
)
from ordering.domain.values import NUMBER_BITS, Moment, Money, order_number

A = TypeVar("A", bound=Aggregate)

PAYMENT_WINDOW = timedelta(minutes=15)


class Status(StrEnum):
    PLACED = "placed"
    REFUSED = "refused"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@event("order.placed")
class OrderPlaced(Event):
    order_id: UUID
    number: str
    customer_id: UUID
    conference_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money
    expires_at: Moment


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


@event("order.cancelled")
class OrderCancelled(Event):
    order_id: UUID
    reason: str


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
    order_id: UUID


@command("order.cancel", stream="order_id")
class CancelOrder(Command):
    order_id: UUID
    reason: str = ""


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


@command("order.request-status-mail", stream="order_id")
class RequestStatusMail(Command):
    order_id: UUID


class Order(Aggregate, category="order"):
    """Placed, then confirmed, refused or expired; placed or confirmed, it can be cancelled; expired, it can be taken up
    again.

    What it owes is its total, less what was credited, plus what was debited. `before_finance` is what an order had paid
    that was confirmed before finance kept books.
    """

    number: str
    customer_id: UUID
    lines: tuple[PricedLine, ...]
    total: Money
    received: Money
    returned: Money
    before_finance: Money
    status: Status

    @property
    def due(self) -> Money:
        """What is still owed; negative if there is too much."""
        return self.total + (self.received + self.before_finance) * -1 + self.returned

    @handles(PlaceOrder, creates=True)
    def place(self, command: PlaceOrder, facts: Facts) -> None:
        customer = look_up(facts, Customer, command.customer_id, CustomerNotFound())
        seats = look_up(facts, ConferenceSeats, command.conference_id, ConferenceNotFound())
        lines = seats.offer(command.lines, facts.now)
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
                expires_at=facts.now + PAYMENT_WINDOW,
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
        self.record(OrderExpired(order_id=self.id))

    @handles(CancelOrder)
    def cancel(self, command: CancelOrder, facts: Facts) -> None:
        if self.status not in (Status.PLACED, Status.CONFIRMED):
            raise OrderNotCancellable
        self.record(OrderCancelled(order_id=self.id, reason=command.reason))

    @handles(RequestStatusMail)
    def request_status_mail(self, command: RequestStatusMail, facts: Facts) -> None:
        self.record(OrderStatusMailRequested(order_id=self.id, customer_id=self.customer_id))

    @on(OrderPlaced)
    def _placed(self, event: OrderPlaced) -> None:
        self.number, self.customer_id = event.number, event.customer_id
        self.lines, self.total = event.lines, event.total
        self.received = self.returned = self.before_finance = Money(Decimal(0), event.total.currency)
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

    @on(OrderCancelled)
    def _cancelled(self, event: OrderCancelled) -> None:
        self.status = Status.CANCELLED

    @on(OrderStatusMailRequested)
    def _status_mail_requested(self, event: OrderStatusMailRequested) -> None:
        """A mail changes nothing about the order."""


def look_up(facts: Facts, kind: type[A], stream_id: UUID, missing: DomainError) -> A:
    """Another aggregate; raises `missing` rather than leave open what was not found."""
    try:
        return facts.look_up(kind, stream_id)
    except StreamNotFound:
        raise missing from None
