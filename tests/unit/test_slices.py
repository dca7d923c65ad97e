"""Slices of the keys: every key is in one of them, whoever asks."""

from itertools import pairwise
from uuid import UUID

import pytest

from eventstore import slices
from eventstore.slices import Slice

KEYS = [str(number) for number in range(2000)] + [str(UUID(int=number**7)) for number in range(500)] + ["", "Zoë", "券"]


@pytest.mark.parametrize("count", range(1, 65))
def test_the_slices_of_all_shards_cover_every_hash_once(count):
    bounds = [slices.shard(index, count) for index in range(count)]
    assert (bounds[0].lower, bounds[-1].upper) == (slices.ALL.lower, slices.ALL.upper)
    for one, following in pairwise(bounds):
        assert one.lower < following.lower == one.upper
    for key in KEYS:
        assert sum(each.holds(key) for each in bounds) == 1


@pytest.mark.parametrize("count", [2, 3, 8, 64])
def test_slices_are_about_as_large_as_each_other(count):
    held = [sum(slices.shard(index, count).holds(key) for key in KEYS) for index in range(count)]
    assert min(held) > len(KEYS) / count / 3
    assert max(held) < len(KEYS) / count * 3


def test_the_slice_of_all_holds_every_key():
    assert all(slices.ALL.holds(key) for key in KEYS)


def test_a_bound_belongs_to_the_upper_slice():
    hashed = slices.hash_of("key")
    assert Slice(hashed).holds("key")
    assert not Slice("", hashed).holds("key")


def test_shares_that_begin_where_the_last_one_ended_cover_everything():
    shares = [slices.share(number / 10, 0.1) for number in range(10)]
    assert all(any(each.holds(key) for each in shares) for key in KEYS)
    assert not slices.share(0.5, 0.0).holds("key")
    assert slices.share(0.9, 0.5).upper is None
