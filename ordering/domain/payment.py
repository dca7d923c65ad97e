"""Payments: what a provider is asked to collect, and what it says became of it."""

from enum import StrEnum
from uuid import UUID

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.events import Event, event
from ordering.domain.errors import PaymentAlreadySettled, PaymentNotRefundable
from ordering.domain.values import Money


class Status(StrEnum):
    REQUESTED = "requested"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    REFUNDED = "refunded"


@event("payment.requested")
class PaymentRequested(Event):
    payment_id: UUID
    order_id: UUID
    amount: Money
    provider: str


@event("payment.accepted")
class PaymentAccepted(Event):
    """The amount is what was paid, which may differ from what was asked for."""

    payment_id: UUID
    order_id: UUID
    amount: Money
    reference: str


@event("payment.declined")
class PaymentDeclined(Event):
    payment_id: UUID
    order_id: UUID
    reason: str


@event("payment.refunded")
class PaymentRefunded(Event):
    payment_id: UUID
    order_id: UUID
    amount: Money
    reason: str


@command("payment.request", stream="payment_id")
class RequestPayment(Command):
    payment_id: UUID
    order_id: UUID
    amount: Money
    provider: str


@command("payment.accept", stream="payment_id")
class AcceptPayment(Command):
    payment_id: UUID
    amount: Money
    reference: str


@command("payment.decline", stream="payment_id")
class DeclinePayment(Command):
    payment_id: UUID
    reason: str


@command("payment.refund", stream="payment_id")
class RefundPayment(Command):
    payment_id: UUID
    reason: str


class Payment(Aggregate, category="payment"):
    """Requested, perhaps declined (once or more often), accepted once, perhaps refunded.

    The amount is the one asked for until one is paid; the reference is the provider's name for what was paid.
    """

    order_id: UUID
    amount: Money
    reference: str
    status: Status

    @handles(RequestPayment, creates=True)
    def request(self, command: RequestPayment, facts: Facts) -> None:
        self.record(
            PaymentRequested(
                payment_id=self.id, order_id=command.order_id, amount=command.amount, provider=command.provider
            )
        )

    @handles(AcceptPayment)
    def accept(self, command: AcceptPayment, facts: Facts) -> None:
        if not self.settled:
            self.record(
                PaymentAccepted(
                    payment_id=self.id, order_id=self.order_id, amount=command.amount, reference=command.reference
                )
            )
        elif command.reference != self.reference:
            raise PaymentAlreadySettled

    @handles(DeclinePayment)
    def decline(self, command: DeclinePayment, facts: Facts) -> None:
        if self.settled:
            raise PaymentAlreadySettled
        self.record(PaymentDeclined(payment_id=self.id, order_id=self.order_id, reason=command.reason))

    @handles(RefundPayment)
    def refund(self, command: RefundPayment, facts: Facts) -> None:
        if not self.settled:
            raise PaymentNotRefundable
        if self.status is Status.ACCEPTED:
            self.record(
                PaymentRefunded(payment_id=self.id, order_id=self.order_id, amount=self.amount, reason=command.reason)
            )

    @property
    def settled(self) -> bool:
        """Whether money came in, even if it has gone back since."""
        return self.status in (Status.ACCEPTED, Status.REFUNDED)

    @on(PaymentRequested)
    def _requested(self, event: PaymentRequested) -> None:
        self.order_id, self.amount, self.reference = event.order_id, event.amount, ""
        self.status = Status.REQUESTED

    @on(PaymentAccepted)
    def _accepted(self, event: PaymentAccepted) -> None:
        self.amount, self.reference = event.amount, event.reference
        self.status = Status.ACCEPTED

    @on(PaymentDeclined)
    def _declined(self, event: PaymentDeclined) -> None:
        self.status = Status.DECLINED

    @on(PaymentRefunded)
    def _refunded(self, event: PaymentRefunded) -> None:
        self.status = Status.REFUNDED
