"""Gaps are exact: what a subscriber wanted and has not applied, and nothing else."""

from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from django.db import transaction

from eventstore import store
from eventstore.context import new_id
from eventstore.models import SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Reshard, Skip
from eventstore.queries import READ_EVENTS
from eventstore.subscriptions import gaps, queries
from eventstore.subscriptions.retry import retry_keys
from eventstore.subscriptions.subscriber import Mode, Shard
from ordering.domain.order import OrderConfirmed
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import (
    TYPE,
    WHO,
    Probe,
    go_wrong,
    mend,
    note,
    query,
    registered,
)

pytestmark = pytest.mark.usefixtures("probe_tables")


def ranges(**how):
    return [(each.first, each.last, each.count, each.why) for each in gaps.gaps("probe", **how).ranges]


def unwanted():
    stream = new_id()
    changes = store.Changes(stream_id=stream, category="order", expected=0, events=[OrderConfirmed(order_id=stream)])
    return store.append(changes).last


def rolled_back():
    with suppress(ZeroDivisionError), transaction.atomic():
        note("a")
        raise ZeroDivisionError


def pause(probe):
    query("UPDATE eventstore_subscriber SET status = 'paused' WHERE subscriber = %s", probe.name)


def test_who_has_applied_everything_has_no_gap(one):
    assert ranges() == []
    note("a", "b")
    one.feed()
    assert ranges() == []
    assert gaps.gaps("probe").count == 0


def test_what_it_has_not_been_fed_yet_is_pending(one):
    note("a")
    one.feed()
    note("b", "c")
    assert ranges() == [(2, 3, 2, "pending")]


def test_who_has_no_row_yet_has_everything_before_him(one):
    note("a")
    SubscriberRow.objects.filter(name="probe").delete()
    assert ranges() == [(1, 1, 1, "pending")]


def test_rolled_back_positions_and_unwanted_events_are_no_gap(one):
    rolled_back()
    unwanted()
    assert store.head() == 2
    assert ranges() == []
    note("a")
    rolled_back()
    unwanted()
    assert ranges() == [(1, 5, 1, "pending")]
    one.feed()
    assert ranges() == []


def test_what_an_open_transaction_holds_back_is_no_gap_yet(one):
    with closing(raw.connect()) as writer:
        raw.append(writer)
        note("a")
        assert ranges() == []
        writer.rollback()
    assert ranges() == [(1, 2, 1, "pending")]


def test_parked_events_are_one_gap_where_nothing_wanted_lies_between(one):
    go_wrong("bad")
    note("bad")
    rolled_back()
    unwanted()
    note("bad", "good", "bad")
    one.feed()
    assert ranges() == [(1, 4, 2, "parked"), (6, 6, 1, "parked")]
    mend("bad")
    retry_keys("probe", ["bad"])
    assert ranges() == []


def test_of_many_parked_events_only_so_many_are_looked_at(one):
    go_wrong("bad")
    note(*["bad"] * 5)
    one.feed()
    assert gaps.gaps("probe", most=5).more is False
    (found,) = gaps.gaps("probe", most=3).ranges
    assert (found.first, found.last, found.count, found.more) == (1, 3, 3, True)


def test_an_event_that_is_parked_under_two_keys_is_one_gap(one):
    go_wrong("b", "c")
    note("a b c")
    one.feed()
    assert ranges() == [(1, 1, 1, "parked")]


def test_what_was_skipped_stays_a_gap_and_counts_what_was_wanted_of_it(one):
    note("a")
    one.feed()
    pause(one)
    note("b")
    unwanted()
    note("c", "d")
    perform(Skip(target="probe", upto=4), by=WHO, reason="a test wants it")
    assert ranges() == [(2, 4, 2, "skipped"), (5, 5, 1, "pending")]


def test_all_kinds_together_are_in_the_order_of_the_log(one):
    go_wrong("bad")
    note("bad", "a")
    one.feed()
    pause(one)
    note("b", "c")
    perform(Skip(target="probe", upto=3), by=WHO, reason="a test wants it")
    found = gaps.gaps("probe")
    assert [each.why for each in found.ranges] == ["parked", "skipped", "pending"]
    assert found.count == 3
    assert not found.more


def test_counting_ends_where_it_is_told_to(one):
    note(*["a"] * 5)
    (found,) = gaps.gaps("probe", most=3).ranges
    assert (found.count, found.more) == (3, True)
    (found,) = gaps.gaps("probe", most=5).ranges
    assert (found.count, found.more) == (5, False)


@pytest.fixture
def halves(probe_tables) -> Iterator[tuple[Probe, list[str], list[str]]]:
    """A probe in two shards, the second of which stands still at position 2; with keys of the first and the second."""
    with registered(Probe(mode=Mode.ASYNC)) as probe:
        note("a", "b")
        probe.feed()
        perform(Reshard(target="probe", shards=2), by=WHO)
        SubscriberRow.objects.filter(name="probe 2/2").update(status="paused")
        first = Shard(probe, 0, 2).hash_range
        keys = [f"key{number}" for number in range(20)]
        yield probe, [key for key in keys if first.holds(key)], [key for key in keys if not first.holds(key)]


def test_where_shards_stand_apart_what_the_slower_ones_keys_want_is_pending(halves):
    probe, first, second = halves
    note(first[0], second[0], first[1], second[1], first[2])
    probe.feed()
    assert ranges() == [(4, 6, 2, "pending")]
    note(first[0], second[0])
    assert ranges() == [(4, 6, 2, "pending"), (8, 9, 2, "pending")]


def test_an_event_of_both_shards_is_pending_until_both_have_it(halves):
    probe, first, second = halves
    note(f"{first[0]} {second[0]}", first[0])
    probe.feed()
    assert ranges() == [(3, 3, 1, "pending")]


def test_a_stream_that_one_shard_holds_back_is_one_gap(halves):
    probe, first, second = halves
    go_wrong("?")
    note("?", first[0], second[0])
    note(second[0])
    probe.feed()
    assert ranges() == [(3, 5, 3, "parked"), (6, 6, 1, "pending")]


def test_an_event_whose_key_cannot_be_told_any_more_is_pending(halves):
    probe, first, _ = halves
    note("?", first[0])
    probe.feed()
    go_wrong("?")
    assert ranges() == [(3, 3, 1, "pending")]


def test_each_query_uses_an_index_in_a_long_log(one):
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(
            """INSERT INTO eventstore_event (stream_id, category, version, type, schema_version, data, event_id,
                    correlation_id, actor, metadata)
                SELECT gen_random_uuid(), 'test', 1, CASE n %% 5 WHEN 0 THEN %s ELSE 'other' || n %% 7 END, 1,
                    jsonb_build_object('customer_id', gen_random_uuid(), 'name', 'a'), gen_random_uuid(),
                    gen_random_uuid(), '', '{}' FROM generate_series(1, 200000) AS n""",
            [TYPE],
        )
        owner.execute(
            """INSERT INTO eventstore_parked (subscriber, key, position, error, traceback, attempts)
                SELECT CASE n % 20 WHEN 0 THEN 'probe' ELSE 'somebody' || n % 7 END, 'key' || n % 100, n * 5, '', '', 1
                FROM generate_series(1, 5000) AS n"""
        )
        owner.execute(
            """INSERT INTO eventstore_skippedrange (subscriber, after, upto, reason, by)
                SELECT 'somebody' || n, n, n + 1, '', '' FROM generate_series(1, 5000) AS n"""
        )
        for table in ("event", "parked", "skippedrange"):
            owner.execute(f"ANALYZE eventstore_{table}")
    query("UPDATE eventstore_subscriber SET checkpoint = 100000 WHERE name = 'probe'")
    low, high = list(range(5, 500, 5)), list(range(10, 505, 5))
    plans = {
        "count": _plan(queries.COUNT_WANTED, [[TYPE], 150_000, 190_000, gaps.MOST]),
        "parked": _plan(queries.PARKED_POSITIONS, ["probe", gaps.MOST]),
        "parked among": _plan(queries.PARKED_POSITIONS_AMONG, ["probe", low]),
        "between": _plan(queries.ADJACENT, [low, high, [TYPE, "other1"]]),
        "skipped": _plan(queries.SKIPPED_RANGES, ["probe"]),
        "pending of shards": _plan(READ_EVENTS, [150_000, 190_000, [TYPE], 1000]),
    }
    for name, plan in plans.items():
        assert "Index" in plan, f"{name}: {plan}"
        assert "Seq Scan" not in plan, f"{name}: {plan}"
    found = gaps.gaps("probe")
    assert (found.ranges[0].why, found.ranges[-1].why) == ("parked", "pending")
    assert (found.ranges[-1].count, found.count) == (20_000, 20_250)


def _plan(statement, values):
    return "\n".join(line for (line,) in query(f"EXPLAIN {statement}", *values))
