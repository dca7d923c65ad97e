"""What a rebuild must never do to those who read, feed and depend on the live table meanwhile."""

from contextlib import closing, contextmanager

import psycopg
import pytest
from django.db import connection, transaction

from eventstore import store
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.operations.base import perform
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.models import OrderSummary
from projections.checks import swappable
from projections.errors import DependedOn
from projections.models import Generation
from projections.operations import Rebuild, RollBack
from projections.rebuild import builder, generations
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.probes import waiting_for
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("clean")

NAME, TABLE = "order-summaries", "ordering_ordersummary"


def sell(orders=3):
    conference = shop.conference_on_sale()
    for _ in range(orders):
        shop.pay(shop.order(shop.customer(), conference))


def rebuilt():
    return builder.complete(generations.rebuild(NAME))


def fetch(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def as_owner(*statements):
    with closing(raw.connect("owner", autocommit=True)) as owner:
        for statement in statements:
            owner.execute(statement)


@contextmanager
def altered(there, back):
    """The table as an owner made it, until it is put back."""
    as_owner(there)
    try:
        yield
    finally:
        as_owner(back)


def made():
    """A generation whose table is there, and still empty."""
    generation = generations.rebuild(NAME)
    builder.make(generation, generations.projection_named(NAME))
    return generation


def test_a_swap_reads_to_where_the_live_rows_stand_though_the_horizon_fell_back():
    sell()
    live = fetch(f"SELECT to_jsonb(row) FROM {TABLE} AS row ORDER BY order_id")
    stood = SubscriberRow.objects.get(pk=NAME).checkpoint
    with closing(raw.connect()) as held_up:
        raw.announce(held_up, 0)
        assert store.horizon() == 0
        assert rebuilt().status == "live"
    assert SubscriberRow.objects.get(pk=NAME).checkpoint == stood
    sell(1)
    assert fetch(f"SELECT to_jsonb(row) FROM {TABLE} AS row WHERE as_of <= %s ORDER BY order_id", stood) == live
    assert OrderSummary.objects.count() == 4


def test_what_is_rolled_back_in_a_generation_never_leads_it_into_the_live_table():
    """The row of a bad event is rolled back to a savepoint, and with it whatever else was set since."""
    sell()
    before = fetch(f"SELECT xmin, ctid, order_id FROM {TABLE} ORDER BY order_id")
    generation = made()
    bad = OrderSummary.objects.earliest("as_of").order_id
    as_owner(f"ALTER TABLE {generation.schema}.{TABLE} ADD CHECK (order_id <> '{bad}')")
    part = generation.parts.get()
    while builder.Builder(part.pk).step() is builder.StepOutcome.MORE:
        pass
    assert set(ParkedEvent.objects.values_list("subscriber", "key")) == {(generation.parked_as, str(bad))}
    assert fetch(f"SELECT xmin, ctid, order_id FROM {TABLE} ORDER BY order_id") == before
    assert fetch(f"SELECT count(*) FROM {generation.schema}.{TABLE}") == [(len(before) - 1,)]


def test_the_new_table_has_statistics_from_its_first_moment_and_may_be_read_by_whom_the_old_one_was_open_to():
    sell()
    with altered(f"GRANT SELECT ON {TABLE} TO PUBLIC", f"REVOKE SELECT ON {TABLE} FROM PUBLIC"):
        assert rebuilt().status == "live"
        granted = "SELECT privilege_type FROM information_schema.table_privileges WHERE grantee = 'PUBLIC'"
        assert fetch(f"{granted} AND table_schema = 'public' AND table_name = %s", TABLE) == [("SELECT",)]
    assert fetch("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", TABLE) == [(3.0,)]
    known = fetch("SELECT attname FROM pg_stats WHERE schemaname = 'public' AND tablename = %s", TABLE)
    columns = {field.column for field in OrderSummary._meta.concrete_fields}
    assert {name for (name,) in known} == columns - {"lines", "payments", "change"}  # which are JSON


@pytest.mark.parametrize(("level", "seen"), [("READ COMMITTED", 3), ("REPEATABLE READ", 0)])
def test_whoever_began_to_read_before_the_rebuild_sees_its_rows_only_if_each_statement_looks_anew(level, seen):
    """The rows of the new table are younger than the snapshot, and the old table is no longer under this name."""
    sell()
    with closing(raw.connect()) as reader:
        reader.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        reader.execute("SELECT count(*) FROM eventstore_subscriber")
        assert rebuilt().status == "live"
        assert reader.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (seen,)


def test_readers_see_the_newest_of_each_statement():
    with transaction.atomic():
        assert fetch("SHOW transaction_isolation") == [("read committed",)]


@pytest.fixture
def number_is_text_again():
    yield
    as_owner(f"ALTER TABLE {TABLE} ALTER COLUMN number TYPE text")


@pytest.mark.usefixtures("number_is_text_again")
def test_readers_and_feeders_live_through_a_column_whose_type_is_another_after_the_swap():
    """A statement that was prepared before would fail from then on, again and again."""
    sell()
    generation = made()
    as_owner(f"ALTER TABLE {generation.schema}.{TABLE} ALTER COLUMN number TYPE varchar(60)")
    with closing(raw.connect(autocommit=True)) as preparing:
        preparing.execute(f"SELECT number FROM {TABLE}", prepare=True)
        for _ in range(10):  # so often that whatever prepares by itself has done so
            read = sorted(OrderSummary.objects.values_list("number", flat=True))
        assert builder.complete(generation).status == "live"
        for _ in range(2):
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                preparing.execute(f"SELECT number FROM {TABLE}", prepare=True)
    assert sorted(OrderSummary.objects.values_list("number", flat=True)) == read
    sell(1)
    SubscriberRow.objects.update(retry_at=None)
    feeding.catch_up(registry.of(Mode.SYNC))
    assert OrderSummary.objects.filter(status="confirmed").count() == 4
    assert SubscriberRow.objects.get(pk=NAME).failures == 0


def test_of_a_swap_and_a_reader_that_wait_for_each_other_the_swap_steps_back():
    sell()
    generation = made()
    with closing(raw.connect()) as reader:
        reader.execute(f"SELECT count(*) FROM {TABLE}")
        swapping = Beside(lambda: builder.complete(generation))
        eventually(lambda: waiting_for("SET SCHEMA"))
        # It holds the subscriber's row now, and wants the table that this reader holds.
        reader.execute("SET LOCAL lock_timeout = '700ms'")
        reader.execute("SELECT FROM eventstore_subscriber WHERE name = %s FOR NO KEY UPDATE", [NAME])
        reader.rollback()
    assert swapping.outcome(60) is None
    assert Generation.objects.get(pk=generation.pk).status == "live"


def test_while_maintenance_keeps_a_swap_waiting_everybody_else_goes_on():
    """So much longer than a reader may wait that autovacuum gives way."""
    sell()
    generation = made()
    with closing(raw.connect("owner")) as maintenance:
        maintenance.execute(f"LOCK TABLE {TABLE} IN SHARE UPDATE EXCLUSIVE MODE")
        swapping = Beside(lambda: builder.complete(generation))
        eventually(lambda: waiting_for(f'LOCK TABLE "public"."{TABLE}"'))
        sell(1)
        assert OrderSummary.objects.filter(status="confirmed").count() == 4
        assert Generation.objects.get(pk=generation.pk).status == "building"
        maintenance.rollback()
    assert swapping.outcome(60) is None
    assert Generation.objects.get(pk=generation.pk).status == "live"
    assert OrderSummary.objects.filter(status="confirmed").count() == 4


HANGS_ON = {
    "view all_orders": (f"CREATE VIEW all_orders AS SELECT order_id FROM {TABLE}", "DROP VIEW all_orders"),
    "trigger watches": (
        f"CREATE TRIGGER watches BEFORE UPDATE ON {TABLE} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        f"DROP TRIGGER watches ON {TABLE}",
    ),
    "foreign key noted_order": (
        f"CREATE TABLE noted (order_id uuid CONSTRAINT noted_order REFERENCES {TABLE})",
        "DROP TABLE noted",
    ),
}


@pytest.mark.parametrize("what", HANGS_ON)
def test_a_table_that_something_hangs_on_is_not_swapped_away_under_it(what):
    sell(1)
    rebuilt()
    with altered(*HANGS_ON[what]):
        for operation in (Rebuild(target=NAME), RollBack(target=NAME)):
            with pytest.raises(DependedOn, match=what):
                perform(operation, by="anna", reason="a test")
        assert not Generation.objects.filter(status="building").exists()
        assert [error.id for error in swappable(["default"])] == ["projections.E014"]
    assert swappable(["default"]) == []


def test_a_generation_that_somebody_came_to_depend_on_is_not_dropped_under_them():
    sell()
    old = rebuilt()
    assert rebuilt().status == "live"
    old.refresh_from_db()
    assert old.status == "old"
    with altered(f"CREATE VIEW depending AS SELECT * FROM {old.schema}.{TABLE}", "DROP VIEW depending"):
        with pytest.raises(psycopg.errors.DependentObjectsStillExist), transaction.atomic("owner"):
            generations.discard(old, generations.projection_named(NAME), "dropped")
        assert fetch("SELECT count(*) FROM pg_views WHERE viewname = 'depending'") == [(1,)]
