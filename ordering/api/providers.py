"""Payment providers: how each signs what it reports, and what it says."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError

from eventstore.errors import StreamNotFound
from ordering.api.serializers import Identifier, MoneyShape, Shape, Text

SANDBOX = "sandbox"


class InvalidSignature(APIException):
    """The signature is not the provider's."""

    status_code = 400
    default_code = "invalid-signature"
    default_detail = "The signature is not the provider's."


class NoticeShape(Shape):
    """What became of a payment. The same `id` again is answered as the first time."""

    id = Text(max_length=200)
    outcome = serializers.ChoiceField(["accepted", "declined"])
    payment_id = Identifier()
    amount = MoneyShape(required=False, help_text="what was paid")
    reference = Text(required=False, max_length=200, help_text="the provider's name for what was paid")
    reason = Text(required=False, max_length=500, default="The payment was declined.")

    def validate(self, notice: dict[str, Any]) -> dict[str, Any]:
        missing = {"amount", "reference"} - set(notice)
        if notice["outcome"] == "accepted" and missing:
            raise ValidationError(
                {name: [ErrorDetail("An accepted payment has one.", "required")] for name in sorted(missing)}
            )
        return notice


class Provider(Protocol):
    """How a provider's reports are told from anybody else's, and read."""

    notice: type[Shape]

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises `InvalidSignature`."""


class Sandbox:
    """A provider for development, which this site plays itself."""

    notice: type[Shape] = NoticeShape

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers that go with a body."""
        return {"X-Signature": hmac.new(settings.PAYMENT_WEBHOOK_SECRET.encode(), body, sha256).hexdigest()}

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        signature = headers.get("X-Signature", "").lower().encode()
        if not hmac.compare_digest(signature, self.sign(body)["X-Signature"].encode()):
            raise InvalidSignature


sandbox = Sandbox()
_providers: dict[str, Provider] = {SANDBOX: sandbox}


def provider(name: str) -> Provider:
    """The provider of this name. Raises `StreamNotFound`, also for the sandbox where money is real."""
    if name not in _providers or (name == SANDBOX and settings.PAYMENT_PROVIDER != SANDBOX):
        raise StreamNotFound
    return _providers[name]
