from collections.abc import Callable
from decimal import Decimal
from operator import add, ge, gt, le, lt, sub
from uuid import UUID, uuid4

import msgspec
import pytest

from eventstore.errors import DomainError
from ordering.domain.errors import AmountTooLarge, MixedCurrencies, TooManyDecimals, UnknownCurrency
from ordering.domain.values import Address, Money, order_number, order_numbers_in, order_numbers_meant, payment_id_of

from .samples import ORDER, euros


@pytest.mark.parametrize(
    ("given", "currency", "kept"),
    [
        ("199", "EUR", "199.00"),
        ("199.0000", "EUR", "199.00"),
        ("100.00", "JPY", "100"),
        ("1E+2", "JPY", "100"),
        ("1.005", "KWD", "1.005"),
        ("1.00", "KWD", "1.000"),
        ("0.0001", "CLF", "0.0001"),
    ],
)
def test_money_is_kept_in_the_decimals_of_its_currency(given: str, currency: str, kept: str) -> None:
    money = Money(Decimal(given), currency)

    assert msgspec.to_builtins(money) == {"amount": kept, "currency": currency}
    assert str(money) == f"{kept} {currency}"
    money.check()


@pytest.mark.parametrize(
    ("amount", "currency", "refusal", "said"),
    [
        ("100.50", "JPY", TooManyDecimals, "Amounts in JPY have no decimals."),
        ("0.001", "EUR", TooManyDecimals, "Amounts in EUR have two decimals."),
        ("1.0005", "KWD", TooManyDecimals, "Amounts in KWD have three decimals."),
        ("1.00", "ABC", UnknownCurrency, "ABC is no currency"),
        ("1.00", "XXX", UnknownCurrency, "XXX is no currency"),
        ("1.00", "XTS", UnknownCurrency, "XTS is no currency"),
        ("1.00", "XAU", UnknownCurrency, "XAU is no currency"),
    ],
)
def test_what_nobody_can_pay_is_told(amount: str, currency: str, refusal: type[DomainError], said: str) -> None:
    with pytest.raises(refusal, match=said):
        Money(Decimal(amount), currency).check()


@pytest.mark.parametrize(
    ("amount", "currency", "read"),
    [("100.50", "JPY", "100.50"), ("100.5000", "JPY", "100.50"), ("7.00", "ABC", "7.00"), ("1.95583", "BGN", "")],
)
def test_what_was_recorded_is_read_as_it_was(amount: str, currency: str, read: str) -> None:
    data = msgspec.json.encode({"amount": amount, "currency": currency})

    if read:
        assert str(msgspec.json.decode(data, type=Money)) == f"{read} {currency}"
    else:
        with pytest.raises(msgspec.ValidationError, match="four decimals"):
            msgspec.json.decode(data, type=Money)


@pytest.mark.parametrize("amount", ["0.00001", "NaN", "Infinity", "-Infinity", "1000000000000", "1E+999999999999"])
def test_money_that_no_one_can_pay_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="An amount has at most"):
        euros(amount)


@pytest.mark.parametrize("currency", ["eur", "EURO", "EU", "", "EU1", "ÄÖÜ", "EUR\n"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="three capital letters"):
        Money(Decimal("1.00"), currency)


def test_wrong_money_cannot_be_decoded_either() -> None:
    with pytest.raises(msgspec.ValidationError, match="twelve digits"):
        msgspec.json.decode(b'{"amount": "1000000000000", "currency": "EUR"}', type=Money)


def test_money_adds_up() -> None:
    assert euros("0.10") + euros("0.20") == euros("0.30")


def test_money_multiplies() -> None:
    assert euros("99.50") * 3 == euros("298.50")


def test_money_is_taken_away() -> None:
    assert euros("0.30") - euros("0.50") == euros("-0.20")


def test_money_is_compared() -> None:
    assert euros("9.99") < euros("10") <= euros("10.00")
    assert euros("10.01") > euros("10.00") >= euros("10")


@pytest.mark.parametrize("act", [add, sub, lt, le, gt, ge])
def test_currencies_do_not_mix(act: Callable[[Money, Money], object]) -> None:
    with pytest.raises(MixedCurrencies):
        act(euros("1.00"), Money(Decimal("1.00"), "CHF"))


@pytest.mark.parametrize("act", [lambda most: most + euros("0.01"), lambda most: most * 2, lambda most: most * -2])
def test_an_amount_that_grows_too_large_is_refused(act: Callable[[Money], Money]) -> None:
    with pytest.raises(AmountTooLarge):
        act(euros("999999999999.99"))


@pytest.mark.parametrize(
    ("amount", "currency", "percent", "share"),
    [
        ("10.00", "EUR", "50", "5.00"),
        ("0.01", "EUR", "50", "0.01"),
        ("-0.01", "EUR", "50", "-0.01"),
        ("0.01", "EUR", "49", "0.00"),
        ("99", "JPY", "50", "50"),
        ("1.001", "KWD", "12.5", "0.125"),
        ("100.50", "JPY", "50", "50.25"),
    ],
)
def test_a_share_is_rounded_to_the_decimals_of_the_currency_half_away_from_zero(
    amount: str, currency: str, percent: str, share: str
) -> None:
    assert str(Money(Decimal(amount), currency).share(Decimal(percent))) == f"{share} {currency}"


@pytest.mark.parametrize("country", ["", "D", "de", "DEU", "D1"])
def test_a_country_is_two_capital_letters(country: str) -> None:
    with pytest.raises(ValueError, match="two capital letters"):
        Address("1 Main St", "12345", "Springfield", country)


def test_an_order_has_one_payment_id_for_good() -> None:
    assert payment_id_of(ORDER) == UUID("05c3a2e1-9b31-50b8-abaa-d8de6c724b82")


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        (0, "BX-00000-00000"),
        (0x123456789, "BX-0004H-MASW9"),
        ((1 << 50) - 1, "BX-ZZZZZ-ZZZZZ"),
        (1 << 50, "BX-00000-00000"),
    ],
)
def test_an_order_number_writes_fifty_bits(bits: int, number: str) -> None:
    assert order_number(bits) == number


def test_an_order_number_has_no_letters_that_look_alike() -> None:
    letters = {letter for _ in range(500) for letter in order_number(uuid4().int).removeprefix("BX-")}

    assert letters == set("-0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BX-7K3MQ-9QWE2", ["BX-7K3MQ-9QWE2"]),
        ("bx-7k3mq-9qwe2", ["BX-7K3MQ-9QWE2"]),
        (" bx 7k3mq 9qwe2 ", ["BX-7K3MQ-9QWE2"]),
        ("BX7K3MQ9QWE2", ["BX-7K3MQ-9QWE2"]),
        ("7K3MQ-9QWE2", ["BX-7K3MQ-9QWE2", "BX-3MQ9-QWE2"]),
        ("X-7K3MQ-9QWE2", ["BX-7K3MQ-9QWE2", "BX-3MQ9-QWE2"]),
        ("BUX-7K3MQ-9QWE2", ["BX-7K3MQ-9QWE2"]),
        ("8X-ilo01-OLI10", ["BX-11001-01110"]),
        ("BX-7K3M-9QWE", ["BX-BX7K3-M9QWE", "BX-7K3M-9QWE"]),
        ("7k3m9qwe", ["BX-7K3M-9QWE"]),
        ("BX-7K3MQ-9QWEU", []),
        ("7K3", []),
        ("ada@example.org", []),
        ("01890000-0000-7000-8000-000000000001", []),
        ("", []),
    ],
)
def test_an_order_number_is_known_however_it_is_written(written: str, meant: list[str]) -> None:
    assert order_numbers_meant(written) == meant


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Order BX-7K3MQ-9QWE2, thank you", ["BX-7K3MQ-9QWE2"]),
        ("bx 7k3mq 9qwe2 Ada", ["BX-7K3MQ-9QWE2"]),
        ("BX7K3MQ9QWE2/BX-11111-22222", ["BX-7K3MQ-9QWE2", "BX-11111-22222"]),
        ("7K3MQ-9QWE2", []),
        ("", []),
    ],
)
def test_order_numbers_are_found_in_a_longer_text(text: str, named: list[str]) -> None:
    assert order_numbers_in(text) == named
