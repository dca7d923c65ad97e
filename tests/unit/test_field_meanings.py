"""What a field means is said where it is declared: below it, or with its type."""

from typing import Annotated

import msgspec

from eventstore.event_types.schemas import meanings


class Minutes(msgspec.Struct):
    grace: Annotated[int, msgspec.Meta(description="minutes")]


class Extended(Minutes):
    until: str
    """When it is to be paid,
    at the latest.
    """

    reason: str = ""


class Corrected(Extended):
    grace: int
    """In hours since."""


def test_a_text_below_a_field_says_what_it_means():
    assert meanings(Extended)["until"] == "When it is to be paid,\nat the latest."


def test_the_description_of_its_type_says_it_too():
    assert meanings(Extended)["grace"] == "minutes"


def test_what_stands_nearest_counts():
    assert meanings(Corrected)["grace"] == "In hours since."


def test_a_field_that_says_nothing_has_no_meaning():
    assert "reason" not in meanings(Extended)


def test_of_a_class_without_source_only_its_types_tell():
    made = msgspec.defstruct("Made", [("grace", Annotated[int, msgspec.Meta(description="minutes")])])
    assert meanings(made) == {"grace": "minutes"}
