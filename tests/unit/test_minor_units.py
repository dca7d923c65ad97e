from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ordering.domain.values import Money
from ordering.providers.minor_units import from_minor_units, to_minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("10.99", "EUR", 1099),
        ("500", "JPY", 500),
        ("5.12", "KWD", 5120),
        ("5", "ISK", 500),
        ("5", "UGX", 500),
        ("5", "MGA", 5),
        ("10.45", "HUF", 1045),
        ("0", "EUR", 0),
    ],
)
def test_amounts_are_counted_as_stripe_does(amount: str, currency: str, minor: int) -> None:
    money = Money(Decimal(amount), currency)
    assert to_minor_units(money) == minor
    assert from_minor_units(minor, currency.lower()) == money


@pytest.mark.parametrize(("amount", "currency"), [("5.50", "ISK"), ("0.01", "UGX"), ("1.50", "MGA")])
def test_what_cannot_be_paid_exactly_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="can't be paid with Stripe"):
        to_minor_units(Money(Decimal(amount), currency))


@pytest.mark.parametrize("currency", ["XAU", "XXX"])
def test_what_has_no_minor_unit_is_no_money(currency: str) -> None:
    with pytest.raises(ValueError, match="can't be paid with"):
        from_minor_units(1, currency)


def test_a_currency_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no currency ZZZ"):
        from_minor_units(1, "zzz")


@settings(deadline=None)
@for_all(st.integers(-(10**9), 10**9), st.sampled_from(["EUR", "CHF", "JPY"]))
def test_minor_units_come_back(minor: int, currency: str) -> None:
    assert to_minor_units(from_minor_units(minor, currency)) == minor
