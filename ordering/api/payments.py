"""What providers report, and the sandbox, where one plays the customer at the provider's page."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, PermissionDenied, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import repository
from eventstore.commands import Receipt, chain_position
from eventstore.errors import DomainError, StreamNotFound
from ordering.api import min_position
from ordering.api.body_limit import body_of
from ordering.api.dry_run import NoDryRunQuery
from ordering.api.refusals import refuses
from ordering.api.serializers import MoneyShape, Shape, shaped
from ordering.api.views import View
from ordering.domain.errors import (
    PaymentNotReceived,
    PaymentReferenceDiffers,
    PaymentReferenceTaken,
    RefundAlreadySettled,
    RefundClosed,
    RefundMadeTwice,
    RefundNotFailed,
    RefundNotFound,
    RefundNotUnderWay,
    RefundTooHigh,
    ReportDiffers,
)
from ordering.domain.order import Order
from ordering.domain.payment import Payment
from ordering.models import OrderSummary
from ordering.providers import registry
from ordering.providers.errors import InvalidReport
from ordering.providers.provider import InvalidSignature as NotTheirs
from ordering.providers.provider import Outcome, Provider, RefundReport, Report
from ordering.providers.recording import command_of, payment_of, record_any
from ordering.providers.sandbox import SANDBOX, Sandbox
from ordering.providers.sandbox_notices import NoticeShape

log = structlog.get_logger(__name__)


REFUSED_REPORTS = (PaymentReferenceDiffers, PaymentReferenceTaken, ReportDiffers)
REFUSED_REFUNDS = (
    *(PaymentNotReceived, RefundAlreadySettled, RefundClosed, RefundMadeTwice, RefundNotFailed, RefundNotFound),
    *(RefundNotUnderWay, RefundTooHigh),
)


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
    payment_id = serializers.UUIDField(
        allow_null=True, help_text="of the payment that has it now; null where a refund is told of"
    )
    position = serializers.IntegerField(allow_null=True, help_text="of the last event recorded")


class Webhook(View):
    """Reports are known by the ids that their providers gave them."""

    scope = None
    takes_key = False
    parser_classes = []  # what is signed are the bytes
    write_query = NoDryRunQuery
    authentication_classes = []
    permission_classes = [AllowAny]

    @refuses(InvalidSignature, *REFUSED_REPORTS, *REFUSED_REFUNDS)
    @extend_schema(
        request={"application/json": NoticeShape},
        responses=ReceivedShape,
        parameters=[OpenApiParameter("X-Signature", str, "header", description="hex HMAC-SHA256 of the body")],
    )
    def post(self, request: Request, provider: str) -> Response:
        """What a provider reports, recorded whatever state the order is in; its signature says who it is."""
        return receive(_known(provider), request.headers, body_of(request._request), status=200)


class SandboxPayment(View):
    """Signs what the provider would, and goes the way of the webhook."""

    scope = "orders"

    @refuses(*REFUSED_REPORTS, PermissionDenied)
    @extend_schema(request=OutcomeShape, responses={202: ReceivedShape})
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Only with the sandbox provider: plays the customer at the provider's page. Each time is another payment, so
        that paying in part, twice or late can be played.
        """
        sandbox = _known(SANDBOX)
        assert isinstance(sandbox, Sandbox)
        payment = repository.get(Payment, payment_id)
        self.caller.must_touch(repository.get(Order, payment.order_id).customer_id, OrderSummary)
        played = shaped(OutcomeShape, request.data)
        self.must_be_as_seen()
        body = msgspec.json.encode(_notice(payment, self.new_id(), **played))
        if self.dry_run:
            (report,) = _reports(sandbox, body)
            assert isinstance(report, Report)
            self.foresee(command_of(sandbox.name, report))
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
    reached = 0
    for report in _reports(provider, body):
        try:
            receipt = record_any(provider.name, report)
        except InvalidReport as error:
            raise ParseError(str(error)) from error
        except DomainError as refusal:
            log.warning("payment_report_refused", provider=provider.name, report=report.id, code=refusal.code)
            refused = refused or refusal
        else:
            answer = _answer(report, receipt)
            reached = max(reached, (receipt and chain_position(receipt)) or 0)
    if refused is not None:
        raise refused
    return Response(answer, status=status, headers=min_position.written(reached) if reached else {})


def _known(name: str) -> Provider:
    provider = registry.provider(name)
    if provider is None:
        raise StreamNotFound
    return provider


def _answer(report: Report | RefundReport, receipt: Receipt | None) -> dict[str, Any]:
    position = receipt.position if receipt else None
    payment_id = payment_of(receipt) if receipt and isinstance(report, Report) else None
    return {"id": report.id, "payment_id": payment_id, "position": position}


def _reports(provider: Provider, body: bytes) -> Sequence[Report | RefundReport]:
    try:
        return provider.reports(body)
    except InvalidReport as error:
        raise (ValidationError(error.faults) if error.faults else ParseError(str(error))) from error
    except ValueError as error:
        raise ParseError("The report can't be read.") from error


def _notice(payment: Payment, report_id: UUID, outcome: str, amount: Mapping[str, Any] | None = None) -> dict[str, Any]:
    notice = {"id": str(report_id), "outcome": outcome, "payment_id": payment.id}
    if outcome != Outcome.DECLINED:
        notice["reference"] = f"SANDBOX-{report_id.hex[-12:].upper()}"
    if outcome == Outcome.ACCEPTED:
        notice["amount"] = amount or payment.amount
    return notice
