"""Folding in bulk gives the rows that the live path gives: any events, any type, however little memory it has."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import connections, models, transaction
from psycopg import sql

from eventstore import database
from eventstore.codec import Recorded
from eventstore.context import new_id
from eventstore.database import Cursor
from eventstore.events import Event, Meta
from eventstore.roles import owner_alias
from eventstore.subscriptions.hash_ranges import shard
from eventstore.subscriptions.subscriber import Work
from projections.models import ReadModel
from projections.projection import DELETE, Outcome, Projection, on
from projections.rebuild.bulk import Bulk, KeyFilter
from projections.tables import Table

pytestmark = pytest.mark.usefixtures("clean")

UNLUCKY = 1_000_000
NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"


class Anything(ReadModel):
    """A column of each type."""

    key = models.TextField(primary_key=True)
    text = models.TextField(default="")
    short = models.CharField(max_length=5, null=True)  # noqa: DJ001 - a column of each type, null too
    id = models.UUIDField(null=True)
    amount = models.DecimalField(max_digits=20, decimal_places=2, null=True)
    whole = models.BigIntegerField(default=0)
    share = models.FloatField(null=True)
    sure = models.BooleanField(null=True)
    at = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    hour = models.TimeField(null=True)
    json = models.JSONField(default=list, null=True)
    tags = ArrayField(models.TextField(), null=True)
    grid = ArrayField(ArrayField(models.IntegerField()), null=True)

    class Meta:
        app_label = "bulk_tests"

    def __str__(self) -> str:
        return self.key


class Changed(Event):
    key: str
    column: str
    value: Any


class Counted(Event):
    keys: tuple[str, ...]


class Removed(Event):
    key: str


# Named by hand: what is declared would be in the catalogue of the tests that come after.
Changed.stored, Counted.stored, Removed.stored = "test.changed", "test.counted", "test.removed"


def keys_of(event: Counted, meta: Meta) -> Iterable[str]:
    return event.keys


class Anythings(Projection[Anything], name="bulk-test"):
    model = Anything

    @on(Changed, key="key")
    def changed(self, row: Anything, event: Changed, meta: Meta) -> None:
        setattr(row, event.column, event.value)

    @on(Counted, key=keys_of)
    def counted(self, row: Anything, event: Counted, meta: Meta) -> None:
        if row.whole == UNLUCKY:
            raise ZeroDivisionError
        row.whole += 1
        row.json = [*(row.json or []), meta.position][-3:]

    @on(Removed, key="key")
    def removed(self, row: Anything, event: Removed, meta: Meta) -> Outcome:
        return DELETE


def recorded(position: int, event: Event) -> Recorded:
    return Recorded(
        position=position,
        stream_id=new_id(),
        category="test",
        version=1,
        type=event.stored,
        schema_version=1,
        event_id=new_id(),
        correlation_id=new_id(),
        causation_id=None,
        actor="",
        recorded_at=NOON,
        data="",
        decoded=event,
    )


@pytest.fixture
def cursor(clean: None) -> Iterable[psycopg.Cursor[Any]]:
    """Within a transaction that is rolled back: two empty tables, in schemas of their own."""
    using = owner_alias()
    with transaction.atomic(using), database.cursor(using) as raw:
        for schema in ("live", "bulk"):
            raw.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            raw.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
            with connections[using].schema_editor(atomic=False) as editor:
                editor.create_model(Anything)
        raw.execute("SET LOCAL search_path TO DEFAULT")
        yield raw
        transaction.set_rollback(True, using)


def fold_live(cursor: Cursor, events: list[Recorded], batch: int) -> None:
    projection, table = Anythings(), Table(Anything, "live")
    for begin in range(0, len(events), batch):
        part = events[begin : begin + batch]
        projection.fold(cursor, table, [Work(key, one) for one in part for key in projection.keys(one)])


def rows(cursor: psycopg.Cursor[Any], schema: str) -> list[Any]:
    """As text, so that nothing is taken for equal that isn't."""
    table = sql.Identifier(schema, Anything._meta.db_table)
    return cursor.execute(sql.SQL("SELECT t::text FROM {} AS t ORDER BY key").format(table)).fetchall()


def any_events(random: Random, count: int) -> list[Recorded]:
    names = [f"key {number}" for number in range(30)]

    def any_event() -> Event:
        kind = random.random()
        if kind < 0.25:
            return Removed(key=random.choice(names))
        if kind < 0.5:
            return Changed(key=random.choice(names), column="text", value=f"a\tb\\{random.random()}\n")
        if kind < 0.6:
            return Changed(key=random.choice(names), column="whole", value=random.randrange(-9, 0))
        return Counted(keys=tuple(random.choices(names, k=random.randrange(4))))

    events = [recorded(position, any_event()) for position in range(1, count + 1)]
    return [one for one in events if not isinstance(one.event, Counted) or one.event.keys]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_rows_are_those_of_the_live_path(cursor, seed):
    random = Random(seed)
    events = any_events(random, 120)
    fold_live(cursor, events, random.randrange(1, 40))
    bulk = Bulk(Anythings(), Table(Anything, "bulk"), empty=random.random() < 0.5, capacity=random.choice([1, 5, 100]))
    waiting = iter(events)
    while bulk.fill(cursor, waiting, random.randrange(1, 20)).position is not None:
        if random.random() < 0.2:
            bulk = Bulk(Anythings(), Table(Anything, "bulk"))
    assert rows(cursor, "bulk") == rows(cursor, "live") != []


@pytest.mark.parametrize("bits", [8, KeyFilter.BITS])
@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_rows_that_left_memory_are_read_again(cursor, monkeypatch, chunk, bits):
    monkeypatch.setattr(KeyFilter, "BITS", bits)
    events = any_events(Random(99), 200)
    fold_live(cursor, events, 10)
    bulk = Bulk(Anythings(), Table(Anything, "bulk"), empty=True, capacity=3)
    for begin in range(0, len(events), chunk):
        bulk.fold(cursor, events[begin : begin + chunk])
        bulk.flush(cursor)
    assert rows(cursor, "bulk") == rows(cursor, "live") != []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "tab\t newline\n return\r backslash\\ \\N \\. quote\" apostrophe' {braces} ü 漢 🎟 \x01"),
        ("text", ""),
        ("text", "\\N"),
        ("text", "line\n\\.\nline"),
        ("text", "null"),
        ("text", Colour.RED),
        ("text", UUID(int=7)),
        ("text", NOON),
        ("text", Decimal("1.50")),
        ("text", True),
        ("text", 5),
        ("short", None),
        ("short", "a\\b"),
        ("id", UUID("01234567-89ab-cdef-0123-456789abcdef")),
        ("id", "01234567-89ab-cdef-0123-456789abcdef"),
        ("amount", Decimal("-12345678901234567.89")),
        ("amount", Decimal("1E+3")),
        ("amount", Decimal("0.005")),
        ("amount", 3),
        ("amount", 1.25),
        ("amount", "7.10"),
        ("whole", -(2**63)),
        ("share", 0.1),
        ("share", 1e300),
        ("share", float("nan")),
        ("share", None),
        ("sure", True),
        ("sure", False),
        ("at", datetime(2030, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)),
        ("at", datetime(1890, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        ("at", datetime(2030, 1, 1)),
        ("at", "2030-01-01T00:00:00+02:00"),
        ("day", date(2030, 2, 28)),
        ("hour", time(23, 59, 59, 1)),
        ("json", None),
        ("json", 'text\\ with " and \n and ü'),
        ("json", {"a": [1, 2.5, None, True], "b\t": "\\u0041", "c": {"d": Decimal("1.10"), "e": UUID(int=1)}}),
        ("json", ("a", Colour.RED, NOON)),
        ("json", 5),
        ("json", float("nan")),
        ("json", []),
        ("tags", ["a", "", "NULL", "null", 'quote"', "back\\slash", "comma,", "{brace}", "tab\t", "line\n", " ü "]),
        ("tags", [None, "a"]),
        ("tags", []),
        ("tags", None),
        ("grid", [[1, 2], [3, 4]]),
    ],
    ids=repr,
)
def test_a_value_arrives_as_it_does_on_the_live_path(cursor, column, value):
    events = [recorded(1, Changed(key="k\\", column=column, value=value))]
    fold_live(cursor, events, 1)
    bulk = Bulk(Anythings(), Table(Anything, "bulk"), empty=True)
    bulk.fold(cursor, events)
    bulk.flush(cursor)
    assert rows(cursor, "bulk") == rows(cursor, "live") != []


def test_a_handler_that_fails_leaves_the_table_as_it_was_and_may_be_followed_by_others(cursor):
    bulk = Bulk(Anythings(), Table(Anything, "bulk"), empty=True)
    bulk.fill(cursor, iter([recorded(1, Changed(key="a", column="whole", value=UNLUCKY))]), 10)
    before = rows(cursor, "bulk")
    with pytest.raises(ZeroDivisionError):
        bulk.fill(cursor, iter([recorded(2, Counted(keys=("b", "a")))]), 10)
    bulk = Bulk(Anythings(), Table(Anything, "bulk"))
    assert rows(cursor, "bulk") == before
    bulk.fill(cursor, iter([recorded(3, Changed(key="a", column="text", value="on"))]), 10)
    assert str(UNLUCKY) in rows(cursor, "bulk")[0][0]
    assert len(rows(cursor, "bulk")) == 1


def test_a_set_of_keys_contains_all_that_were_added_and_few_others():
    keys, others = [new_id() for _ in range(1_000)], [new_id() for _ in range(1_000)]
    found = KeyFilter()
    assert not found
    assert keys[0] not in found
    for key in keys:
        found.add(key)
    assert found
    assert all(key in found for key in keys)
    assert sum(key in found for key in others) < 10


def test_bulks_of_all_slices_fill_one_table_together(cursor):
    events = any_events(Random(5), 200)
    fold_live(cursor, events, 10)
    for index in range(3):
        assert rows(cursor, "bulk") != rows(cursor, "live")
        bulk = Bulk(Anythings(), Table(Anything, "bulk"), part=shard(index, 3))
        bulk.fill(cursor, iter(events), 1_000)
    assert rows(cursor, "bulk") == rows(cursor, "live") != []
