from datetime import date
from uuid import uuid5

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from ordering.domain.values import Money
from ordering.providers.references import ALPHABET, reference_of
from ordering.providers.statements.line import StatementLine
from ordering.providers.statements.matching import (
    CloseReference,
    Exact,
    Expected,
    Match,
    OtherAmount,
    Several,
    Unmatched,
    match,
    one_slip_apart,
)

from .samples import ORDER, euros

PAYMENTS = [uuid5(ORDER, str(number)) for number in range(200)]
EXPECTED = [Expected(each, reference_of(each), euros("199")) for each in PAYMENTS]
ADA, BOB, *_ = EXPECTED


def line(remittance: str, amount: Money | None = None) -> StatementLine:
    return StatementLine(number=1, booked_on=date(2026, 11, 27), amount=amount or euros("199"), remittance=remittance)


def judged(each: StatementLine, expected: list[Expected] = EXPECTED) -> Match:
    (result,) = match([each], expected)
    return result


def test_reference_and_amount_are_right() -> None:
    assert judged(line(f"Ticket {ADA.reference.lower()}")) == Exact(line(f"Ticket {ADA.reference.lower()}"), ADA)


@pytest.mark.parametrize("amount", [euros("198"), euros("398"), Money(euros("199").amount, "CHF")])
def test_the_reference_is_right_and_the_amount_is_not(amount: Money) -> None:
    paid = line(ADA.reference, amount)
    assert judged(paid) == OtherAmount(paid, ADA)


SLIPS = {
    "a wrong character": lambda text: text[:5] + ("A" if text[5] != "A" else "C") + text[6:],
    "a missing character": lambda text: text[:7] + text[8:],
    "a character too many": lambda text: text[:7] + "A" + text[7:],
    "two neighbours that are swapped": lambda text: text[:3] + text[3:5][::-1] + text[5:],
    "a wrong prefix": lambda text: "KH" + text[2:],
}


@pytest.mark.parametrize("slip", SLIPS)
def test_the_amount_is_right_and_the_reference_has_one_slip(slip: str) -> None:
    paid = line(f"for Ada {SLIPS[slip](ADA.reference.replace('-', ''))} thanks")
    assert judged(paid) == CloseReference(paid, ADA)


def test_a_slip_with_another_amount_is_nothing() -> None:
    paid = line(SLIPS["a missing character"](ADA.reference.replace("-", "")), euros("5"))
    assert judged(paid) == Unmatched(paid)


def test_two_references_are_several() -> None:
    paid = line(f"{ADA.reference} + {BOB.reference}", euros("398"))
    assert judged(paid) == Several(paid, (ADA, BOB))


def test_a_slip_from_two_references_is_several() -> None:
    one, other = (
        Expected(PAYMENTS[0], "KXAA-AAAA-AAAC", euros("5")),
        Expected(PAYMENTS[1], "KXAA-AAAA-AAAD", euros("5")),
    )
    paid = line("KXAA-AAAA-AAAE", euros("5"))
    assert judged(paid, [one, other]) == Several(paid, (one, other))


def test_two_payments_of_one_reference_are_several() -> None:
    twin = Expected(PAYMENTS[1], ADA.reference, euros("199"))
    assert judged(line(ADA.reference), [ADA, twin]) == Several(line(ADA.reference), (ADA, twin))


@pytest.mark.parametrize("text", ["", "Miete", "BX-7K3M-9QWE", reference_of(uuid5(PAYMENTS[0], "unknown"))])
def test_what_names_no_payment_is_unmatched(text: str) -> None:
    assert judged(line(text)) == Unmatched(line(text))


def test_money_that_left_is_unmatched_whatever_it_names() -> None:
    returned = line(ADA.reference, euros("-199"))
    assert judged(returned) == Unmatched(returned)


def test_money_that_comes_back_to_us_is_no_payment() -> None:
    returned = msgspec.structs.replace(line(ADA.reference), reversal=True)
    assert judged(returned) == Unmatched(returned)


def test_each_line_is_judged_by_itself() -> None:
    assert [type(each) for each in match([line(ADA.reference)] * 2, EXPECTED)] == [Exact, Exact]


@settings(deadline=None)
@for_all(st.sampled_from(EXPECTED), st.integers(0, 11), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_never_another_payment(payment: Expected, at: int, wrong: str) -> None:
    written = payment.reference.replace("-", "")
    result = judged(line(written[:at] + wrong + written[at + 1 :]))
    assert isinstance(result, Exact | CloseReference)
    assert result.payment == payment


@pytest.mark.parametrize(
    ("written", "apart"),
    [
        ("ABC", True),
        ("AXC", True),
        ("AC", True),
        ("ABXC", True),
        ("BAC", True),
        ("CBA", False),
        ("A", False),
        ("XYC", False),
    ],
)
def test_one_slip_is_one_change_or_two_swapped_neighbours(written: str, apart: bool) -> None:
    assert one_slip_apart(written, "ABC") is apart
