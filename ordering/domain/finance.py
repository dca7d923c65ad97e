"""Finance: what was received, for whom, and what of it has gone back. An account for each order, and one for each sum
that nobody knows, until it is assigned.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID, uuid5

import msgspec

from eventstore.aggregates import Aggregate, Command, Facts, command, handles, on
from eventstore.events import Event, event
from ordering.domain.errors import (
    MixedCurrencies,
    NothingToMove,
    PaymentNotReceived,
    RefundAlreadySettled,
    RefundClosed,
    RefundMadeTwice,
    RefundNotFailed,
    RefundNotFound,
    RefundNotUnderWay,
    RefundTooHigh,
)
from ordering.domain.payment import Payment
from ordering.domain.values import Money

MADE_THERE = "It was made at the provider."


class RefundStatus(StrEnum):
    REQUESTED = "requested"
    SETTLED = "settled"
    FAILED = "failed"
    CLOSED = "closed"


class Receipt(msgspec.Struct, frozen=True):
    """Money that came in: through whom, under which name of theirs, for which payment."""

    payment_id: UUID
    provider: str
    reference: str
    amount: Money


class Refund(msgspec.Struct, frozen=True):
    """Money that is to go back, of one receipt; `attempt` counts how often the provider was asked, `refund_reference`
    is the provider's name for it once it is settled; `by_hand` says that somebody made it in another way. It is closed
    if it has failed, and nothing of its money is there any more.
    """

    receipt: str
    amount: Money
    reason: str
    attempt: int
    status: RefundStatus
    refund_reference: str = ""
    by_hand: bool = False


@event("finance.payment-received")
class PaymentReceived(Event):
    """`brought_forward` says that it came in before finance kept books. No order is named where nobody knows it."""

    account_id: UUID
    order_id: UUID | None
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    brought_forward: bool = False


@event("finance.payment-moved-out")
class PaymentMovedOut(Event):
    """What nobody knew, or what was left of it, has left its own account for that of an order."""

    account_id: UUID
    to_order_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@event("finance.payment-moved-in")
class PaymentMovedIn(Event):
    account_id: UUID
    order_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@event("refund.requested", version=2)
class RefundRequested(Event):
    """The provider is to be asked, for the first time or again; or, if it was `made_there`, somebody has made it at
    the provider, who is not to be asked. Version 1 had no `made_there`.
    """

    account_id: UUID
    order_id: UUID | None
    refund_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    reason: str
    attempt: int
    made_there: bool = False


@event("refund.answered", standalone=True)
class RefundAnswered(Event):
    """What the provider said to it: settled, pending or failed; `refund_reference` is its name for the refund."""

    account_id: UUID
    refund_id: UUID
    payment_id: UUID
    attempt: int
    outcome: str
    refund_reference: str
    reason: str


@event("refund.settled")
class RefundSettled(Event):
    """The money has gone back: the provider says so, or, if made by hand, a person."""

    account_id: UUID
    order_id: UUID | None
    refund_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    refund_reference: str
    by_hand: bool


@event("refund.failed")
class RefundFailed(Event):
    account_id: UUID
    order_id: UUID | None
    refund_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    reason: str


@event("refund.reversed")
class RefundReversed(Event):
    """The money had gone back, and didn't reach its receiver: the provider has it again. The refund has failed."""

    account_id: UUID
    order_id: UUID | None
    refund_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money
    reason: str


@event("refund.reduced")
class RefundReduced(Event):
    """It has failed, and less of its money is there than it was of: the rest went back otherwise, or to an order.
    `amount` is what it is of now; if that is nothing, it is closed.
    """

    account_id: UUID
    order_id: UUID | None
    refund_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@command("finance.book-payment", stream="account_id")
class BookPayment(Command):
    account_id: UUID
    order_id: UUID | None
    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@command("finance.bring-forward", stream="account_id")
class BringForward(Command):
    """Book what a payment brought in before finance kept books, and has not gone back."""

    account_id: UUID
    order_id: UUID
    payment_id: UUID


@command("finance.move-out", stream="account_id")
class MovePaymentOut(Command):
    account_id: UUID
    to_order_id: UUID


@command("finance.move-in", stream="account_id")
class MovePaymentIn(Command):
    account_id: UUID
    order_id: UUID
    payment_id: UUID
    provider: str
    reference: str
    amount: Money


@command("refund.request", stream="account_id")
class RequestRefund(Command):
    """Give back part of a receipt, or all. With `at_most` it is what is left, where that is less; what of all money is
    to stay is told as `leaving`, and money on its way back doesn't.
    """

    account_id: UUID
    provider: str
    reference: str
    amount: Money
    reason: str
    at_most: bool = False
    leaving: Money | None = None


@command("refund.request-all", stream="account_id")
class ReturnEverything(Command):
    """Give back whatever is left, but for what is to be kept of it; only of some receipts, where these are named as
    `receipt_key` does.
    """

    account_id: UUID
    reason: str
    keep: Money | None = None
    only: tuple[str, ...] | None = None


@command("refund.settle", stream="account_id")
class SettleRefund(Command):
    """The provider says that it has given the money back, asked at this attempt; 0 where that was not noted."""

    account_id: UUID
    refund_id: UUID
    refund_reference: str = ""
    attempt: int = 0


@command("refund.fail", stream="account_id")
class FailRefund(Command):
    """The provider says that it doesn't give the money back, asked at this attempt; 0 where that was not noted."""

    account_id: UUID
    refund_id: UUID
    reason: str
    attempt: int = 0


@command("refund.report", stream="account_id")
class ReportRefund(Command):
    """The provider says that money of a receipt has gone back, or has not, or has come back since. `refund_id` and
    `attempt` are of the refund that we asked for; None and 0 for one that somebody made at the provider.
    """

    account_id: UUID
    provider: str
    reference: str
    refund_id: UUID | None
    attempt: int
    refund_reference: str
    amount: Money
    settled: bool
    reason: str = ""


@command("refund.retry", stream="account_id")
class RetryRefund(Command):
    account_id: UUID
    refund_id: UUID


@command("refund.mark-made-by-hand", stream="account_id")
class MarkRefundMade(Command):
    """Somebody has given the money back in another way; the reference says in which."""

    account_id: UUID
    refund_id: UUID
    refund_reference: str = ""


class Account(Aggregate, category="finance"):
    """What came in, by provider and reference, and the refunds of it. Nothing is kept that isn't a sum of these: never
    more goes back of a receipt than was received, less what has gone back, is under way or was moved. Refunds that have
    failed are never of more than is left either. `settled_as` has the refund that was settled under a name of the
    provider's, by receipt and that name.
    """

    order_id: UUID | None
    receipts: dict[str, Receipt]
    moved: dict[str, Money]
    refunds: dict[UUID, Refund]
    settled_as: dict[tuple[str, str], UUID]

    def __init__(self, stream_id: UUID) -> None:
        super().__init__(stream_id)
        self.order_id = None
        self.receipts, self.moved, self.refunds, self.settled_as = {}, {}, {}, {}

    def left(self, key: str) -> Money:
        """What of a receipt could still go back."""
        left = self.receipts[key].amount
        for refund in self.refunds.values():
            if refund.receipt == key and not self._has_failed(refund):
                left += refund.amount * -1
        return left + self.moved[key] * -1 if key in self.moved else left

    def left_in(self, currency: str) -> Money:
        """What of all that came in this currency could still go back."""
        left = (self.left(key) for key in self.receipts)
        return sum((each for each in left if each.currency == currency), Money(Decimal(0), currency))

    @handles(BookPayment, creates=None)
    def book(self, command: BookPayment, facts: Facts) -> None:
        receipt = Receipt(command.payment_id, command.provider, command.reference, command.amount)
        self._receive(receipt, command.order_id)

    @handles(BringForward, creates=None)
    def bring_forward(self, command: BringForward, facts: Facts) -> None:
        payment = facts.look_up(Payment, command.payment_id)
        for reference, amount in payment.unbooked.items():
            receipt = Receipt(payment.id, payment.provider, reference, amount)
            self._receive(receipt, command.order_id, brought_forward=True)

    @handles(MovePaymentOut)
    def move_out(self, command: MovePaymentOut, facts: Facts) -> None:
        moving = {key: self.left(key) for key in self.receipts if self.left(key).amount > 0}
        if not moving:
            raise NothingToMove
        for key, amount in moving.items():
            self.record(PaymentMovedOut(to_order_id=command.to_order_id, **self._receipt(key, amount)))
            self._reduce_failed(key)

    @handles(MovePaymentIn, creates=None)
    def move_in(self, command: MovePaymentIn, facts: Facts) -> None:
        if receipt_key(command) not in self.receipts:
            self.record(
                PaymentMovedIn(
                    account_id=self.id,
                    order_id=command.order_id,
                    payment_id=command.payment_id,
                    provider=command.provider,
                    reference=command.reference,
                    amount=command.amount,
                )
            )

    @handles(RequestRefund)
    def request_refund(self, command: RequestRefund, facts: Facts) -> None:
        """It stands beside those that failed, which may be meant as well, as long as there is money for all of them."""
        key = receipt_key(command)
        if key not in self.receipts:
            raise PaymentNotReceived
        amount = min(command.amount, self._spare(key, command.leaving)) if command.at_most else command.amount
        if amount.amount > 0 or not command.at_most:
            self._ask_back(key, amount, command.reason)

    @handles(ReturnEverything)
    def return_everything(self, command: ReturnEverything, facts: Facts) -> None:
        """What is kept is kept of the receipts that came first. A refund that failed is tried again as far as its money
        is to go back: another beside it would leave staff with one that can't be made any more.
        """
        keep = command.keep
        for key in self.receipts:
            if command.only is not None and key not in command.only:
                continue
            left = self.left(key)
            if keep is not None and left.currency == keep.currency:
                kept = min(keep, left)
                keep, left = keep - kept, left - kept
            for refund_id, failed in self._failed(key):
                again = min(failed.amount, left)
                if again.amount > 0:
                    self._ask_back(key, again, command.reason, refund_id, failed.attempt + 1)
                    left -= again
            if left.amount > 0:
                self._ask_back(key, left, command.reason)

    @handles(SettleRefund)
    def settle(self, command: SettleRefund, facts: Facts) -> None:
        """The provider may have reported it before it has answered, and that the money came back since."""
        refund = self._refund(command.refund_id)
        if self._is_settled_as(command.refund_id, command.refund_reference):
            return
        if self._is_made_by_hand(refund) or 0 < command.attempt < refund.attempt:
            raise RefundMadeTwice
        if refund.status is not RefundStatus.REQUESTED:
            raise RefundNotUnderWay
        self._settle(command.refund_id, command.refund_reference, by_hand=False)

    @handles(FailRefund)
    def fail(self, command: FailRefund, facts: Facts) -> None:
        refund = self._refund(command.refund_id)
        if self._has_failed(refund) or 0 < command.attempt < refund.attempt:
            return
        if refund.status is not RefundStatus.REQUESTED:
            raise RefundNotUnderWay
        self.record(
            RefundFailed(
                **self._of(command.refund_id), **self._receipt(refund.receipt, refund.amount), reason=command.reason
            )
        )

    @handles(ReportRefund)
    def report(self, command: ReportRefund, facts: Facts) -> None:
        """The same may be reported again, in any order, and beside the answer that the provider gave when asked."""
        if command.refund_id is None:
            self._made_there(command)
        else:
            self._reported(command.refund_id, command)

    @handles(RetryRefund)
    def retry(self, command: RetryRefund, facts: Facts) -> None:
        refund = self._refund(command.refund_id)
        if refund.status is RefundStatus.CLOSED:
            raise RefundClosed
        if refund.status is not RefundStatus.FAILED:
            raise RefundNotFailed
        self._ask_back(refund.receipt, refund.amount, refund.reason, command.refund_id, refund.attempt + 1)

    @handles(MarkRefundMade)
    def mark_made(self, command: MarkRefundMade, facts: Facts) -> None:
        refund = self._refund(command.refund_id)
        if refund.status is RefundStatus.CLOSED:
            raise RefundClosed
        if refund.status is RefundStatus.SETTLED:
            raise RefundAlreadySettled
        if refund.status is RefundStatus.FAILED:
            self._must_be_left(refund.receipt, refund.amount)
        self._settle(command.refund_id, command.refund_reference, by_hand=True)

    @on(PaymentReceived)
    def _received(self, event: PaymentReceived) -> None:
        self.order_id = event.order_id
        self._keep(event)

    @on(PaymentMovedIn)
    def _moved_in(self, event: PaymentMovedIn) -> None:
        self.order_id = event.order_id
        self._keep(event)

    @on(PaymentMovedOut)
    def _moved_out(self, event: PaymentMovedOut) -> None:
        self.moved[receipt_key(event)] = event.amount

    @on(RefundRequested)
    def _refund_requested(self, event: RefundRequested) -> None:
        self.refunds[event.refund_id] = Refund(
            receipt_key(event), event.amount, event.reason, event.attempt, RefundStatus.REQUESTED
        )

    @on(RefundSettled)
    def _refund_settled(self, event: RefundSettled) -> None:
        named: dict[str, Any] = {"refund_reference": event.refund_reference, "by_hand": event.by_hand}
        self.refunds[event.refund_id] = msgspec.structs.replace(self.refunds[event.refund_id], **named)
        self._now(event.refund_id, RefundStatus.SETTLED)
        if event.refund_reference:
            self.settled_as[receipt_key(event), event.refund_reference] = event.refund_id

    @on(RefundFailed)
    def _refund_failed(self, event: RefundFailed) -> None:
        self._now(event.refund_id, RefundStatus.FAILED)

    @on(RefundReversed)
    def _refund_reversed(self, event: RefundReversed) -> None:
        self._now(event.refund_id, RefundStatus.FAILED)

    @on(RefundReduced)
    def _refund_reduced(self, event: RefundReduced) -> None:
        """What is closed is still known by what it was of."""
        if event.amount.amount:
            self.refunds[event.refund_id] = msgspec.structs.replace(self.refunds[event.refund_id], amount=event.amount)
        else:
            self._now(event.refund_id, RefundStatus.CLOSED)

    def _keep(self, event: PaymentReceived | PaymentMovedIn) -> None:
        receipt = Receipt(event.payment_id, event.provider, event.reference, event.amount)
        self.receipts[receipt_key(event)] = receipt

    def _now(self, refund_id: UUID, status: RefundStatus) -> None:
        self.refunds[refund_id] = msgspec.structs.replace(self.refunds[refund_id], status=status)

    def _receive(self, receipt: Receipt, order_id: UUID | None, *, brought_forward: bool = False) -> None:
        if receipt_key(receipt) not in self.receipts:
            self.record(
                PaymentReceived(
                    account_id=self.id,
                    order_id=order_id,
                    payment_id=receipt.payment_id,
                    provider=receipt.provider,
                    reference=receipt.reference,
                    amount=receipt.amount,
                    brought_forward=brought_forward,
                )
            )

    def _reported(self, refund_id: UUID, command: ReportRefund) -> None:
        """One that failed may have been settled before, and what was reported first may come last: it has failed. One
        that was made in another way stays so; if it is news that the provider has made it as well, staff are told.
        """
        refund = self._refund(refund_id)
        is_news = command.settled and not self._is_settled_as(refund_id, command.refund_reference)
        if is_news and self._is_made_by_hand(refund):
            raise RefundMadeTwice
        if command.attempt < refund.attempt or self._has_failed(refund):
            return
        if refund.status is RefundStatus.SETTLED:
            if not command.settled and not refund.by_hand:
                self._reverse(refund_id, command.reason)
        elif command.settled:
            self._settle(refund_id, command.refund_reference, by_hand=False)
        else:
            failed = {**self._of(refund_id), **self._receipt(refund.receipt, refund.amount)}
            self.record(RefundFailed(**failed, reason=command.reason))

    def _is_settled_as(self, refund_id: UUID, refund_reference: str) -> bool:
        """Whether it is known already that the provider made it, under this name."""
        return self.settled_as.get((self._refund(refund_id).receipt, refund_reference)) == refund_id

    def _is_made_by_hand(self, refund: Refund) -> bool:
        return refund.status is RefundStatus.SETTLED and refund.by_hand

    def _made_there(self, command: ReportRefund) -> None:
        key = receipt_key(command)
        if key not in self.receipts:
            raise PaymentNotReceived
        if (known := self.settled_as.get((key, command.refund_reference))) is not None:
            refund = self.refunds[known]
            stands = refund.status is RefundStatus.SETTLED and refund.refund_reference == command.refund_reference
            if stands and not command.settled:
                self._reverse(known, command.reason)
        elif command.settled:
            refund_id = uuid5(self.id, f"refund/{command.provider}/{command.refund_reference}")
            self._ask_back(key, command.amount, MADE_THERE, refund_id, made_there=True)
            self._settle(refund_id, command.refund_reference, by_hand=False)

    def _reverse(self, refund_id: UUID, reason: str) -> None:
        refund = self._refund(refund_id)
        self.record(
            RefundReversed(**self._of(refund_id), **self._receipt(refund.receipt, refund.amount), reason=reason)
        )

    def _ask_back(
        self,
        key: str,
        amount: Money,
        reason: str,
        refund_id: UUID | None = None,
        attempt: int = 1,
        *,
        made_there: bool = False,
    ) -> None:
        self._must_be_left(key, amount)
        refund_id = refund_id or uuid5(self.id, f"refund/{len(self.refunds) + 1}")
        self.record(
            RefundRequested(
                **self._of(refund_id),
                **self._receipt(key, amount),
                reason=reason,
                attempt=attempt,
                made_there=made_there,
            )
        )
        self._reduce_failed(key)

    def _settle(self, refund_id: UUID, refund_reference: str, *, by_hand: bool) -> None:
        refund = self._refund(refund_id)
        self.record(
            RefundSettled(
                **self._of(refund_id),
                **self._receipt(refund.receipt, refund.amount),
                refund_reference=refund_reference,
                by_hand=by_hand,
            )
        )

    def _failed(self, key: str) -> list[tuple[UUID, Refund]]:
        """The refunds of a receipt that have failed, or come back."""
        return [
            (refund_id, refund)
            for refund_id, refund in self.refunds.items()
            if refund.receipt == key and refund.status is RefundStatus.FAILED
        ]

    def _spare(self, key: str, leaving: Money | None) -> Money:
        """What of a receipt could go back if so much is to be left of all that came in."""
        left = self.left(key)
        return min(left, self.left_in(left.currency) - leaving) if leaving else left

    def _has_failed(self, refund: Refund) -> bool:
        return refund.status in (RefundStatus.FAILED, RefundStatus.CLOSED)

    def _reduce_failed(self, key: str) -> None:
        """What is left of a receipt is there for those of its failed refunds that were asked for first."""
        left = self.left(key)
        for refund_id, failed in self._failed(key):
            still = min(failed.amount, left)
            if still < failed.amount:
                self.record(RefundReduced(**self._of(refund_id), **self._receipt(key, still)))
            left -= still

    def _must_be_left(self, key: str, amount: Money) -> None:
        left = self.left(key)
        if amount.currency != left.currency:
            raise MixedCurrencies
        if not 0 < amount.amount <= left.amount:
            raise RefundTooHigh

    def _refund(self, refund_id: UUID) -> Refund:
        try:
            return self.refunds[refund_id]
        except KeyError:
            raise RefundNotFound from None

    def _of(self, refund_id: UUID) -> dict[str, Any]:
        return {"refund_id": refund_id, "order_id": self.order_id}

    def _receipt(self, key: str, amount: Money) -> dict[str, Any]:
        receipt = self.receipts[key]
        return {
            "account_id": self.id,
            "payment_id": receipt.payment_id,
            "provider": receipt.provider,
            "reference": receipt.reference,
            "amount": amount,
        }


class Referenced(Protocol):
    """Whatever names money as its provider does."""

    @property
    def provider(self) -> str: ...

    @property
    def reference(self) -> str: ...


def receipt_key(named: Referenced) -> str:
    """A reference is unique with its provider."""
    return receipt_key_of(named.provider, named.reference)


def receipt_key_of(provider: str, reference: str) -> str:
    return f"{provider}/{reference}"


def account_id_of(owner_id: UUID) -> UUID:
    """The account of an order, or of a payment that nobody knows."""
    return uuid5(owner_id, "account")
