"""Slices divide a projection's keys; Python and PostgreSQL agree on whose a key is, and the log is read by index."""

import types
from datetime import datetime
from typing import Any

import pytest

from eventstore import queries, store
from eventstore.context import new_id
from eventstore.events import Event
from eventstore.store import Changes
from eventstore.subscriptions.hash_ranges import ALL, HashRange, shard, share
from ordering.domain.finance import PaymentReceived
from ordering.domain.order import OrderConfirmed
from ordering.projections.order import OrderSummaries
from ordering.projections.payment import SalesByDay
from projections.projection import Handler
from projections.rebuild import event_filter
from tests.integration import shop
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")


def summaries():
    return OrderSummaries()


def read(only="true", **bounds):
    limits = {"after": 0, "upto": store.horizon(), "limit": 10_000} | bounds
    return list(store.stream(limits["after"], limits["upto"], summaries().types, limits["limit"], only=only))


def positions(events):
    return [one.position for one in events]


def sell(orders=8):
    conference = shop.conference_on_sale()
    for _ in range(orders):
        shop.pay(shop.order(shop.customer(), conference))


def condition(part):
    return event_filter.event_condition(summaries(), part).as_string()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_key_is_in_one_slice(count):
    parts = [shard(index, count) for index in range(count)]
    for key in [*(new_id() for _ in range(200)), "a", "ü", 5]:
        assert [part.holds(key) for part in parts].count(True) == 1
    assert all(any(part.holds(new_id()) for _ in range(500)) for part in parts)


def test_a_single_slice_is_everything():
    assert shard(0, 1) == share(0, 1) == ALL
    assert event_filter.event_condition(summaries(), shard(0, 1)).as_string() == "true"


def test_what_is_streamed_is_what_is_read():
    sell(2)
    assert read() == store.read(0, store.horizon(), summaries().types, 10_000)
    some = read(limit=3)
    assert some == read()[:3]
    assert read(after=some[-1].position) == read()[3:]


@pytest.mark.parametrize("count", [2, 3])
def test_postgresql_picks_the_events_whose_keys_python_puts_into_the_slice(count):
    sell()
    parts = [shard(index, count) for index in range(count)]
    while not all(any(part.holds(one.event.order_id) for one in read()) for part in parts):
        sell(1)
    found = []
    for part in parts:
        expected = [one for one in read() if part.holds(one.event.order_id)]
        picked = read(condition(part))
        assert positions(one for one in picked if part.holds(one.event.order_id)) == positions(expected)
        # Whose key is told by a function is for Python to pick.
        assert {one.type for one in picked if not part.holds(one.event.order_id)} <= {PaymentReceived.stored}
        found += positions(expected)
    assert sorted(found) == positions(read()) != []


def test_where_keys_are_functions_only_python_can_tell():
    assert event_filter.event_condition(SalesByDay(), shard(0, 2)).as_string() == "true"
    assert not event_filter.is_exact(SalesByDay())


@pytest.mark.parametrize(
    ("fields", "schema", "exact"),
    [
        ([("number", int)], 1, True),
        ([("number", int)], 2, False),
        ([("number", int, 0)], 1, False),
        ([("number", datetime)], 1, False),
    ],
)
def test_of_keys_that_stand_in_every_event_ever_recorded_postgresql_is_the_only_judge(fields, schema, exact):
    annotations = {name: kind for name, kind, *_ in fields}
    defaults = {name: default[0] for name, _, *default in fields if default}
    body = {"__annotations__": annotations, "schema": schema, **defaults}
    happened: Any = types.new_class("Happened", (Event,), exec_body=lambda namespace: namespace.update(body))
    projection = summaries()
    projection.handlers = {"happened": Handler(happened, "number", "happened")}
    assert event_filter.is_exact(projection) is exact


def test_events_of_another_schema_version_are_left_for_python_to_judge():
    sell(1)
    with raw.connect("owner") as connection:
        connection.execute("ALTER TABLE eventstore_event DISABLE TRIGGER eventstore_append_only")
        connection.execute("UPDATE eventstore_event SET schema_version = 99")
        connection.execute("ALTER TABLE eventstore_event ENABLE TRIGGER eventstore_append_only")
    assert read(condition(HashRange("x", None))) == read() != []


@pytest.mark.parametrize("part", [None, shard(1, 4)])
def test_the_log_is_read_by_an_index_in_order_of_position(part):
    for _ in range(3):
        order_id = new_id()
        confirmed = OrderConfirmed(order_id=order_id)
        store.append(Changes(stream_id=order_id, category="order", expected=0, events=[confirmed]))
    only = condition(part) if part else "true"
    query = store.stream_query(only)
    with raw.connect() as connection:
        connection.execute(queries.BY_INDEX)
        parameters = [0, 3, list(summaries().types), 1_000]
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {query}", parameters))
    assert "Index" in plan
    assert "Seq Scan" not in plan
