"""What providers report becomes facts, whether a webhook brings it, a look-up or a bank statement: each report once."""

from uuid import UUID, uuid5

from eventstore import context, repository, store
from eventstore.aggregates import Command
from eventstore.commands import Receipt, dispatch
from eventstore.errors import StreamNotFound
from eventstore.events import Event
from eventstore.monitoring import incidents
from ordering.domain.errors import (
    PaymentReferenceDiffers,
    PaymentReferenceTaken,
    RefundMadeTwice,
    RefundTooHigh,
    ReportDiffers,
)
from ordering.domain.finance import Account, RefundRequested, ReportRefund, account_id_of, receipt_key_of
from ordering.domain.payment import (
    AcceptPayment,
    AwaitPayment,
    DeclinePayment,
    KeepUnmatched,
    Payment,
    PaymentAccepted,
    PaymentDeclined,
    PaymentPending,
    PaymentUnmatched,
    unmatched_payment_id,
)
from ordering.domain.unmatched_payment import UnmatchedPayment
from ordering.domain.values import Money
from ordering.effects.refund import ask_provider
from ordering.findings import PAYMENT_REPORT
from ordering.models import OrderSummary
from ordering.providers.errors import InvalidReport
from ordering.providers.provider import Outcome, RefundOutcome, RefundReport, Report

REPORTS = UUID("6f1f5b1e-7d0c-5a0e-9f0c-2f8a3c1d4e5b")
"""The name space of command ids that derive from what a provider calls its report."""


CONTRADICTIONS = (
    ReportDiffers,
    PaymentReferenceDiffers,
    PaymentReferenceTaken,
    RefundMadeTwice,
    RefundTooHigh,
)


def record_any(provider: str, report: Report | RefundReport) -> Receipt | None:
    """`record`, or `record_refund`. What contradicts a report before, or what is known, is for staff to clear up, for
    its money may be there and not counted: they are told.
    """
    try:
        return record(provider, report) if isinstance(report, Report) else record_refund(provider, report)
    except CONTRADICTIONS as refusal:
        amount = f", {report.amount}" if report.amount else ""
        told = f"was refused, {refusal.code}: {refusal} It says {report.outcome}{amount}."
        incidents.find(PAYMENT_REPORT, f"{provider} report {report.id}", told)
        raise


def record(provider: str, report: Report) -> Receipt:
    """What a provider has verifiably reported becomes a fact, once for each report. Money for a payment that nobody
    knows is kept for staff to assign.

    Raises `ReportDiffers` where another report came under this id, `PaymentReferenceDiffers` and
    `PaymentReferenceTaken`, and `StreamNotFound` where a payment that nobody knows brings no money.
    """
    command_id = uuid5(REPORTS, f"{provider}/{report.id}")
    with context.acting(actor=f"provider:{provider}"):
        command = command_of(provider, report)
        try:
            receipt = dispatch(command, command_id=command_id)
        except StreamNotFound:
            if report.outcome is not Outcome.ACCEPTED:
                raise
            command = _unmatched(provider, report)
            receipt = dispatch(command, command_id=command_id)
    if receipt.repeated and not _tells(receipt.recorded, command):
        raise ReportDiffers
    return receipt


def record_refund(provider: str, report: RefundReport) -> Receipt | None:
    """What became of money given back, whoever asked for it. Our own refunds are known by their key; any other is one
    XX"""
    if report.outcome is RefundOutcome.PENDING:
        return None
    account = _account_of(provider, report.payment_reference)
    refund_id, attempt = _ours(account, report.key)
    with context.acting(actor=f"provider:{provider}"):
        return dispatch(
            ReportRefund(
                account_id=account.id,
                provider=provider,
                reference=report.payment_reference,
                refund_id=refund_id,
                attempt=attempt,
                refund_reference=report.reference,
                amount=report.amount,
                settled=report.outcome is RefundOutcome.SETTLED,
                reason=report.reason,
            )
        )


def _account_of(provider: str, reference: str) -> Account:
    """That which has the money. Raises `StreamNotFound`."""
    unmatched = repository.load(UnmatchedPayment, unmatched_payment_id(provider, reference))
    if unmatched.exists:
        owners = [unmatched.order_id or unmatched.id]
    else:
        found = OrderSummary.objects.filter(payments__contains=[{"reference": reference}])
        owners = list(found.values_list("pk", flat=True))
    for owner in owners:
        account = repository.load(Account, account_id_of(owner))
        if receipt_key_of(provider, reference) in account.receipts:
            return account
    raise StreamNotFound


def _ours(account: Account, key: UUID | None) -> tuple[UUID | None, int]:
    """The refund, and the attempt at it, for which the provider was asked under this key; None and 0 without."""
    for recorded in store.read_stream(account.id) if key else ():
        event = recorded.event
        if isinstance(event, RefundRequested) and ask_provider.idempotency_key(recorded) == key:
            return event.refund_id, event.attempt
    return None, 0


def command_of(provider: str, report: Report) -> Command:
    """What a report asks for. Raises `InvalidReport`, and `StreamNotFound` where it names no payment and brings no
    money.
    """
    payment_id = report.payment_id
    if payment_id is None and report.outcome is Outcome.ACCEPTED:
        return _unmatched(provider, report)
    if payment_id is None:
        raise StreamNotFound
    match report.outcome:
        case Outcome.ACCEPTED:
            return AcceptPayment(payment_id=payment_id, amount=_amount(report), reference=report.reference)
        case Outcome.PENDING:
            return AwaitPayment(payment_id=payment_id, reference=report.reference)
        case Outcome.DECLINED:
            return DeclinePayment(payment_id=payment_id, reason=report.reason)


def _unmatched(provider: str, report: Report) -> Command:
    return KeepUnmatched(
        payment_id=unmatched_payment_id(provider, report.reference),
        provider=provider,
        reference=report.reference,
        amount=_amount(report),
    )


def _amount(report: Report) -> Money:
    if report.amount is None or not report.reference:
        raise InvalidReport("An accepted payment has an amount and a reference.")
    return report.amount


def _tells(recorded: tuple[Event, ...], command: Command) -> bool:
    """Whether this is what the command recorded when it came first. What left no event was money that was known, and so
    is still.
    """
    if recorded:
        kept = recorded[0]
        same_payment = isinstance(kept, PaymentUnmatched) or getattr(kept, "payment_id", None) == command.stream_id
        return same_payment and _content(kept) == _content(command)
    match command:
        case AcceptPayment():
            return repository.get(Payment, command.payment_id).receipts.get(command.reference) == command.amount
        case KeepUnmatched():
            return repository.get(UnmatchedPayment, command.payment_id).amount == command.amount
    return False


def payment_of(receipt: Receipt) -> UUID:
    """The payment that has the money: even if there is by now the one that the report names."""
    kept: UUID = (
        getattr(receipt.recorded[0], "payment_id", receipt.stream_id) if receipt.recorded else receipt.stream_id
    )
    return kept


def _content(told: Event | Command) -> tuple[object, ...]:
    """What a report says, but for whose payment it is about."""
    match told:
        case PaymentAccepted() | PaymentUnmatched() | AcceptPayment() | KeepUnmatched():
            return Outcome.ACCEPTED, told.amount, told.reference
        case PaymentPending() | AwaitPayment():
            return Outcome.PENDING, told.reference
        case PaymentDeclined() | DeclinePayment():
            return Outcome.DECLINED, told.reason
    return (told,)
