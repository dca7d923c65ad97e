"""A read model is rebuilt while people buy and others read it."""

import threading
import time
from contextlib import closing
from uuid import UUID

import pytest
from django.db import connection, connections

from eventstore import store
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from ordering.models import ConferenceSummary, OrderSummary
from projections import tasks
from projections.errors import NotRebuilding, RebuildRunning
from projections.models import Generation
from projections.rebuild import builder, generation_tables, generations
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.processes import clock, eventually, program, worker

pytestmark = pytest.mark.usefixtures("clean")

NAME = "order-summaries"


class Reader(threading.Thread):
    """Reads all rows again and again: none may go missing, none may show an earlier position than before."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[UUID, int] = {}
        self.reads = 0
        self.faults: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._read()
        except Exception as error:
            self.faults.append(repr(error))
        finally:
            connections.close_all()

    def _read(self) -> None:
        now = dict(OrderSummary.objects.values_list("order_id", "as_of"))
        self.reads += 1
        missing = self.seen.keys() - now.keys()
        fell = {key for key, as_of in self.seen.items() if now.get(key, as_of) < as_of}
        if missing or fell:
            self.faults.append(f"read {self.reads}: {len(missing)} missing, {len(fell)} fell")
        self.seen.update(now)
        time.sleep(0.002)

    def stop(self) -> None:
        self.stopping.set()
        self.join()


def rebuild():
    generation = generations.rebuild(NAME, requested_by="test")
    tasks.ring(generation)
    return generation.pk


def rebuild_while_ten_more_are_sold(sale):
    def sold():
        assert sale.process.poll() is None, sale.output
        return OrderSummary.objects.count()

    generation = rebuild()
    eventually(lambda: sold() and status(generation) == "live", 60)
    before = sold()
    eventually(lambda: sold() > before + 10)


def status(generation_id):
    return Generation.objects.get(pk=generation_id).status


def rows():
    """By the names of their columns, whose order a rebuild may change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(row) FROM ordering_ordersummary AS row ORDER BY order_id")
        return cursor.fetchall()


def sell(orders=3):
    conference = shop.conference_on_sale()
    for _ in range(orders):
        shop.pay(shop.order(shop.customer(), conference))


def build(generation_id):
    builder.complete(Generation.objects.get(pk=generation_id))


def build_and_hang_up(generation_id):
    build(generation_id)
    connections.close_all()


def test_readers_see_every_row_and_never_an_older_one_while_it_is_rebuilt_under_sale():
    sell()
    readers = [Reader() for _ in range(2)]
    with (
        worker(queues="live,effects"),
        worker(queues="rebuild", concurrency=1),
        clock(),
        program("manage.py", "simulate", "--orders", "100000", "--rate", "25") as sale,
    ):
        for reader in readers:
            reader.start()
        eventually(lambda: OrderSummary.objects.count() > 10)
        for _ in range(3):
            rebuild_while_ten_more_are_sold(sale)
    for reader in readers:
        reader.stop()
        assert reader.faults == []
        assert reader.reads > 50
    # The sale was killed, so its last events may not have been fed.
    feeding.catch_up(registry.of(Mode.SYNC))
    live = rows()
    generation = generations.rebuild(NAME)
    build(generation.pk)
    assert rows() == live
    assert OrderSummary.objects.count() == len(live) > 40


def test_a_rebuild_gives_the_same_rows_with_the_same_indexes_and_privileges():
    sell()
    before, catalogue = rows(), _catalogue()
    build(generations.rebuild(NAME).pk)
    assert rows() == before
    assert _catalogue() == catalogue


def test_a_table_is_filled_without_the_indexes_that_only_readers_need():
    sell()
    generation = made()
    assert _indexes(generation.schema) == ["ordering_ordersummary_pkey"]
    assert len(generation.indexes) == len(_indexes("public")) - 1 > 3


def test_a_worker_that_died_while_it_made_indexes_is_followed_by_one_that_makes_the_others():
    sell()
    catalogue = _catalogue()
    generation = made()
    with closing(raw.connect("owner")) as owner:
        owner.execute(generation_tables.missing_indexes(generation)[1])
        owner.commit()
    assert len(_indexes(generation.schema)) == 2
    build(generation.pk)
    assert status(generation.pk) == "live"
    assert _catalogue() == catalogue


def test_indexes_are_not_made_while_somebody_folds():
    sell()
    generation = made(parts=2)
    ours, theirs = generation.parts.all()
    with closing(raw.connect("owner")) as elsewhere:
        elsewhere.execute("SELECT FROM projections_part WHERE id = %s FOR UPDATE", [theirs.pk])
        assert not builder.build(ours.pk)
        assert len(_indexes(generation.schema)) == 1
    build(generation.pk)
    assert status(generation.pk) == "live"
    assert OrderSummary.objects.count() == 3


def test_what_is_only_compared_needs_no_indexes():
    sell()
    OrderSummary.objects.update(number="damaged")
    verified = builder.complete(generations.verify(NAME))
    assert (verified.status, verified.differing) == ("verified", 3)
    assert len(_indexes(verified.schema)) == 1


def test_what_was_damaged_is_mended():
    sell()
    whole = rows()
    OrderSummary.objects.all().delete()
    build(generations.rebuild(NAME).pk)
    assert rows() == whole


def test_only_one_rebuild_of_a_projection_runs_at_a_time():
    generations.rebuild(NAME)
    with pytest.raises(RebuildRunning):
        generations.rebuild(NAME)
    generations.rebuild("customer-profiles")


def test_a_cancelled_rebuild_leaves_nothing_behind():
    sell()
    live = rows()
    generation = generations.rebuild(NAME)
    generations.cancel(NAME)
    build(generation.pk)
    assert status(generation.pk) == "cancelled"
    assert rows() == live
    assert _schemas() == []
    with pytest.raises(NotRebuilding):
        generations.cancel(NAME)


def test_a_long_reader_postpones_the_swap_and_is_named():
    sell()
    generation = generations.rebuild(NAME)
    with closing(raw.connect(application_name="a long report")) as reader:
        reader.execute("SELECT * FROM ordering_ordersummary")
        swapping = threading.Thread(target=build_and_hang_up, args=(generation.pk,))
        swapping.start()
        named = eventually(lambda: Generation.objects.get(pk=generation.pk).waits_for)
        assert "a long report" in named
        sell(1)
        reader.rollback()
        swapping.join(60)
    assert status(generation.pk) == "live"
    assert OrderSummary.objects.count() == 4


def test_of_old_generations_only_the_last_is_kept():
    sell()
    for _ in range(3):
        build(generations.rebuild(NAME).pk)
    statuses = Generation.objects.order_by("-id").values_list("status", flat=True)
    assert sorted(statuses) == ["dropped", "dropped", "live", "old"]
    assert len(_schemas()) == 1


def test_a_projection_that_wants_other_events_is_fed_again_after_its_rebuild():
    sell()
    SubscriberRow.objects.filter(pk=NAME).update(types_hash="other", checkpoint=5)
    sell(1)
    assert OrderSummary.objects.count() == 3
    build(generations.rebuild(NAME).pk)
    assert OrderSummary.objects.count() == 4
    sell(1)
    assert OrderSummary.objects.count() == 5
    assert SubscriberRow.objects.get(pk=NAME).checkpoint == store.head()


def made(parts=1):
    """A generation whose table is there, still empty."""
    generation = generations.rebuild(NAME, parts=parts)
    builder.make(generation, generations.projection_named(NAME))
    return generation


def spoil(generation):
    """Makes a generation's table refuse every row."""
    builder.make(generation, generations.projection_named(generation.projection))
    with closing(raw.connect("owner")) as owner:
        owner.execute(f"ALTER TABLE {generation.schema}.ordering_conferencesummary ADD CHECK (name = '')")
        owner.commit()


def test_a_failing_rebuild_says_why_and_leaves_the_live_rows_alone(settings):
    settings.EVENTSTORE_HALT_AT = 1
    sell()
    live = ConferenceSummary.objects.count()
    generation = generations.rebuild("seat-availability")
    spoil(generation)
    build(generation.pk)
    failed = Generation.objects.get(pk=generation.pk)
    assert failed.status == "failed"
    assert "CheckViolation" in failed.error
    assert ConferenceSummary.objects.count() == live
    assert not ParkedEvent.objects.exists()
    assert _schemas() == []


def test_what_a_rebuild_cannot_fold_is_parked_with_its_key():
    conference = shop.conference_on_sale()
    generation = generations.rebuild("seat-availability")
    spoil(generation)
    shop.order(shop.customer(), conference)
    build(generation.pk)
    assert status(generation.pk) == "live"
    parked = ParkedEvent.objects.filter(subscriber="seat-availability")
    assert set(parked.values_list("key", flat=True)) == {str(conference)}
    assert "CheckViolation" in parked.earliest("position").error
    assert not ParkedEvent.objects.exclude(subscriber="seat-availability").exists()
    # And the next one mends it, table and all.
    build(generations.rebuild("seat-availability").pk)
    assert not ParkedEvent.objects.filter(subscriber="seat-availability").exists()
    assert ConferenceSummary.objects.count() == 1


def _catalogue():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE schemaname = 'public' AND tablename = 'ordering_ordersummary'"
            " UNION ALL SELECT grantee, privilege_type FROM information_schema.role_table_grants"
            " WHERE table_schema = 'public' AND table_name = 'ordering_ordersummary'"
            " UNION ALL SELECT tableowner, '' FROM pg_tables WHERE tablename = 'ordering_ordersummary'"
            " AND schemaname = 'public'"
        )
        return sorted(cursor.fetchall())


def _indexes(schema):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = 'ordering_ordersummary'", [schema]
        )
        return sorted(name for (name,) in cursor.fetchall())


def _schemas():
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'generation%'")
        return cursor.fetchall()
