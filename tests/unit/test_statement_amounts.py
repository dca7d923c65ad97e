from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ordering.providers.statements.amounts import STYLES, read_amount, read_date


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1.234.567", "1234567"),
        ("1234,5", "1234.5"),
        ("1234.50", "1234.50"),
        ("1'234.50", "1234.50"),
        ("1’234,50", "1234.50"),
        ("1 234,50", "1234.50"),
        ("1\u00a0234,50", "1234.50"),
        ("12", "12"),
        ("0,123", "0.123"),
        ("0.5", "0.5"),
        ("-12,50", "-12.50"),
        ("12,50-", "-12.50"),
        ("−12,50", "-12.50"),
        ("+ 12,50", "12.50"),
        (" 12,50 ", "12.50"),
        ("1234.567", "1234.567"),
    ],
)
def test_an_amount_is_read_where_it_can_mean_one_thing(text: str, amount: str) -> None:
    assert read_amount(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["1.234", "1,234", "-12.345", "999,999"])
def test_what_can_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        read_amount(text)


def test_it_means_one_when_one_says_which_separator_is_the_decimal_one() -> None:
    assert read_amount("1.234", ",") == 1234
    assert read_amount("1.234", ".") == Decimal("1.234")


@pytest.mark.parametrize(
    "text", ["", "-", "abc", "12,34,56", "1.23.456", "1,2.3", "12 34", "1e5", "NaN", "-5-", "٣", "5 EUR", "1..5", ",50"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        read_amount(text)


@settings(deadline=None)
@for_all(st.decimals("-999999999999.99", "999999999999.99", places=2), st.sampled_from(STYLES))
def test_what_is_written_with_cents_is_read_as_it_was(amount: Decimal, style: tuple[str, str]) -> None:
    thousands, decimal = style
    written = f"{amount:,.2f}".replace(",", "t").replace(".", decimal).replace("t", thousands)
    assert read_amount(written) == amount


@pytest.mark.parametrize("text", ["2026-12-03", "03.12.2026", "3.12.2026", "03.12.26", " 2026-12-03 "])
def test_iso_and_german_dates(text: str) -> None:
    assert read_date(text) == date(2026, 12, 3)


def test_american_dates_only_where_they_are_agreed_upon() -> None:
    assert read_date("12/3/2026", american=True) == date(2026, 12, 3)
    with pytest.raises(ValueError, match="is no date"):
        read_date("12/3/2026")


@pytest.mark.parametrize("text", ["", "2026-13-01", "31.02.2026", "20261203", "3.12.", "13/13/2026"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no date|There is no day"):
        read_date(text, american=True)
