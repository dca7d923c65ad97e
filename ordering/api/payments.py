"""What providers report, and the sandbox, where one plays the customer at the provider's page."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid5

import msgspec
import structlog
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import context, repository
from eventstore.aggregates import Command
from eventstore.commands import Receipt, dispatch
from eventstore.context import new_id
from eventstore.errors import DomainError, StreamNotFound
from eventstore.events import Event
from ordering.api.body_limit import body_of
from ordering.api.serializers import MoneyShape, Shape, shaped
from ordering.api.views import View
from ordering.domain.errors import ReportDiffers
from ordering.domain.order import Order
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
    UnmatchedPayment,
    unmatched_payment_id,
)
from ordering.domain.values import Money
from ordering.providers import registry
from ordering.providers.errors import InvalidReport
from ordering.providers.provider import InvalidSignature as NotTheirs
from ordering.providers.provider import Outcome, Provider, Report
from ordering.providers.sandbox import SANDBOX, NoticeShape, Sandbox

log = structlog.get_logger(__name__)

REPORTS = UUID("6f1f5b1e-7d0c-5a0e-9f0c-2f8a3c1d4e5b")
"""The name space of command ids that derive from what a provider calls its report."""


class InvalidSignature(APIException):
    """The signature is not the provider's."""

    status_code = 400
    default_code = "invalid-signature"
    default_detail = "The signature is not the provider's."


class OutcomeShape(Shape):
    outcome = serializers.ChoiceField([each.value for each in Outcome])
    amount = MoneyShape(required=False, help_text="what is paid, where that is not what was asked for")


class ReceivedShape(Shape):
    """Where a body has several reports, it is about the last of them; where it has none, everything is null."""

    id = serializers.CharField(allow_null=True, help_text="of the provider's report")
    payment_id = serializers.UUIDField(allow_null=True, help_text="of the payment that has it now")
    position = serializers.IntegerField(allow_null=True, help_text="of the last event recorded")


class Webhook(View):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        request=NoticeShape,
        responses=ReceivedShape,
        parameters=[OpenApiParameter("X-Signature", str, "header", description="hex HMAC-SHA256 of the body")],
    )
    def post(self, request: Request, provider: str) -> Response:
        """What a provider reports, recorded whatever state the order is in; its signature says who it is."""
        return receive(_known(provider), request.headers, body_of(request._request), status=200)


class SandboxPayment(View):
    """Signs what the provider would, and goes the way of the webhook."""

    @extend_schema(request=OutcomeShape, responses={202: ReceivedShape})
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Only with the sandbox provider: plays the customer at the provider's page. Each time is another payment, so
        that paying in part, twice or late can be played.
        """
        sandbox = _known(SANDBOX)
        assert isinstance(sandbox, Sandbox)
        payment = repository.get(Payment, payment_id)
        self.caller.must_touch(repository.get(Order, payment.order_id).customer_id)
        played = shaped(OutcomeShape, request.data)
        body = msgspec.json.encode(_notice(payment, **played))
        return receive(sandbox, sandbox.sign(body), body, status=202)


def receive(provider: Provider, headers: Mapping[str, str], body: bytes, *, status: int) -> Response:
    """Verify, read and record what a provider reports; the same again is answered as the first time.

    A report that is refused keeps none of the others back. Raises the first refusal once all have been tried.
    """
    try:
        provider.verify(headers, body)
    except NotTheirs:
        raise InvalidSignature from None
    refused: DomainError | None = None
    answer: dict[str, Any] = {"id": None, "payment_id": None, "position": None}
    for report in _reports(provider, body):
        try:
            receipt = record(provider.name, report)
        except DomainError as refusal:
            log.warning("payment_report_refused", provider=provider.name, report=report.id, code=refusal.code)
            refused = refused or refusal
        else:
            answer = {"id": report.id, "payment_id": _payment_of(receipt), "position": receipt.position}
    if refused is not None:
        raise refused
    position = answer["position"]
    return Response(answer, status=status, headers={"Event-Position": str(position)} if position else {})


def record(provider: str, report: Report) -> Receipt:
    """What a provider has verifiably reported becomes a fact, once for each report. Money for a payment that nobody
    knows is kept for staff to assign.

    Raises `ReportDiffers` where another report came under this id, `PaymentReferenceDiffers` and
    `PaymentReferenceTaken`, and `StreamNotFound` where a payment that nobody knows brings no money.
    """
    command_id = uuid5(REPORTS, f"{provider}/{report.id}")
    with context.acting(actor=f"provider:{provider}"):
        command = _command(provider, report)
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


def _known(name: str) -> Provider:
    provider = registry.provider(name)
    if provider is None:
        raise StreamNotFound
    return provider


def _reports(provider: Provider, body: bytes) -> Iterable[Report]:
    try:
        found = provider.reports(body)
    except InvalidReport as error:
        raise (ValidationError(error.faults) if error.faults else ParseError(str(error))) from error
    except ValueError as error:
        raise ParseError("The report can't be read.") from error
    if any(not isinstance(report, Report) for report in found):
        raise ParseError("What became of a refund is not taken from a webhook yet.")  # its provider asks again
    return [report for report in found if isinstance(report, Report)]


def _command(provider: str, report: Report) -> Command:
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
        raise ParseError("An accepted payment has an amount and a reference.")
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


def _payment_of(receipt: Receipt) -> UUID:
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


def _notice(payment: Payment, outcome: str, amount: Mapping[str, Any] | None = None) -> dict[str, Any]:
    report_id = new_id()
    notice = {"id": str(report_id), "outcome": outcome, "payment_id": payment.id}
    if outcome != Outcome.DECLINED:
        notice["reference"] = f"SANDBOX-{report_id.hex[-12:].upper()}"
    if outcome == Outcome.ACCEPTED:
        notice["amount"] = amount or payment.amount
    return notice
