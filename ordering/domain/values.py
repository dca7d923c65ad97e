"""Values that several nouns share. Each is sound or isn't there: a wrong one raises `ValueError`, when decoded too."""

import re
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Annotated
from uuid import UUID, uuid5

import msgspec
from iso4217 import Currency

from ordering.domain.errors import AmountTooLarge, MixedCurrencies, TooManyDecimals, UnknownCurrency

UNITS = tuple(Decimal(1).scaleb(-decimals) for decimals in range(5))
"""The smallest unit of a currency, by the number of its decimals."""

CENT = UNITS[2]
DECIMALS = ("no decimals", "one decimal", "two decimals", "three decimals", "four decimals")
CURRENCY, COUNTRY = re.compile("[A-Z]{3}"), re.compile("[A-Z]{2}")
LIMIT = Decimal(10) ** 12

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time, the same everywhere: one without a time zone can't be recorded."""


class Money(msgspec.Struct, frozen=True):
    """An amount in the currency of an ISO 4217 code, kept in exactly the decimals that the currency has.

    What was recorded is taken as it is, for a currency may leave the list and amounts once had two decimals whatever
    the currency: one that its currency's decimals can't hold keeps its own, two or four. Whether an amount can be paid
    today is asked of `check`, where money comes in.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or not -LIMIT < self.amount < LIMIT:
            raise ValueError("An amount has at most twelve digits before its decimals.")
        if not CURRENCY.fullmatch(self.currency):
            raise ValueError("A currency is three capital letters.")
        msgspec.structs.force_setattr(self, "amount", in_decimals_of(self.currency, self.amount))

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    def check(self) -> None:
        """Raises `UnknownCurrency` or `TooManyDecimals` for what nobody can pay."""
        decimals = decimals_of(self.currency)
        if decimals is None:
            raise UnknownCurrency(f"{self.currency} is no currency of ISO 4217 that one pays with.")
        if not self.amount.same_quantum(UNITS[decimals]):
            raise TooManyDecimals(f"Amounts in {self.currency} have {DECIMALS[decimals]}.")

    def __add__(self, other: "Money") -> "Money":
        return self._with(self.amount + self._alike(other))

    def __sub__(self, other: "Money") -> "Money":
        return self._with(self.amount - self._alike(other))

    def __mul__(self, times: int) -> "Money":
        return self._with(self.amount * times)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._alike(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._alike(other)

    def share(self, percent: int | Decimal) -> "Money":
        """That many hundredths of the amount, rounded to the decimals it has; a half is rounded away from zero."""
        exact = self.amount * percent / 100
        return self._with(exact.quantize(self.amount, rounding=ROUND_HALF_UP))

    def _alike(self, other: "Money") -> Decimal:
        if other.currency != self.currency:
            raise MixedCurrencies
        return other.amount

    def _with(self, amount: Decimal) -> "Money":
        if not -LIMIT < amount < LIMIT:
            raise AmountTooLarge
        return Money(amount, self.currency)


@cache
def decimals_of(currency: str) -> int | None:
    """How many decimals amounts of a currency have by ISO 4217. None for what nobody pays with: a code that is not, or
    no longer, on the list, one that means no currency (XXX) or a test (XTS), and gold (XAU) and its like.
    """
    try:
        exponent: int | None = Currency(currency).exponent
    except ValueError:
        return None
    return exponent


def in_decimals_of(currency: str, amount: Decimal) -> Decimal:
    """The same amount with the decimals of its currency; with two or four if it needs more, or nobody pays with it.

    Raises ValueError if it needs more than four.
    """
    decimals = decimals_of(currency)
    for unit in (CENT if decimals is None else UNITS[decimals], CENT, UNITS[-1]):
        if amount.same_quantum(unit):
            return amount
        same = amount.quantize(unit)
        if same == amount:
            return same
    raise ValueError("An amount has at most four decimals.")


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


def order_number(bits: int) -> str:
    """What people call an order, such as BX-7K3MQ-9QWE2: the last `NUMBER_BITS` of bits that were drawn by chance.

    The letters are Douglas Crockford's, without I, L, O and U. The first orders have numbers of eight letters, made of
    their ids; as new ones have ten, none of those is given out again.
    """
    letters = [ALPHABET[bits >> shift & 31] for shift in range(NUMBER_BITS - 5, -1, -5)]
    return f"BX-{''.join(letters[:5])}-{''.join(letters[5:])}"


def order_numbers_meant(text: str) -> list[str]:
    """The numbers, of ten letters or of eight, that somebody may mean who writes this.

    Neither case, dashes and spaces nor what stands before the letters matter; I and L are read as 1, and O as 0.
    """
    written = re.sub(r"[\s-]", "", text).upper().translate(LOOK_ALIKES)
    if not written.isalnum():
        return []
    meant = []
    for size in (10, 8):
        letters = written[-size:]
        if size <= len(written) <= size + LONGEST_PREFIX and set(letters) <= set(ALPHABET):
            meant.append(f"BX-{letters[: size // 2]}-{letters[size // 2 :]}")
    return meant


def order_numbers_in(text: str) -> list[str]:
    """The numbers that a longer text may name, each with what stands before the letters."""
    return [number for written in WRITTEN_NUMBER.findall(text) for number in order_numbers_meant(written)]


NUMBER_BITS = 50
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOOK_ALIKES = str.maketrans("ILO", "110")
WRITTEN_NUMBER = re.compile(r"\bBX[\s-]*\w{4,5}[\s-]*\w{4,5}\b", re.IGNORECASE)
LONGEST_PREFIX = 3
"""What stands before the letters may have one letter too many."""
