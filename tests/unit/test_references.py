import re
from itertools import product
from uuid import UUID

import pytest
from hypothesis import assume, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from ordering.providers.references import ALPHABET, LOOK_ALIKES, find_references, reference_of, squeezed

PAYMENT = UUID("05c3a2e1-9b31-50b8-abaa-d8de6c724b82")
WRITTEN_FOR = {each: [chr(code) for code, read in LOOK_ALIKES.items() if chr(read) == each] for each in ALPHABET}

payments = st.uuids()
places = st.integers(0, 11)


def compact(payment: UUID) -> str:
    return reference_of(payment).replace("-", "")


def test_a_payment_has_one_reference_for_good() -> None:
    assert reference_of(PAYMENT) == "KXWN-HFY6-9K9J"


@settings(deadline=None)
@for_all(payments)
def test_nothing_in_a_reference_looks_like_something_else(payment: UUID) -> None:
    assert re.fullmatch("[A-Z0-9]{4}(-[A-Z0-9]{4}){2}", reference_of(payment))
    assert not set("0OQ1IL2Z5S8BU") & set(reference_of(payment))


def test_every_letter_and_digit_that_is_never_used_is_read_as_one_that_is() -> None:
    never = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") - set(ALPHABET)
    assert {chr(code) for code in LOOK_ALIKES} == never
    assert {chr(read) for read in LOOK_ALIKES.values()} <= set(ALPHABET)


@settings(deadline=None)
@for_all(payments, places, st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(payment: UUID, at: int, wrong: str) -> None:
    right = compact(payment)
    assume(right[at] != wrong)
    assert find_references(right[:at] + wrong + right[at + 1 :]) == []


@settings(deadline=None)
@for_all(payments)
def test_any_two_swapped_characters_are_noticed(payment: UUID) -> None:
    for one, other in product(range(12), repeat=2):
        characters = list(compact(payment))
        if characters[one] != characters[other]:
            characters[one], characters[other] = characters[other], characters[one]
            assert find_references("".join(characters)) == []


@settings(deadline=None)
@for_all(payments, places, st.sampled_from(sorted(map(chr, LOOK_ALIKES))))
def test_a_look_alike_is_read_right_or_noticed(payment: UUID, at: int, wrong: str) -> None:
    right = compact(payment)
    assert find_references(right[:at] + wrong + right[at + 1 :]) in ([], [reference_of(payment)])


@st.composite
def scribbled(draw: st.DrawFn, payment: UUID) -> str:
    """A reference as people, forms and banks write it."""
    text = ""
    for character in compact(payment):
        written = draw(st.sampled_from([character, character.lower(), *WRITTEN_FOR[character]]))
        text += written + draw(st.sampled_from(["", "", "", " ", "-", " - ", "\n", "\r\n", "–", "\u00a0", "."]))
    return text


noise = st.text("abcdefghijlmnopqrstuvwyzABCDEFGHIJLMNOPQRSTUVWYZ0123456789 ,.-:/\n", max_size=40)


@settings(deadline=None)
@for_all(payments, noise, noise, st.data())
def test_a_reference_is_found_again_in_noise(payment: UUID, before: str, after: str, data: st.DataObject) -> None:
    text = f"{before} {data.draw(scribbled(payment))} {after}"
    assert find_references(text) == [reference_of(payment)]


@settings(deadline=None)
@for_all(payments, payments)
def test_several_are_found_each_once_in_their_order(one: UUID, other: UUID) -> None:
    assume(reference_of(one) != reference_of(other))
    text = f"{reference_of(one)} und {reference_of(other)}, {reference_of(one).lower()}"
    assert find_references(text) == [reference_of(one), reference_of(other)]


@pytest.mark.parametrize("text", ["", "KX", "Miete November", "BX-7K3M-9QWE", "KXWN-HFY6-9K9"])
def test_what_is_no_reference_is_not_found(text: str) -> None:
    assert find_references(text) == []


def test_wide_characters_and_soft_hyphens_are_forgiven() -> None:
    assert squeezed("Ｋx\u00ad6a") == "KX6A"
