"""Those who pay as people do, and the staff who see to what comes of it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from django.db import connections

from eventstore.aggregates import Command
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.errors import DomainError, StreamNotFound
from eventstore.models import StoredEvent
from eventstore.transient_errors import is_infrastructure
from ordering.domain.conference_changes import CancelConference, ChangeCancellationRule
from ordering.domain.finance import (
    MarkRefundMade,
    RefundSettled,
    ReportRefund,
    RequestRefund,
    RetryRefund,
    account_id_of,
)
from ordering.domain.payment import AssignPayment, unmatched_payment_id
from ordering.domain.terms import CancellationRule
from ordering.domain.values import Money, payment_id_of
from ordering.models import FailedRefund, OrderSummary
from ordering.providers.sandbox import NO_REFUND, SANDBOX
from tests.chaos.soak.buyers import AGAIN_AFTER, PATIENCE, Buyer, Buyers
from tests.integration import shop

FAVOUR = "As a favour."
RULE = CancellationRule(fixed=Money(Decimal("5.00"), "EUR"), percent=10)

T = TypeVar("T")

LOOK_EVERY = 1.0
CANCEL_EVERY = 20.0
"""Seconds after which staff look again at what failed, and cancel one more conference."""


class Payer(Buyer):
    """Pays in parts, twice, too much and late, for orders and for nothing, and changes seats beside."""

    fates: Mapping[tuple[str, ...], int] = {
        ("pay",): 6,
        ("pay", "again"): 2,
        ("half", "half"): 3,
        ("half",): 1,
        ("half", "run out", "half"): 1,
        ("too much",): 2,
        ("decline", "pay"): 2,
        ("run out",): 1,
        ("run out", "pay"): 2,
        ("cancel",): 1,
        ("pay", "cancel"): 3,
        ("pay for good", "cancel"): 2,
        ("pay for good", "again"): 1,
        ("pay", "quantities"): 2,
        ("quantities", "pay"): 2,
        ("half", "quantities", "half"): 1,
        ("pay", "refund all"): 1,
        ("pay", "refund part"): 1,
        ("nobody's",): 1,
        ("nobody's, for this",): 2,
    }

    def _do(self, step: str, order_id: UUID, total: Mapping[str, str]) -> None:
        match step:
            case "again":
                self._pay(order_id, total)
            case "half":
                self._pay(order_id, total, share="0.5")
            case "too much":
                self._pay(order_id, total, share="1.5")
            case "pay for good":
                self._pay(order_id, total, prefix=NO_REFUND)
            case "quantities":
                lines = [{"seat_type": "standard", "quantity": self._random.randint(1, 4)}]
                self._call("quantities", order_id, "POST", f"/orders/{order_id}/quantities", {"lines": lines})
            case "refund all" | "refund part":
                self._give_back(order_id, total, share="1" if step == "refund all" else "0.2")
            case "nobody's" | "nobody's, for this":
                self._pay_for_nothing(order_id, total, assign=step != "nobody's")
            case _:
                super()._do(step, order_id, total)

    def _pay(self, order_id: UUID, total: Mapping[str, str], *, share: str = "1", prefix: str = "AGAIN") -> None:
        """Money of its own, under a reference of its own."""
        reference = f"{prefix}-{new_id().hex[-12:]}"
        self._report(order_id, outcome="accepted", amount=share_of(total, share), reference=reference)

    def _give_back(self, order_id: UUID, total: Mapping[str, str], *, share: str) -> None:
        """As staff do, once the money is booked."""
        asked = share_of(total, share)
        refund = RequestRefund(
            account_id=account_id_of(order_id),
            provider=SANDBOX,
            reference=f"REF-{order_id.hex[-12:]}",
            amount=Money(Decimal(asked["amount"]), asked["currency"]),
            reason=FAVOUR,
        )
        self._us.refusals.update(act(refund))

    def _pay_for_nothing(self, order_id: UUID, total: Mapping[str, str], *, assign: bool) -> None:
        reference = f"NOBODY-{new_id().hex[-12:]}"
        payment_id = unmatched_payment_id(SANDBOX, reference)
        content = {
            "id": new_id().hex,
            "payment_id": str(payment_id_of(new_id())),
            "outcome": "accepted",
            "amount": total,
            "reference": reference,
        }
        self._call("unmatched", payment_id, "POST", "/webhooks/payments/sandbox", content)
        if assign:
            self._us.refusals.update(act(AssignPayment(payment_id=payment_id, order_id=order_id)))


class Staff:
    """They try refunds again that failed, and make by hand what fails once more; and cancel conferences, one after the
    other. Meanwhile refunds come back that the provider had made.
    """

    def __init__(self, buyers: Buyers) -> None:
        self.acts: Counter[str] = Counter()
        self._buyers, self._ended, self._cancelled = buyers, threading.Event(), list[UUID]()
        self._failed_at: dict[UUID, datetime | None] = {}
        self._came_back: set[str] = set()
        for conference_id in buyers.conferences:
            dispatch(ChangeCancellationRule(conference_id=conference_id, rule=RULE))
        buyers.conferences = [*buyers.conferences, shop.conference_on_sale(1000)]

    def start(self) -> None:
        threading.Thread(target=self._work, name="staff", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def unrest(self) -> list[str]:
        """What is left for them to see to, or for the orders of conferences that they cancelled."""
        failed = (f"{row} of {row.refund_id} has failed" for row in FailedRefund.objects.all())
        status = OrderSummary.Status
        standing = OrderSummary.objects.filter(
            conference_id__in=self._cancelled, status__in=[status.PLACED, status.AWAITING_PAYMENT, status.CONFIRMED]
        )
        return [*failed, *(f"{order} stands, and its conference is cancelled" for order in standing)]

    def _work(self) -> None:
        cancelled_at = time.monotonic()
        while not self._ended.wait(LOOK_EVERY):
            for refund in until_answered(lambda: list(FailedRefund.objects.all())):
                self._see_to(refund)
            if not self._buyers.ending.is_set():
                self._have_one_come_back()
            if not self._buyers.ending.is_set() and time.monotonic() - cancelled_at > CANCEL_EVERY:
                self._cancel()
                cancelled_at = time.monotonic()

    def _see_to(self, refund: FailedRefund) -> None:
        """Once for each time that it has failed: the list may not know yet what became of that."""
        again = refund.refund_id not in self._failed_at
        if self._failed_at.get(refund.refund_id) == refund.failed_at:
            return
        command: Command = (
            RetryRefund(account_id=refund.account_id, refund_id=refund.refund_id)
            if again
            else MarkRefundMade(
                account_id=refund.account_id, refund_id=refund.refund_id, refund_reference="by transfer"
            )
        )
        self.acts[command.stored] += 1
        self._failed_at[refund.refund_id] = None if act(command) else refund.failed_at

    def _have_one_come_back(self) -> None:
        """The last refund that the provider has made, once, whatever is told of it twice."""
        made = StoredEvent.objects.filter(type=RefundSettled.stored, data__by_hand=False).order_by("-position")
        newest = until_answered(made.first)
        told = newest.data if newest else {}
        if newest is None or told["refund_id"] in self._came_back:
            return
        self._came_back.add(told["refund_id"])
        command = ReportRefund(
            account_id=newest.stream_id,
            provider=told["provider"],
            reference=told["reference"],
            refund_id=None,
            attempt=0,
            refund_reference=told["refund_reference"],
            amount=Money(Decimal(told["amount"]["amount"]), told["amount"]["currency"]),
            settled=False,
            reason="The account is closed.",
        )
        self.acts[command.stored] += 1
        for _ in range(2):
            act(command)

    def _cancel(self) -> None:
        *others, conference_id = self._buyers.conferences
        self._buyers.conferences = [*others, until_answered(lambda: shop.conference_on_sale(1000))]
        self._cancelled.append(conference_id)
        self.acts[CancelConference.stored] += 1
        act(CancelConference(conference_id=conference_id, reason="No hall."))


def act(command: Command) -> list[str]:
    """Has a command carried out, once, however often it takes; answers why it was refused."""
    command_id = new_id()
    try:
        until_answered(lambda: dispatch(command, command_id=command_id))
    except (DomainError, StreamNotFound) as refusal:
        return [f"{command.stored} {refusal.code}"]
    return []


def until_answered(ask: Callable[[], T]) -> T:
    """What is answered, once the database is there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except Exception as error:
            if not is_infrastructure(error) or time.monotonic() > deadline:
                raise
        finally:
            connections.close_all()
        time.sleep(AGAIN_AFTER)


def share_of(total: Mapping[str, str], share: str) -> dict[str, str]:
    """Down to the cent."""
    amount = (Decimal(total["amount"]) * Decimal(share)).quantize(Decimal("0.01"))
    return {"amount": str(amount), "currency": total["currency"]}
