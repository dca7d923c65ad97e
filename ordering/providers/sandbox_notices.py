"""What the sandbox reports, as it is sent: one payment, or one refund, as JSON."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError

from ordering.api import parsers
from ordering.api.serializers import Identifier, MoneyShape, Shape, Text, shaped
from ordering.domain.values import Money
from ordering.providers.errors import InvalidReport
from ordering.providers.provider import Outcome, RefundOutcome, RefundReport, Report


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
        if "amount" in notice and not notice["amount"]["amount"]:
            nothing = ErrorDetail("Nobody pays nothing.", "invalid")
            raise ValidationError({"amount": {"amount": [nothing]}})
        return notice


class RefundNoticeShape(Shape):
    """What became of money given back, whoever asked for it; `key` where we did."""

    id = Text(max_length=200)
    refund = serializers.ChoiceField([each.value for each in RefundOutcome])
    reference = Text(max_length=200, help_text="the provider's name for the refund")
    payment_reference = Text(max_length=200, help_text="its name for what was paid")
    amount = MoneyShape()
    key = Identifier(required=False, allow_null=True, default=None)
    reason = Text(required=False, allow_blank=True, max_length=500, default="")


def read(body: bytes) -> Sequence[Report | RefundReport]:
    """What a body reports. Raises `InvalidReport`."""
    try:
        decoded = parsers.decode(body)
        if isinstance(decoded, dict) and "refund" in decoded:
            return [_refund_report(shaped(RefundNoticeShape, decoded))]
        notice = shaped(NoticeShape, decoded)
    except ValidationError as error:
        raise InvalidReport("The report has another shape.", error.detail) from error
    except APIException as error:
        raise InvalidReport("The body is not JSON.") from error
    amount = Money(**notice.pop("amount")) if "amount" in notice else None
    return [Report(**{**notice, "outcome": Outcome(notice["outcome"]), "amount": amount})]


def _refund_report(notice: dict[str, Any]) -> RefundReport:
    outcome, amount = RefundOutcome(notice.pop("refund")), Money(**notice.pop("amount"))
    return RefundReport(**notice, outcome=outcome, amount=amount)
