"""What a payment provider is to this system: who collects money, reports what came of it, and gives it back."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from ordering.domain.values import Money


class InvalidSignature(Exception):
    """The signature is not the provider's."""


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    DECLINED = "declined"
    PENDING = "pending"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says became of a payment.

    `id` is of the report itself, the same when it is sent again. `reference` is the provider's name for the money,
    unique with this provider, and empty where there is none. `payment_id` is ours, where the provider knows it.
    """

    id: str
    outcome: Outcome
    reference: str = ""
    payment_id: UUID | None = None
    amount: Money | None = None
    reason: str = ""


class Instructions(msgspec.Struct, frozen=True, kw_only=True):
    """How a customer pays: at a page, or by a transfer that names the reference."""

    pay_url: str | None = None
    reference: str = ""
    text: str = ""


class RefundOutcome(StrEnum):
    SETTLED = "settled"
    PENDING = "pending"
    FAILED = "failed"


class RefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answers who is asked to give money back; `reference` is its name for the refund."""

    outcome: RefundOutcome
    reference: str = ""
    reason: str = ""


class RefundReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says became of money given back, whoever asked for it.

    `reference` is its name for the refund, `payment_reference` that of the money that the refund is of, and `key` ours,
    where we have asked. A refund may fail after it was settled. One that is pending after either says nothing new:
    reports may come in any order.
    """

    id: str
    outcome: RefundOutcome
    reference: str
    payment_reference: str
    amount: Money
    key: UUID | None = None
    reason: str = ""


class Provider(Protocol):
    """Everything that is asked of a provider. An error of the network gets out of each call as it is."""

    @property
    def name(self) -> str:
        """What it is called in settings, in the address of its webhook, and with every payment, for good."""

    @property
    def remote(self) -> bool:
        """Whether `start` asks over the network. Such a page is asked for when the customer wants to pay."""

    def start(self, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
        """How the customer pays this; asked again, the same."""

    def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises `InvalidSignature` unless the provider has sent this body."""

    def reports(self, body: bytes) -> Sequence[Report | RefundReport]:
        """What a verified body says: nothing, if it is of no concern. Raises `ValueError` for a wrong shape."""

    def refund(self, reference: str, amount: Money, *, key: UUID) -> RefundAnswer:
        """Ask to give back part of the money of this reference, or all. The same key again asks for nothing new."""

    def look_up(self, payment_id: UUID) -> Sequence[Report | RefundReport]:
        """What the provider would report about a payment and its refunds now, where a report is late, under the ids
        that these would have; nothing if it doesn't know the payment.
        """
