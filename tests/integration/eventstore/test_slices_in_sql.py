"""The database tells slices apart as Python does."""

import pytest

from eventstore.subscriptions import hash_ranges, queries
from tests.integration.eventstore.probes import query

KEYS = [f"key{number}" for number in range(500)] + ["", "Zoë", "券", "stream 0", "018f-ABC"]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
@pytest.mark.usefixtures("clean")
def test_a_key_is_in_the_same_slice_in_sql_and_in_python(count):
    for index in range(count):
        part = hash_ranges.shard(index, count)
        found = query(
            f"""SELECT key FROM unnest(%s::text[]) AS key, (VALUES (%s, %s)) AS part(lower, upper)
                WHERE {queries.HOLDS}""",
            KEYS,
            part.lower,
            part.upper,
        )
        assert {key for (key,) in found} == {key for key in KEYS if part.holds(key)}
