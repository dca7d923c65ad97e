"""Amounts as Stripe counts them: in the smallest unit of their currency, by ISO 4217, but for a few."""

from decimal import Decimal

from iso4217 import Currency

from ordering.domain.values import Money

EXCEPTIONS = {"ISK": 2, "MGA": 0, "UGX": 2}
"""Currencies with other decimals than in ISO 4217. The króna and the shilling have none, but are counted in hundredths,
of which only whole hundreds can be paid; the ariary is counted in whole ones.
"""

THREE_DECIMALS = 3
"""With so many, the last digit must be zero: card networks know two."""


def to_minor_units(money: Money) -> int:
    """Raises `ValueError` for what Stripe can't collect or give back exactly."""
    amount = money.amount.scaleb(_decimals(money.currency))
    step = _step(money.currency)
    if amount % step:
        raise ValueError(f"{money.amount} {money.currency} can't be paid with Stripe.")
    return int(amount)


def from_minor_units(amount: int, currency: str) -> Money:
    """The currency may be in small letters, as Stripe writes it. Raises `ValueError` for one that doesn't exist."""
    currency = currency.upper()
    return Money(Decimal(amount).scaleb(-_decimals(currency)), currency)


def _decimals(currency: str) -> int:
    decimals = EXCEPTIONS.get(currency, _iso_decimals(currency))
    if decimals is None:
        raise ValueError(f"{currency} can't be paid with.")
    return decimals


def _iso_decimals(currency: str) -> int | None:
    try:
        return Currency(currency).exponent
    except ValueError:
        raise ValueError(f"There is no currency {currency}.") from None


def _step(currency: str) -> int:
    """Of which an amount must be a multiple."""
    decimals, whole = _decimals(currency), _iso_decimals(currency) == 0
    if whole:
        return int(10**decimals)
    return 10 if decimals == THREE_DECIMALS else 1
