"""A provider for development, which this site plays itself. It keeps nothing: every refund is settled, but for money
whose reference begins with `NOREFUND`.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from uuid import UUID

from django.conf import settings

from ordering.domain.values import Money
from ordering.pages.links import sandbox_path
from ordering.providers.provider import (
    Instructions,
    InvalidSignature,
    RefundAnswer,
    RefundOutcome,
    RefundReport,
    Report,
)

SANDBOX = "sandbox"
NO_REFUND = "NOREFUND"


class Sandbox:
    """It signs with a secret that both sides have, and reports one payment at a time."""

    name = SANDBOX
    remote = False

    def start(self, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
        return Instructions(pay_url=f"{settings.BASE_URL}{sandbox_path(payment_id)}")

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers that go with a body."""
        return {"X-Signature": hmac.new(settings.PAYMENT_WEBHOOK_SECRET.encode(), body, sha256).hexdigest()}

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        signature = headers.get("X-Signature", "").lower().encode()
        if not hmac.compare_digest(signature, self.sign(body)["X-Signature"].encode()):
            raise InvalidSignature

    def reports(self, body: bytes) -> Sequence[Report | RefundReport]:
        # What reads them takes long to load: workers don't need it.
        from ordering.providers import sandbox_notices

        return sandbox_notices.read(body)

    def refund(self, reference: str, amount: Money, *, key: UUID) -> RefundAnswer:
        if reference.startswith(NO_REFUND):
            return RefundAnswer(outcome=RefundOutcome.FAILED, reason="The sandbox gives nothing back of this.")
        return RefundAnswer(outcome=RefundOutcome.SETTLED, reference=f"SANDBOX-{key.hex[-12:].upper()}")

    def look_up(self, payment_id: UUID) -> Sequence[Report]:
        return ()
