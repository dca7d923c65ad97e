"""What providers report, and the sandbox, where one plays the customer at the provider's page."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from eventstore import context, repository
from eventstore.aggregates import Command
from eventstore.commands import dispatch
from eventstore.context import new_id
from ordering.api import parsers, providers
from ordering.api.body_limit import body_of
from ordering.api.providers import SANDBOX, NoticeShape
from ordering.api.serializers import Shape, shaped
from ordering.api.views import View
from ordering.domain.errors import OrderNotPayable
from ordering.domain.order import Order
from ordering.domain.order import Status as OrderStatus
from ordering.domain.payment import AcceptPayment, DeclinePayment, Payment
from ordering.domain.values import Money

NOTICES = UUID("6f1f5b1e-7d0c-5a0e-9f0c-2f8a3c1d4e5b")
"""The name space of command ids that derive from what a provider calls its event."""


class OutcomeShape(Shape):
    outcome = serializers.ChoiceField(["accepted", "declined"])


class ReceivedShape(Shape):
    id = serializers.CharField(help_text="of the provider's event")
    payment_id = serializers.UUIDField()
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
        """What a provider reports; its signature says who it is."""
        return receive(provider, request.headers, body_of(request._request), status=200)


class SandboxPayment(View):
    """Signs what the provider would, and goes the way of the webhook."""

    @extend_schema(request=OutcomeShape, responses={202: ReceivedShape})
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Only with the sandbox provider: plays the customer at the provider's page."""
        providers.provider(SANDBOX)
        payment = repository.get(Payment, payment_id)
        order = repository.get(Order, payment.order_id)
        self.caller.must_touch(order.customer_id)
        outcome = shaped(OutcomeShape, request.data)["outcome"]
        if order.status is not OrderStatus.PLACED or payment.settled:
            raise OrderNotPayable
        report = msgspec.json.encode(_report(payment, outcome))
        return receive(SANDBOX, providers.sandbox.sign(report), report, status=202)


def receive(provider: str, headers: Mapping[str, str], body: bytes, *, status: int) -> Response:
    """Verify, read and record a report; the same again is answered as the first time."""
    known = providers.provider(provider)
    known.verify(headers, body)
    notice = shaped(known.notice, parsers.decode(body))
    with context.acting(actor=f"provider:{provider}"):
        receipt = dispatch(_command(notice), command_id=uuid5(NOTICES, f"{provider}/{notice['id']}"))
    answer = {"id": notice["id"], "payment_id": notice["payment_id"], "position": receipt.position}
    return Response(
        answer, status=status, headers={"Event-Position": str(receipt.position)} if receipt.position else {}
    )


def _report(payment: Payment, outcome: str) -> dict[str, Any]:
    event_id = new_id()
    report = {"id": str(event_id), "outcome": outcome, "payment_id": payment.id}
    if outcome == "accepted":
        report |= {"amount": payment.amount, "reference": f"SANDBOX-{event_id.hex[-12:].upper()}"}
    return report


def _command(notice: dict[str, Any]) -> Command:
    if notice["outcome"] == "accepted":
        return AcceptPayment(
            payment_id=notice["payment_id"], amount=Money(**notice["amount"]), reference=notice["reference"]
        )
    return DeclinePayment(payment_id=notice["payment_id"], reason=notice["reason"])
