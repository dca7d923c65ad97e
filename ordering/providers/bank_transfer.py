"""Bank transfers: the customer is told where to, and what came in stands in the statements of the account."""

from collections.abc import Mapping, Sequence
from typing import Never
from uuid import UUID

import msgspec
from django.conf import settings

from ordering.domain.values import Money
from ordering.providers import by_hand
from ordering.providers.provider import (
    Instructions,
    InvalidSignature,
    RefundAnswer,
    RefundReport,
    Report,
)
from ordering.providers.references import reference_of

INSTRUCTIONS = """\
Please transfer {amount} {currency}.

Account holder: {holder}
IBAN: {iban}
BIC: {bic}
Reference: {reference}

Please give the reference as it stands here: it tells us what your transfer is for."""


class BankTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that never calls: see `ordering.providers.statements` for how its money is found."""

    holder: str
    iban: str
    bic: str
    name: str = "bank-transfer"
    remote: bool = False

    @classmethod
    def configured(cls) -> "BankTransfer | None":
        """The account that the settings name; None without one."""
        if not settings.BANK_TRANSFER_IBAN:
            return None
        return cls(
            holder=settings.BANK_TRANSFER_HOLDER, iban=settings.BANK_TRANSFER_IBAN, bic=settings.BANK_TRANSFER_BIC
        )

    def start(self, payment_id: UUID, *, order_number: str, amount: Money) -> Instructions:
        reference = reference_of(payment_id)
        text = INSTRUCTIONS.format(
            amount=amount.amount,
            currency=amount.currency,
            holder=self.holder,
            iban=spaced(self.iban),
            bic=self.bic,
            reference=reference,
        )
        return Instructions(reference=reference, text=text)

    def verify(self, headers: Mapping[str, str], body: bytes) -> Never:
        raise InvalidSignature("A bank calls no webhook.")

    def reports(self, body: bytes) -> Never:
        raise ValueError("A bank calls no webhook.")

    def refund(self, reference: str, amount: Money, *, key: UUID) -> RefundAnswer:
        """No bank is asked: staff make the transfer."""
        return by_hand.TO_PAY_BACK

    def look_up(self, payment_id: UUID) -> Sequence[Report | RefundReport]:
        """Nothing: there is nobody to ask but the next statement."""
        return ()


def spaced(iban: str) -> str:
    """As it is printed, in groups of four."""
    compact = iban.replace(" ", "")
    return " ".join(compact[at : at + 4] for at in range(0, len(compact), 4))


def is_iban(iban: str) -> bool:
    """Whether the check digits are right, by ISO 13616: the first four characters moved to the end, letters counted
    from A = 10, are 1 modulo 97.
    """
    compact = iban.replace(" ", "").upper()
    if not (15 <= len(compact) <= 34 and compact.isascii() and compact.isalnum()):
        return False
    return int("".join(str(int(each, 36)) for each in compact[4:] + compact[:4])) % 97 == 1
