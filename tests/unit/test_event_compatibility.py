"""What one type of a field allows, and whether it can be read as another."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from eventstore.event_types.compatibility import Side, misfits

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Short = Annotated[str, msgspec.Meta(max_length=5)]
Long = Annotated[str, msgspec.Meta(max_length=9)]


class Colour(StrEnum):
    RED = "red"


class Colours(StrEnum):
    RED = "red"
    BLUE = "blue"


class Price(msgspec.Struct):
    amount: Decimal
    currency: str


class PriceWithTax(msgspec.Struct):
    amount: Decimal
    currency: str
    tax: Decimal


class PriceWithNote(msgspec.Struct):
    amount: Decimal
    currency: str
    note: str = ""


class Tree(msgspec.Struct):
    name: str
    children: "list[Tree]" = []


class Wood(msgspec.Struct):
    name: int
    children: "list[Wood]" = []


def side(kind: Any) -> Side:
    (schema,), values = msgspec.json.schema_components([kind])
    return Side(schema, values)


def fits(written: Any, read: Any, *, stored: bool = True) -> bool:
    return misfits(side(written), side(read), stored=stored) == []


SAME = [
    UUID,
    str,
    int,
    datetime,
    Decimal,
    Colour,
    Price,
    Tree,
    list[Price],
    tuple[int, str],
    dict[str, int],
    int | None,
]
WIDER = [
    (int, float),
    (int, int | None),
    (UUID, str),
    (Moment, str),
    (Colour, Colours),
    (Colour, str),
    (Literal[1], int),
    (Short, Long),
    (Short, str),
    (list[int], list[int | None]),
    (dict[str, int], dict[str, float]),
    (PriceWithTax, Price),
    (Price, PriceWithNote),
    (Price | None, PriceWithNote | None),
]


@pytest.mark.parametrize("kind", SAME, ids=str)
def test_a_type_is_read_as_itself(kind):
    assert fits(kind, kind)


@pytest.mark.parametrize(("narrow", "wide"), WIDER, ids=str)
def test_what_is_narrower_is_read_as_what_is_wider_and_not_the_other_way_round(narrow, wide):
    assert fits(narrow, wide)
    if wide not in (PriceWithNote, PriceWithNote | None):
        assert not fits(wide, narrow)


@pytest.mark.parametrize(
    ("one", "other"),
    [(int, str), (UUID, Moment), (list[int], int), (Tree, Wood), (tuple[int], tuple[int, int])],
    ids=str,
)
def test_what_is_something_else_is_not_read(one, other):
    assert not fits(one, other)
    assert not fits(other, one)


def test_a_field_with_a_default_may_be_missing_in_what_is_stored_and_is_written_from_now_on():
    class Needs(msgspec.Struct):
        amount: Decimal
        currency: str
        note: str

    assert not fits(PriceWithNote, Needs, stored=True)
    assert fits(PriceWithNote, Needs, stored=False)


def test_where_it_does_not_fit_is_said():
    class Line(msgspec.Struct):
        price: Price

    class Order(msgspec.Struct):
        lines: list[Line]

    class DearLine(msgspec.Struct):
        price: PriceWithTax

    class DearOrder(msgspec.Struct):
        lines: list[DearLine]

    assert misfits(side(Order), side(DearOrder), stored=True) == [
        "`lines[].price.tax` is required, and may be missing."
    ]


def test_a_value_that_a_union_has_met_in_vain_is_no_better_elsewhere():
    class Both(msgspec.Struct):
        first: Price | None
        second: Price

    class Neither(msgspec.Struct):
        first: PriceWithTax | None
        second: PriceWithTax

    assert len(misfits(side(Both), side(Neither), stored=True)) == 2


def test_what_is_not_understood_has_to_be_the_same():
    assert not fits(Annotated[str, msgspec.Meta(pattern="^a")], Annotated[str, msgspec.Meta(pattern="^ab")])
    assert isinstance(side(Price).values, Mapping)
