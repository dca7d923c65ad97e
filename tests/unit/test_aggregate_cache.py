"""What a process remembers of hot aggregates, and how much of it."""

from uuid import UUID

import pytest

from eventstore.context import new_id
from eventstore.repository import AggregateCache
from ordering.domain.conference import ConferenceSeats
from ordering.domain.customer import Customer

CONFERENCE = new_id()


def seats(version: int, conference_id: UUID = CONFERENCE) -> ConferenceSeats:
    aggregate = ConferenceSeats(conference_id)
    aggregate.version = version
    return aggregate


@pytest.fixture
def cache() -> AggregateCache:
    return AggregateCache(most=5, copies=3)


def taken(cache: AggregateCache, conference_id: UUID = CONFERENCE, using: str = "default") -> list[int]:
    """The versions of all copies, in the order in which they are had."""
    copies = iter(lambda: cache.take(ConferenceSeats, conference_id, using), None)
    return [copy.version for copy in copies]


def test_who_takes_one_owns_it(cache: AggregateCache) -> None:
    given = seats(1)
    cache.give(given, "default")
    assert cache.take(ConferenceSeats, CONFERENCE, "default") is given
    assert cache.take(ConferenceSeats, CONFERENCE, "default") is None


def test_of_several_that_were_given_each_is_had_once_the_one_that_has_seen_most_first(cache: AggregateCache) -> None:
    for version in (2, 3, 1):
        cache.give(seats(version), "default")
    assert taken(cache) == [3, 2, 1]


def test_of_too_many_copies_those_that_have_seen_least_are_forgotten(cache: AggregateCache) -> None:
    for version in (4, 1, 3, 2, 5):
        cache.give(seats(version), "default")
    assert taken(cache) == [5, 4, 3]


def test_of_too_many_aggregates_the_one_that_was_given_first_is_forgotten(cache: AggregateCache) -> None:
    conferences = [new_id() for _ in range(6)]
    for conference_id in conferences:
        cache.give(seats(1, conference_id), "default")
    assert [taken(cache, conference_id) for conference_id in conferences] == [[], *[[1]] * 5]


def test_another_database_has_its_own_and_none_is_kept_of_what_is_not_hot(cache: AggregateCache) -> None:
    cache.give(seats(1), "default")
    cache.give(customer := Customer(new_id()), "default")
    assert taken(cache, using="copy") == []
    assert cache.take(Customer, customer.id, "default") is None
    cache.forget()
    assert taken(cache) == []
