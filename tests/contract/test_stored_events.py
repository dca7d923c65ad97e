"""Every event that was ever released is read by today's code: one stored example of each version."""

import json
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from eventstore import codec
from eventstore.errors import NewerSchema, UnknownEvent, UnreadableEvent
from eventstore.events import catalogue
from ordering.domain.payment import PaymentAccepted
from ordering.domain.scheduling import ConferenceScheduled

EXAMPLES = json.loads((Path(__file__).parent / "stored_events.json").read_text())


def named(example):
    return f"{example['type']} {example['version']}"


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_a_stored_event_is_read(example):
    event = codec.decode(example["type"], example["version"], json.dumps(example["data"]))
    assert event.stored == example["type"]
    today = json.loads(codec.encode(event))
    kept = {name: value for name, value in today.items() if name in example["data"]}
    assert kept == example["data"]


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_no_field_of_a_stored_event_is_forgotten(example):
    declared = catalogue[example["type"]]
    if example["version"] == declared.schema:
        assert set(example["data"]) == set(declared.__struct_fields__)


def test_there_is_an_example_of_every_version():
    released = {(event.stored, version) for event in catalogue for version in range(1, event.schema + 1)}
    assert {(example["type"], example["version"]) for example in EXAMPLES} == released


def test_a_conference_of_version_1_sells_until_it_starts():
    (example,) = (each for each in EXAMPLES if named(each) == "conference.scheduled 1")
    event = codec.decode("conference.scheduled", 1, json.dumps(example["data"]))
    assert isinstance(event, ConferenceScheduled)
    assert event.closes_at == event.starts_at


def test_an_event_of_the_future_is_not_misread():
    with pytest.raises(NewerSchema):
        codec.decode("order.confirmed", 2, "{}")


def test_an_unknown_event_and_an_unreadable_one_are_told_apart():
    with pytest.raises(UnknownEvent):
        codec.decode("order.sung", 1, "{}")
    with pytest.raises(UnreadableEvent):
        codec.decode("order.confirmed", 1, '{"order_id": "yesterday"}')


def test_a_field_that_only_newer_code_knows_is_tolerated():
    data = msgspec.json.encode({"order_id": "01890000-0000-7000-8000-000000000001", "by": "somebody"})
    assert codec.decode("order.confirmed", 1, data).stored == "order.confirmed"


@pytest.mark.parametrize(
    "amount",
    [
        {"amount": "100.50", "currency": "JPY"},
        {"amount": "7.00", "currency": "ABC"},
        {"amount": "1.00", "currency": "XAU"},
    ],
)
def test_money_from_before_currencies_were_looked_up_means_what_it_meant(amount):
    data = {"payment_id": str(UUID(int=1)), "order_id": str(UUID(int=2)), "amount": amount, "reference": "REF-1"}
    event = codec.decode("payment.accepted", 1, json.dumps(data))
    assert isinstance(event, PaymentAccepted)
    assert str(event.amount) == f"{amount['amount']} {amount['currency']}"
    assert json.loads(codec.encode(event)) == {**data, "provider": ""}
