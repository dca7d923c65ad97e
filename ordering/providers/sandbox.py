"""A provider for development, which this site plays itself. It keeps nothing: every refund is settled, but for money
whose reference begins with `NOREFUND`.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError

from ordering.api import parsers
from ordering.api.serializers import Identifier, MoneyShape, Shape, Text, shaped
from ordering.domain.values import Money
from ordering.providers.errors import InvalidReport
from ordering.providers.provider import Instructions, InvalidSignature, Outcome, RefundAnswer, RefundOutcome, Report

SANDBOX = "sandbox"
NO_REFUND = "NOREFUND"


class NoticeShape(Shape):
    """What became of a payment. The same `id` again is answered as the first time."""

    id = Text(max_length=200)
    outcome = serializers.ChoiceField([each.value for each in Outcome])
    payment_id = Identifier(required=False, allow_null=True, default=None)
    amount = MoneyShape(required=False, help_text="what was paid")
    reference = Text(required=False, max_length=200, help_text="the provider's name for what was paid")
    reason = Text(required=False, max_length=500, default="The payment was declined.")

    def validate(self, notice: dict[str, Any]) -> dict[str, Any]:
        missing = {"amount", "reference"} - set(notice)
        if notice["outcome"] == Outcome.ACCEPTED and missing:
            raise ValidationError(
                {name: [ErrorDetail("An accepted payment has one.", "required")] for name in sorted(missing)}
            )
        return notice


class Sandbox:
    """It signs with a secret that both sides have, and reports one payment at a time."""

    name = SANDBOX

    def start(self, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
        return Instructions(pay_url=f"{settings.BASE_URL}{reverse('sandbox-payment', args=[payment_id])}")

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers that go with a body."""
        return {"X-Signature": hmac.new(settings.PAYMENT_WEBHOOK_SECRET.encode(), body, sha256).hexdigest()}

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        signature = headers.get("X-Signature", "").lower().encode()
        if not hmac.compare_digest(signature, self.sign(body)["X-Signature"].encode()):
            raise InvalidSignature

    def reports(self, body: bytes) -> Sequence[Report]:
        try:
            notice = shaped(NoticeShape, parsers.decode(body))
        except ValidationError as error:
            raise InvalidReport("The report has another shape.", error.detail) from error
        except APIException as error:
            raise InvalidReport("The body is not JSON.") from error
        amount = Money(**notice.pop("amount")) if "amount" in notice else None
        return [Report(**{**notice, "outcome": Outcome(notice["outcome"]), "amount": amount})]

    def refund(self, reference: str, amount: Money, *, key: UUID) -> RefundAnswer:
        if reference.startswith(NO_REFUND):
            return RefundAnswer(outcome=RefundOutcome.FAILED, reason="The sandbox gives nothing back of this.")
        return RefundAnswer(outcome=RefundOutcome.SETTLED, reference=f"SANDBOX-{key.hex[-12:].upper()}")

    def look_up(self, payment_id: UUID) -> Sequence[Report]:
        return ()
