"""Payments: what a provider is asked to collect, and everything that it says became of it."""

from enum import StrEnum
from uuid import UUID, uuid5

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.events import Event, event
from ordering.domain.errors import (
    PaymentNotRefundable,
    PaymentReferenceDiffers,
    PaymentReferenceTaken,
)
from ordering.domain.values import Money

UNMATCHED = UUID("b3c0a3c4-52a3-5d0c-8a4b-3c8f1f0f9a17")
"""The name space of the ids of money that nobody knows."""


class Status(StrEnum):
    REQUESTED = "requested"
    PENDING = "pending"
    DECLINED = "declined"
    ACCEPTED = "accepted"
    REFUNDED = "refunded"


@event("payment.requested")
class PaymentRequested(Event):
    payment_id: UUID
    order_id: UUID
    amount: Money
    provider: str


@event("payment.accepted", version=2)
class PaymentAccepted(Event):
    """The amount is what was paid, which may differ from what was asked for. Version 1 had no `provider`: it is empty
    where the money came in before finance kept books.
    """

    payment_id: UUID
    order_id: UUID
    amount: Money
    reference: str
    provider: str


@event("payment.pending")
class PaymentPending(Event):
    """The customer has paid, and the provider doesn't have the money yet."""

    payment_id: UUID
    order_id: UUID
    reference: str


@event("payment.declined")
class PaymentDeclined(Event):
    payment_id: UUID
    order_id: UUID
    reason: str


@event("payment.refunded")
class PaymentRefunded(Event):
    """From before finance kept books: all that was paid has gone back."""

    payment_id: UUID
    order_id: UUID
    amount: Money
    reason: str


@event("payment.unmatched")
class PaymentUnmatched(Event):
    """Money has come in for a payment that nobody asked for."""

    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@event("payment.assigned")
class PaymentAssigned(Event):
    """Somebody found out for which order the money is."""

    payment_id: UUID
    order_id: UUID
    provider: str
    reference: str
    amount: Money


@command("payment.request", stream="payment_id")
class RequestPayment(Command):
    payment_id: UUID
    order_id: UUID
    amount: Money
    provider: str


@command("payment.accept", stream="payment_id")
class AcceptPayment(Command):
    """The provider is said where the money came through another one than was asked for it."""

    payment_id: UUID
    amount: Money
    reference: str
    provider: str = ""


@command("payment.await", stream="payment_id")
class AwaitPayment(Command):
    """The provider says that the money is on its way."""

    payment_id: UUID
    reference: str = ""


@command("payment.decline", stream="payment_id")
class DeclinePayment(Command):
    payment_id: UUID
    reason: str


@command("payment.refund", stream="payment_id")
class RefundPayment(Command):
    """From before finance kept books: one that still waits somewhere is carried out as it was meant."""

    payment_id: UUID
    reason: str


@command("payment.keep-unmatched", stream="payment_id")
class KeepUnmatched(Command):
    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@command("payment.assign", stream="payment_id")
class AssignPayment(Command):
    payment_id: UUID
    order_id: UUID


class Payment(Aggregate, category="payment"):
    """Requested once, and then whatever the provider reports. No report takes away a fact that was reported before:
    what was accepted stays accepted.

    The amount is the one asked for until one is paid. `receipts` has each sum that came in by the provider's reference,
    which another provider's name precedes, and `references` the provider and the reference of each; `unbooked` those of
    before finance kept books that have not gone back.
    """

    order_id: UUID
    provider: str
    amount: Money
    receipts: dict[str, Money]
    unbooked: dict[str, Money]
    references: tuple[tuple[str, str], ...]
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
        provider = command.provider or self.provider
        receipt = self._receipt(provider, command.reference)
        if receipt in self.receipts:
            if self.receipts[receipt] != command.amount:
                raise PaymentReferenceDiffers
            return
        claim_reference(self, provider, command.reference)
        self.record(
            PaymentAccepted(
                payment_id=self.id,
                order_id=self.order_id,
                amount=command.amount,
                reference=command.reference,
                provider=provider,
            )
        )

    @handles(AwaitPayment)
    def wait(self, command: AwaitPayment, facts: Facts) -> None:
        self.record(PaymentPending(payment_id=self.id, order_id=self.order_id, reference=command.reference))

    @handles(DeclinePayment)
    def decline(self, command: DeclinePayment, facts: Facts) -> None:
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

    def held_values(self) -> list[tuple[str, str]]:
        return [held_reference(*each) for each in self.references]

    def _receipt(self, provider: str, reference: str) -> str:
        return reference if provider in ("", self.provider) else f"{provider}/{reference}"

    @on(PaymentRequested)
    def _requested(self, event: PaymentRequested) -> None:
        self.order_id, self.provider, self.amount = event.order_id, event.provider, event.amount
        self.receipts, self.unbooked, self.references = {}, {}, ()
        self.status = Status.REQUESTED

    @on(PaymentAccepted)
    def _accepted(self, event: PaymentAccepted) -> None:
        self.amount = self.receipts[self._receipt(event.provider, event.reference)] = event.amount
        self.references += ((event.provider or self.provider, event.reference),)
        if not event.provider:
            self.unbooked[event.reference] = event.amount
        self.status = Status.ACCEPTED

    @on(PaymentPending)
    def _pending(self, event: PaymentPending) -> None:
        if not self.settled:
            self.status = Status.PENDING

    @on(PaymentDeclined)
    def _declined(self, event: PaymentDeclined) -> None:
        if not self.settled:
            self.status = Status.DECLINED

    @on(PaymentRefunded)
    def _refunded(self, event: PaymentRefunded) -> None:
        self.unbooked = {}
        self.status = Status.REFUNDED


def claim_reference(payment: Aggregate, provider: str, reference: str) -> None:
    """Money is told once, whatever stream it is told in."""
    payment.claim(*held_reference(provider, reference), PaymentReferenceTaken())


def held_reference(provider: str, reference: str) -> tuple[str, str]:
    """What is claimed of money: the scope, and the value."""
    return "payment-reference", f"{provider}/{reference}"


def further_payment_id(order_id: UUID, number: int) -> UUID:
    """The payment that asks for what is still due, the first, the second and so on."""
    return uuid5(order_id, f"payment/{number}")


def unmatched_payment_id(provider: str, reference: str) -> UUID:
    """What money is called here that a provider calls so, and that nobody knows."""
    return uuid5(UNMATCHED, f"{provider}/{reference}")
