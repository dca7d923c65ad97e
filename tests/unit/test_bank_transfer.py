from uuid import UUID

import pytest
from django.test import override_settings

from ordering.checks import bank_account
from ordering.providers.bank_transfer import BankTransfer, is_iban
from ordering.providers.provider import InvalidSignature, Provider, RefundAnswer, RefundOutcome
from ordering.providers.references import find_references

from .samples import euros

PAYMENT = UUID("05c3a2e1-9b31-50b8-abaa-d8de6c724b82")
BANK: Provider = BankTransfer(holder="Boxoffice Ltd", iban="DE89370400440532013000", bic="COBADEFFXXX")


def test_a_customer_is_told_all_that_a_form_asks_for() -> None:
    told = BANK.start(PAYMENT, order_number="BX-7K3M-9QWE", amount=euros("398"))
    assert told.pay_url is None
    for each in ("398.00 EUR", "Boxoffice Ltd", "DE89 3704 0044 0532 0130 00", "COBADEFFXXX", told.reference):
        assert each in told.text


def test_asked_again_it_tells_the_same_and_the_reference_is_found_in_it() -> None:
    told = BANK.start(PAYMENT, order_number="BX-7K3M-9QWE", amount=euros("398"))
    assert told == BANK.start(PAYMENT, order_number="BX-7K3M-9QWE", amount=euros("398"))
    assert find_references(told.text) == [told.reference]


def test_a_refund_is_left_to_staff() -> None:
    assert BANK.refund("any", euros("10"), key=PAYMENT) == RefundAnswer(
        outcome=RefundOutcome.FAILED,
        reason="No provider gives this money back. Pay it back by hand, and mark the refund as made.",
    )


def test_a_bank_reports_nothing_by_itself() -> None:
    with pytest.raises(InvalidSignature, match="no webhook"):
        BANK.verify({}, b"{}")
    with pytest.raises(ValueError, match="no webhook"):
        BANK.reports(b"{}")
    assert BANK.look_up(PAYMENT) == ()


@pytest.mark.parametrize("iban", ["DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"])
def test_an_iban_with_the_right_check_digits(iban: str) -> None:
    assert is_iban(iban)


@pytest.mark.parametrize("iban", ["", "DE88370400440532013000", "DE89370400440532013", "DE8937040044053201300Ä", "n/a"])
def test_anything_else_is_none(iban: str) -> None:
    assert not is_iban(iban)


ACCOUNT = {
    "BANK_TRANSFER_HOLDER": "Boxoffice Ltd",
    "BANK_TRANSFER_IBAN": "DE89370400440532013000",
    "BANK_TRANSFER_BIC": "COBADEFFXXX",
}
NONE = dict.fromkeys(ACCOUNT, "")


@override_settings(**ACCOUNT)
def test_the_settings_name_the_account() -> None:
    assert BankTransfer.configured() == BANK
    assert bank_account() == []


@override_settings(**NONE)
def test_without_an_account_nobody_can_transfer() -> None:
    assert BankTransfer.configured() is None
    assert bank_account() == []


@pytest.mark.parametrize("told", [{"BANK_TRANSFER_IBAN": ""}, {"BANK_TRANSFER_BIC": ""}, {"BANK_TRANSFER_IBAN": "DE1"}])
def test_a_system_check_tells_what_is_wrong_with_the_account(told: dict[str, str]) -> None:
    with override_settings(**ACCOUNT | told):
        (error,) = bank_account()
    assert error.id == "ordering.E011"
    assert next(iter(told)) in error.msg
