"""Each check of the contract finds a subscriber that breaks just this part of it."""

import random
from contextlib import closing

import pytest

from eventstore.context import new_id
from eventstore.subscriptions import queries
from eventstore.subscriptions.subscriber import Work
from eventstore.testing import subscribers as contract
from ordering.domain.customer import CustomerRenamed
from tests.integration.eventstore import raw
from tests.integration.eventstore.acquiring import acquires_with
from tests.integration.eventstore.probes import Probe, note, query

pytestmark = pytest.mark.usefixtures("probe_tables")


def made():
    return query("SELECT name, key, position FROM probe_noted ORDER BY name, key, position")


class Unsteady(Probe):
    def keys(self, recorded):
        return [random.random()]


class Idle(Probe):
    def apply(self, cursor, work):
        pass


class OfBatches(Probe):
    """Writes down the last event of a batch."""

    def apply(self, cursor, work):
        super().apply(cursor, work[-1:])


class AcrossKeys(Probe):
    """Counts under one key what happened to all."""

    def apply(self, cursor, work):
        for key, recorded in work:
            count = len(self.noted())
            super().apply(cursor, [Work(f"{key} after {count} others", recorded)])


class Pretending(Probe):
    def __init__(self):
        super().__init__(idempotent=True)


class Elsewhere(Probe):
    """Writes through a connection of its own."""

    def apply(self, cursor, work):
        with closing(raw.connect(autocommit=True)) as other, other.cursor() as another:
            super().apply(another, work)


FAULTY = {
    Unsteady: contract.check_its_events,
    Idle: contract.check_its_events,
    OfBatches: contract.check_one_by_one,
    AcrossKeys: contract.check_key_by_key,
    Pretending: contract.check_a_duplicate,
    Elsewhere: contract.check_a_rollback,
}


@pytest.fixture(autouse=True)
def history(probe_tables):
    stream = new_id()
    note("a", "b", "c a", "b", stream=stream)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_a_sound_subscriber_passes(check):
    check(Probe(), made)
    assert made() == []


@pytest.mark.parametrize(("kind", "check"), FAULTY.items(), ids=lambda each: each.__name__)
def test_a_faulty_one_is_found(kind, check):
    with pytest.raises(AssertionError):
        check(kind(), made)


def test_reading_by_position_alone_is_found(monkeypatch):
    by_position = {"eventstore_horizon_v3(coalesce(low, -1))": "(SELECT last_value FROM eventstore_event_position_seq)"}
    with acquires_with(by_position) as acquire:
        monkeypatch.setattr(queries, "ACQUIRE", acquire)
        with pytest.raises(AssertionError, match="open transaction"):
            contract.check_an_open_transaction(Probe(), made)


def test_a_subscriber_without_events_is_found():
    class Other(Probe):
        types = frozenset({"order.placed"})

    with pytest.raises(AssertionError, match="append some"):
        contract.check_its_events(Other(), made)


def test_given_events_are_on_the_log_and_answered_as_they_are_recorded():
    stream = new_id()
    first = contract.given(stream, CustomerRenamed(customer_id=stream, name="a"))
    more = contract.given(stream, *[CustomerRenamed(customer_id=stream, name="b")] * 2)
    assert [(each.position, each.version) for each in (*first, *more)] == [(5, 1), (6, 2), (7, 3)]
