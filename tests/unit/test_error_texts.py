"""What is kept of an error says what is wrong, and quotes no value: that may be somebody's."""

from enum import StrEnum

import msgspec
import pytest

from eventstore import codec
from eventstore.errors import InvalidEvent, UnreadableEvent
from eventstore.events import Event, catalogue, event
from eventstore.subscriptions.parking import describe


class Title(StrEnum):
    DOCTOR = "Dr"


class Address(msgspec.Struct):
    city: str = ""

    def __post_init__(self):
        if not self.city.isascii():
            raise ValueError(f"Expected another city than {self.city}")


@pytest.fixture
def named():
    @event("test.named", version=2)
    class Named(Event):
        name: str = ""
        title: Title = Title.DOCTOR
        address: Address = msgspec.field(default_factory=Address)

    @codec.upcaster("test.named", 1)
    def from_1(data):
        return {"name": data[data["called"]]}

    yield Named
    codec.forget_upcasters("test.named")
    catalogue.unregister(Named)


MISFITS = {
    "a type": (2, '{"name": 7}', "Expected `str`, got `int` - at `$.name`"),
    "a value": (2, '{"title": "Ada"}', "ValidationError at `$.title`"),
    "a check": (2, '{"address": {"city": "Ada ö"}}', "ValueError in __post_init__, line "),
    "an upcaster": (1, '{"called": "Ada"}', "KeyError in from_1, line "),
}


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS)
def test_a_stored_event_that_does_not_fit_says_where_and_not_what_it_holds(named, misfit):
    version, data, told = misfit
    with pytest.raises(UnreadableEvent) as unreadable:
        codec.decode(named.stored, version, data)
    assert describe(unreadable.value).startswith(f"UnreadableEvent: test.named, schema version {version}: {told}")
    assert "Ada" not in describe(unreadable.value)


def test_nor_does_one_that_could_not_be_recorded(named):
    with pytest.raises(InvalidEvent) as invalid:
        codec.encode(named(title="Ada"))
    assert describe(invalid.value) == "InvalidEvent: test.named: ValidationError at `$.title`"


def test_a_text_that_the_database_cannot_store_is_written_out():
    assert describe(InvalidEvent("a\0b\ud800")) == "InvalidEvent: a\\x00b\\ud800"
