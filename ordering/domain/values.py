"""Values that several nouns share. Each is sound or isn't there: a wrong one raises `ValueError`, when decoded too."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID, uuid5

import msgspec

from ordering.domain.errors import MixedCurrencies

CENT = Decimal("0.01")
CURRENCY, COUNTRY = re.compile("[A-Z]{3}"), re.compile("[A-Z]{2}")
LIMIT = Decimal(10) ** 12

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time, the same everywhere: one without a time zone can't be recorded."""


class Money(msgspec.Struct, frozen=True):
    """An amount, kept to the cent, in the currency of an ISO 4217 code."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or not -LIMIT < self.amount < LIMIT:
            raise ValueError("An amount has at most twelve digits before its decimals.")
        if not CURRENCY.fullmatch(self.currency):
            raise ValueError("A currency is three capital letters.")
        if not self.amount.same_quantum(CENT):
            cents = self.amount.quantize(CENT)
            if cents != self.amount:
                raise ValueError("An amount has at most two decimals.")
            msgspec.structs.force_setattr(self, "amount", cents)

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise MixedCurrencies
        return Money(self.amount + other.amount, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.amount * times, self.currency)


class Address(msgspec.Struct, frozen=True):
    """Where post arrives; the country is an ISO 3166 code of two letters."""

    street: str
    postal_code: str
    city: str
    country: str

    def __post_init__(self) -> None:
        if not COUNTRY.fullmatch(self.country):
            raise ValueError("A country is two capital letters.")


def payment_id_of(order_id: UUID) -> UUID:
    """The payment of an order: whoever knows the one knows the other."""
    return uuid5(order_id, "payment")


def order_number(order_id: UUID) -> str:
    """What people call an order, such as BX-7K3M-9QWE: the last 40 bits of its id, which are random in a UUIDv7.

    The letters are Douglas Crockford's, without I, L, O and U. Numbers may coincide once in a long while; ids don't.
    """
    letters = [ALPHABET[order_id.int >> shift & 31] for shift in range(35, -1, -5)]
    return f"BX-{''.join(letters[:4])}-{''.join(letters[4:])}"


ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
