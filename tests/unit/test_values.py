from decimal import Decimal
from uuid import UUID, uuid4

import msgspec
import pytest

from ordering.domain.errors import MixedCurrencies
from ordering.domain.values import Address, Money, order_number, payment_id_of

from .samples import ORDER, euros


def test_money_is_kept_to_the_cent() -> None:
    assert msgspec.json.encode(Money(Decimal(199), "EUR")) == b'{"amount":"199.00","currency":"EUR"}'


@pytest.mark.parametrize("amount", ["0.001", "NaN", "Infinity", "-Infinity", "1000000000000", "1E+999999999999"])
def test_money_that_no_one_can_pay_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="An amount has at most"):
        euros(amount)


@pytest.mark.parametrize("currency", ["eur", "EURO", "EU", "", "EU1", "ÄÖÜ", "EUR\n"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="three capital letters"):
        Money(Decimal("1.00"), currency)


def test_wrong_money_cannot_be_decoded_either() -> None:
    with pytest.raises(msgspec.ValidationError, match="two decimals"):
        msgspec.json.decode(b'{"amount": "0.001", "currency": "EUR"}', type=Money)


def test_money_adds_up() -> None:
    assert euros("0.10") + euros("0.20") == euros("0.30")


def test_money_multiplies() -> None:
    assert euros("99.50") * 3 == euros("298.50")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(MixedCurrencies):
        euros("1.00") + Money(Decimal("1.00"), "CHF")


@pytest.mark.parametrize("country", ["", "D", "de", "DEU", "D1"])
def test_a_country_is_two_capital_letters(country: str) -> None:
    with pytest.raises(ValueError, match="two capital letters"):
        Address("1 Main St", "12345", "Springfield", country)


def test_an_order_has_one_payment_id_for_good() -> None:
    assert payment_id_of(ORDER) == UUID("05c3a2e1-9b31-50b8-abaa-d8de6c724b82")


def test_an_order_number_is_the_same_for_good() -> None:
    assert order_number(UUID("01890000-0000-7000-8000-000123456789")) == "BX-04HM-ASW9"


def test_an_order_number_has_no_letters_that_look_alike() -> None:
    letters = {letter for _ in range(500) for letter in order_number(uuid4()).removeprefix("BX-")}

    assert letters == set("-0123456789ABCDEFGHJKMNPQRSTVWXYZ")
