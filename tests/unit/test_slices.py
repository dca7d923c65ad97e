"""Slices of the keys: every key is in one of them, whoever asks."""

from itertools import pairwise
from uuid import UUID

import pytest

from eventstore.subscriptions import hash_ranges
from eventstore.subscriptions.hash_ranges import HashRange

KEYS = [str(number) for number in range(2000)] + [str(UUID(int=number**7)) for number in range(500)] + ["", "Zoë", "券"]


@pytest.mark.parametrize("count", range(1, 65))
def test_the_slices_of_all_shards_cover_every_hash_once(count):
    bounds = [hash_ranges.shard(index, count) for index in range(count)]
    assert (bounds[0].lower, bounds[-1].upper) == (hash_ranges.ALL.lower, hash_ranges.ALL.upper)
    for one, following in pairwise(bounds):
        assert one.lower < following.lower == one.upper
    for key in KEYS:
        assert sum(each.holds(key) for each in bounds) == 1


@pytest.mark.parametrize("count", [2, 3, 8, 64])
def test_slices_are_about_as_large_as_each_other(count):
    held = [sum(hash_ranges.shard(index, count).holds(key) for key in KEYS) for index in range(count)]
    assert min(held) > len(KEYS) / count / 3
    assert max(held) < len(KEYS) / count * 3


def test_the_range_of_all_holds_every_key():
    assert all(hash_ranges.ALL.holds(key) for key in KEYS)


def test_a_bound_belongs_to_the_upper_slice():
    hashed = hash_ranges.hash_of("key")
    assert HashRange(hashed).holds("key")
    assert not HashRange("", hashed).holds("key")


def test_shares_that_begin_where_the_last_one_ended_cover_everything():
    shares = [hash_ranges.share(number / 10, 0.1) for number in range(10)]
    assert all(any(each.holds(key) for each in shares) for key in KEYS)
    assert not hash_ranges.share(0.5, 0.0).holds("key")
    assert hash_ranges.share(0.9, 0.5).upper is None


@pytest.mark.parametrize("key", ["a\0b", "a\ud800b", "long" * 10_000], ids=["nul", "half", "long"])
def test_a_key_that_postgresql_cannot_store_belongs_to_one_range_too(key):
    assert sum(hash_ranges.shard(index, 7).holds(key) for index in range(7)) == 1
