"""What generations are for: to be swapped in and back, compared, and copied from, by any number of processes."""

import threading
import time
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from eventstore import advisory_locks, store
from eventstore.context import new_id
from eventstore.models import ParkedEvent, SkippedRange, SubscriberRow
from eventstore.operations.subscribers import Pause, Reshard, Resume, Skip
from eventstore.store import Changes
from eventstore.subscriptions import feeding, hash_ranges
from eventstore.subscriptions.gaps import gaps
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import discard
from eventstore.subscriptions.subscriber import Mode
from ordering.domain.customer import CustomerRegistered
from ordering.models import CustomerProfile, OrderSummary
from projections import tasks
from projections.errors import (
    NoSuchGeneration,
    NoSuchKey,
    NotRebuilding,
    OtherCode,
    RebuildRunning,
)
from projections.models import Difference, Generation, Part
from projections.operations import Rebuild, Repair, RollBack, Verify
from projections.rebuild import builder, generation_tables, generations, swap, verification
from projections.rebuild.builder import Builder, StepOutcome
from projections.status import projection_statuses, rebuild_issues
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.processes import clock, eventually, program, worker

pytestmark = pytest.mark.usefixtures("clean")

NAME, TABLE, CUSTOMERS = "order-summaries", "ordering_ordersummary", "customer-profiles"
complete = builder.complete


def sell(orders=4):
    conference = shop.conference_on_sale(1000)
    sold = [shop.order(shop.customer(), conference) for _ in range(orders)]
    for order in sold:
        shop.pay(order)
    return sold


def register_many(number):
    """Customers, without feeding anybody."""
    for _ in range(number // store.MOST_EVENTS):
        changes = []
        for _ in range(store.MOST_EVENTS):
            customer = new_id()
            event = CustomerRegistered(customer_id=customer, name="Ada", email=f"{customer.hex}@example.org")
            changes.append(Changes(stream_id=customer, category="customer", expected=0, events=[event]))
        with transaction.atomic():
            store.append(*changes)
    registry.make_rows()


def rows():
    return list(OrderSummary.objects.order_by("pk").values())


def live():
    return SubscriberRow.objects.get(pk=NAME)


def again(generation):
    generation.refresh_from_db()
    return generation


def is_over(generation):
    return again(generation).status != "building"


def made_schemas():
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'generation%' ORDER BY 1")
        return [schema for (schema,) in cursor.fetchall()]


def differences(generation):
    return {each.key: (each.kind, each.columns) for each in Difference.objects.filter(generation=generation)}


def failed(key, position):
    """An event of the live rows that could not be applied, as feeding parks it."""
    ParkedEvent.objects.create(subscriber=NAME, key=key, position=position, error="ValueError")


def damage(sold):
    """One row of each kind of damage; answers the key of the row that nobody ordered."""
    OrderSummary.objects.filter(pk=sold[0]).update(total=Decimal(1), status="refused")
    OrderSummary.objects.filter(pk=sold[1]).delete()
    strange = OrderSummary.objects.get(pk=sold[2])
    strange.pk = UUID(int=1)
    strange.save(force_insert=True)
    return strange.pk


# Rebuilding


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_a_rebuild_in_parts_gives_the_same_rows(parts):
    sell()
    before = rows()
    generation = complete(generations.rebuild(NAME, parts=parts))
    assert (generation.status, generation.parts.count()) == ("live", parts)
    assert rows() == before


def test_a_part_is_folded_while_another_worker_holds_the_other():
    sell()
    generation = generations.rebuild(NAME, parts=2)
    builder.make(generation, generations.projection_named(NAME))
    first, second = generation.parts.all()
    with closing(raw.connect("owner")) as other:
        other.execute("SELECT FROM projections_part WHERE id = %s FOR UPDATE", [first.pk])
        assert builder.Builder(first.pk).step() is builder.StepOutcome.ELSEWHERE
        # Who folds a part holds that part alone.
        other.execute("SELECT FROM projections_generation WHERE id = %s FOR UPDATE", [generation.pk])
        assert builder.Builder(second.pk).step() is builder.StepOutcome.CAUGHT_UP


def test_several_processes_fold_parts_side_by_side_and_others_go_on_when_they_die():
    register_many(8_000)
    generation = generations.rebuild(CUSTOMERS, parts=4, throttle=100)
    with worker(queues="rebuild", concurrency=1) as first, worker(queues="rebuild", concurrency=1) as second, clock():
        tasks.ring(generation)
        eventually(lambda: generation.parts.exclude(built_by="").values("built_by").distinct().count() > 1, 60)
        first.kill()
        second.kill()
    assert again(generation).status == "building"
    reached = dict(generation.parts.values_list("pk", "checkpoint"))
    assert max(reached.values()) > 0
    generations.set_throttle(CUSTOMERS, None)
    with worker(queues="rebuild"), clock():
        eventually(lambda: again(generation).status == "live", 60)
    assert CustomerProfile.objects.count() == 8_000
    assert sum(generation.parts.values_list("processed", flat=True)) == 8_000


def test_under_sale_a_verification_finds_no_difference():
    sell()
    with (
        worker(queues="live,effects"),
        worker(queues="rebuild", concurrency=2),
        clock(),
        program("manage.py", "simulate", "--orders", "100000", "--rate", "25"),
    ):
        for _ in range(5):
            generation = generations.verify(NAME)
            tasks.ring(generation)
            eventually(partial(is_over, generation), 60)
            assert (generation.status, differences(generation)) == ("verified", {})
        sold = OrderSummary.objects.count()
        eventually(lambda: OrderSummary.objects.count() > sold)


def test_a_throttled_part_takes_its_time():
    sell(2)
    generation = generations.rebuild(NAME, throttle=8)
    filler, begun = Builder(generation.parts.get().pk), time.monotonic()
    filler.step()
    assert time.monotonic() - begun > filler.part.processed / 8 - 0.1 > 0.5
    filler.close()


def test_another_worker_goes_on_in_the_middle_of_a_part():
    sell()
    before = rows()
    generation = generations.rebuild(NAME, throttle=3)
    part = generation.parts.get()
    killed = Builder(part.pk)
    assert killed.step() is StepOutcome.MORE
    killed.close()
    part.refresh_from_db()
    assert 0 < part.checkpoint < store.head()
    generations.set_throttle(NAME, None)
    assert complete(generation).status == "live"
    assert rows() == before


def test_two_workers_never_fold_one_part_at_once():
    sell()
    generation = generations.rebuild(NAME)
    part = generation.parts.get()
    with closing(raw.connect("owner")) as other:
        other.execute("SELECT * FROM projections_part WHERE id = %s FOR UPDATE", [part.pk])
        filler = Builder(part.pk)
        assert filler.step() is StepOutcome.ELSEWHERE
        other.rollback()
        assert filler.step() is not StepOutcome.ELSEWHERE
        filler.close()


@pytest.mark.parametrize("purpose", ["rebuild", "verify", "repair", "rollback"])
def test_whatever_is_folded_can_be_cancelled(purpose):
    sold = sell()
    complete(generations.rebuild(NAME))
    OrderSummary.objects.filter(pk=sold[0]).update(total=1)
    complete(generations.verify(NAME))
    before, kept = rows(), made_schemas()
    begin = {"rebuild": Rebuild, "verify": Verify, "repair": Repair, "rollback": RollBack}[purpose]
    begin(target=NAME).carry_out(by="test", reason="test")
    generation = Generation.objects.get(status="building")
    with pytest.raises(NotRebuilding):
        generations.cancel(NAME, "live")
    generations.cancel(NAME, purpose)
    complete(generation)
    assert generation.status == ("old" if purpose == "rollback" else "cancelled")
    assert rows() == before
    expected = set(kept) - ({generation.schema} if purpose == "repair" else set())
    assert set(made_schemas()) == expected


def test_a_cancelled_generation_gets_no_tables_any_more():
    sell()
    generation = generations.rebuild(NAME)
    late = Generation.objects.get(pk=generation.pk)
    generations.cancel(NAME)
    complete(generation)
    builder.make(late, generations.projection_named(NAME))
    assert not late.made
    assert made_schemas() == []


def test_what_became_of_the_last_generation_is_told_whatever_the_clock_of_who_ended_the_one_before(monkeypatch):
    sell(1)
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(hours=1))
    cancelled = generations.rebuild(NAME)
    generations.cancel(NAME)
    complete(cancelled)
    monkeypatch.setattr(timezone, "now", right)
    last = complete(generations.rebuild(NAME))
    assert Rebuild(target=NAME).result().told == {"generation": last.pk, "status": "live", "error": ""}


def test_what_waits_for_one_who_holds_the_subscribers_row_names_him(monkeypatch):
    monkeypatch.setattr(swap, "WITHIN", 0.5)
    sold = sell()
    for generation in (generations.verify(NAME), generations.rebuild_keys(NAME, [str(sold[0])])):
        with closing(raw.connect(application_name="a debugger")) as holder:
            holder.execute("SELECT * FROM eventstore_subscriber FOR UPDATE")
            builder.build(generation.parts.get().pk)
            assert "a debugger" in again(generation).waits_for
            holder.rollback()
        assert complete(generation).status in ("verified", "repaired")
        assert generation.waits_for == ""


# Discarded, skipped, parked


def test_what_was_discarded_is_left_out_of_rebuilds():
    sold = sell(2)
    confirmed = OrderSummary.objects.get(pk=sold[0])
    failed(str(sold[0]), confirmed.as_of)
    discard(NAME, str(sold[0]), [confirmed.as_of], reason="test", by="test")
    complete(generations.rebuild(NAME))
    left = OrderSummary.objects.get(pk=sold[0])
    assert left.as_of < confirmed.as_of
    assert (confirmed.status, left.status) == ("confirmed", "awaiting_payment")
    assert complete(generations.verify(NAME)).differing == 0


def test_what_is_discarded_while_it_is_folded_makes_it_begin_again():
    sold = sell(2)
    generation = generations.rebuild(NAME)
    position = OrderSummary.objects.get(pk=sold[0]).as_of
    filler = Builder(generation.parts.get().pk)
    filler.step()
    filler.close()
    failed(str(sold[0]), position)
    discard(NAME, str(sold[0]), [position], reason="test", by="test")
    complete(generation)
    assert generation.status == "failed"
    assert "begin again" in generation.error
    complete(generations.rebuild(NAME))
    assert OrderSummary.objects.get(pk=sold[0]).as_of < position


def skip_the_next(work):
    Pause(target=NAME).carry_out(by="test", reason="")
    work()
    Skip(target=NAME, upto=store.head()).carry_out(by="test", reason="test")
    Resume(target=NAME).carry_out(by="test", reason="")


def test_a_skipped_range_disappears_with_a_rebuild_and_comes_back_with_a_rollback():
    sell(1)
    skip_the_next(lambda: sell(1))
    (gap,) = gaps(NAME).ranges
    assert (gap.why, OrderSummary.objects.count()) == ("skipped", 1)
    complete(generations.rebuild(NAME))
    assert (gaps(NAME).ranges, OrderSummary.objects.count()) == ([], 2)
    complete(generations.roll_back(NAME))
    assert (list(gaps(NAME).ranges), OrderSummary.objects.count()) == ([gap], 1)
    complete(generations.rebuild(NAME))
    assert (gaps(NAME).ranges, OrderSummary.objects.count()) == ([], 2)
    complete(generations.rebuild(NAME))
    assert not SkippedRange.objects.exists()


def test_parked_events_go_and_come_back_with_their_rows():
    sold = sell(2)
    failed(str(sold[0]), store.head())
    complete(generations.rebuild(NAME))
    assert not ParkedEvent.objects.filter(subscriber=NAME).exists()
    complete(generations.roll_back(NAME))
    assert ParkedEvent.objects.get(subscriber=NAME).key == str(sold[0])


# Verifying and repairing


def test_a_verification_names_every_missing_extra_and_differing_row_column_by_column():
    sold = sell()
    strange = damage(sold)
    generation = complete(generations.verify(NAME))
    assert (generation.status, generation.differing, generation.compared) == ("verified", 3, 4)
    found = differences(generation)
    assert found.keys() == {str(sold[0]), str(sold[1]), str(strange)}
    kind, columns = found[str(sold[0])]
    assert (kind, columns) == ("differs", {"total": [1.0, 99.5], "status": ["refused", "confirmed"]})
    assert found[str(sold[1])][0] == "missing"
    assert found[str(sold[1])][1]["total"] == [None, 99.5]
    assert found[str(strange)][0] == "extra"
    assert found[str(strange)][1]["total"] == [99.5, None]


def test_a_verification_of_one_key_or_of_a_slice_looks_at_nothing_else():
    sold = sell(6)
    OrderSummary.objects.update(total=1)
    generation = complete(generations.verify(NAME, keys=[str(sold[0])]))
    assert set(differences(generation)) == {str(sold[0])}
    half = hash_ranges.share(0, 0.5)
    generation = complete(generations.verify(NAME, only=half))
    assert set(differences(generation)) == {str(order) for order in sold if half.holds(order)}


def test_a_difference_that_parked_events_explain_says_so():
    sold = sell(2)
    OrderSummary.objects.update(total=1)
    failed(str(sold[0]), store.head())
    generation = complete(generations.verify(NAME))
    explained = dict(Difference.objects.filter(generation=generation).values_list("key", "parked"))
    assert explained == {str(sold[0]): True, str(sold[1]): False}


def test_what_is_fed_while_rows_are_compared_is_no_difference(monkeypatch):
    sell()
    record = verification._record

    def record_after_a_sale(*arguments):
        Beside(lambda: sell(1)).outcome()
        record(*arguments)

    monkeypatch.setattr(verification, "_record", record_after_a_sale)
    generation = complete(generations.verify(NAME))
    assert (generation.differing, generation.compared) == (0, 4)


def test_a_key_is_verified_however_it_is_written_and_none_that_there_cannot_be():
    (sold,) = sell(1)
    OrderSummary.objects.update(total=1)
    generation = complete(generations.verify(NAME, keys=[str(sold).upper()]))
    assert (generation.differing, generation.compared) == (1, 1)
    with pytest.raises(NoSuchKey):
        generations.verify(NAME, keys=["no id"])


def told():
    return [(trouble.kind, trouble.text) for trouble in rebuild_issues() if trouble.about == NAME]


def test_a_difference_is_trouble_until_it_is_gone_whatever_else_is_verified():
    sold = sell()
    damage(sold[:3])
    generation = complete(generations.verify(NAME))
    differing = ("differs", "has 3 rows that differ from their events")
    assert told() == [differing]
    assert complete(generations.verify(NAME, keys=[str(sold[3])])).differing == 0
    generations.rebuild(NAME)
    generations.cancel(NAME)
    complete(Generation.objects.latest("id"))
    assert told() == [differing]
    (status,) = [each for each in projection_statuses() if each.name == NAME]
    assert [each.differing for each in status.verified] == [0, 3]
    assert status.verified[1] == generation
    assert complete(generations.repair(NAME)).status == "repaired"
    assert told() == []


def test_a_verification_that_failed_is_trouble_until_another_went_well():
    sell()
    generation = generations.verify(NAME)
    swap.fail(generation, generations.projection_named(NAME), "the key of an event can't be told")
    assert told() == [("verify", "could not be verified: the key of an event can't be told")]
    complete(generations.verify(NAME))
    assert told() == []


def test_who_ends_a_generation_that_was_given_up_meanwhile_leaves_it_be(monkeypatch):
    sell()
    generation, projection = generations.rebuild(NAME), generations.projection_named(NAME)
    builder.make(generation, projection)
    filler = Builder(generation.parts.get().pk)
    while filler.step() is StepOutcome.MORE:
        pass
    filler.close()
    swap.cancel(again(generation), projection)
    monkeypatch.setattr(swap, "WITHIN", 300.0)
    generation.status, begun = "building", time.monotonic()
    assert swap._try(generation, projection, lambda: swap._swap(generation, projection, "owner"))
    assert time.monotonic() - begun < 100
    assert (again(generation).status, generation.waits_for) == ("cancelled", "")


def test_mending_applies_exactly_the_differences_and_what_came_since():
    sold = sell()
    before = {row["order_id"]: row for row in rows()}
    damage(sold)
    complete(generations.verify(NAME))
    OrderSummary.objects.filter(pk=sold[3]).update(total=2)
    more = sell(1)
    mended = complete(generations.repair(NAME))
    assert mended.status == "repaired"
    after = {row["order_id"]: row for row in rows()}
    assert after.keys() == {*sold, *more}
    assert all(after[order] == before[order] for order in sold[:3])
    assert after[sold[3]]["total"] == 2
    assert made_schemas() == []
    with pytest.raises(NoSuchGeneration):
        generations.repair(NAME)


def test_without_a_difference_nothing_is_kept_and_nothing_can_be_mended():
    sell(2)
    assert complete(generations.verify(NAME)).differing == 0
    assert made_schemas() == []
    with pytest.raises(NoSuchGeneration):
        generations.repair(NAME)


def test_a_sample_without_a_difference_does_not_hide_what_a_whole_verification_found():
    sold = sell()
    OrderSummary.objects.filter(pk=sold[0]).update(total=1)
    whole = complete(generations.verify(NAME))
    complete(generations.verify(NAME, keys=[str(sold[1])]))
    assert complete(generations.repair(NAME)).pk == whole.pk
    assert complete(generations.verify(NAME)).differing == 0
    assert made_schemas() == []


def test_of_verifications_that_differ_only_the_last_is_kept():
    sold = sell()
    OrderSummary.objects.filter(pk=sold[0]).update(total=1)
    for _ in range(3):
        last = complete(generations.verify(NAME))
    assert made_schemas() == [last.schema]
    complete(generations.rebuild(NAME))
    assert last.schema not in made_schemas()


def test_one_key_is_rebuilt_alone_with_what_is_parked_of_it():
    sold = sell()
    before = rows()
    OrderSummary.objects.filter(pk__in=sold[:2]).update(total=1)
    failed(str(sold[0]), store.head())
    failed(str(sold[1]), store.head())
    assert complete(generations.rebuild_keys(NAME, [str(sold[0])])).status == "repaired"
    totals = dict(OrderSummary.objects.values_list("pk", "total"))
    assert [totals[order] for order in sold[:2]] == [shop.PRICE.amount, 1]
    assert list(ParkedEvent.objects.values_list("key", flat=True)) == [str(sold[1])]
    complete(generations.rebuild_keys(NAME, [str(sold[1]).upper()]))
    assert rows() == before


def test_a_key_that_no_row_can_have_is_refused():
    sell(1)
    with pytest.raises(NoSuchKey):
        generations.rebuild_keys(NAME, ["order 5"])


def test_no_row_is_mended_while_events_wait_under_their_stream():
    sold = sell(1)
    failed(f"stream {sold[0]}", store.head())
    generation = complete(generations.rebuild_keys(NAME, [str(sold[0])]))
    assert generation.status == "failed"
    assert "resolve them first" in generation.error


def test_under_sale_one_key_is_rebuilt_and_a_verification_finds_nothing():
    sold = sell()
    with program("manage.py", "simulate", "--orders", "100000", "--rate", "25"):
        begun = OrderSummary.objects.count()
        eventually(lambda: OrderSummary.objects.count() > begun + 5, 60)
        for order in sold:
            OrderSummary.objects.filter(pk=order).update(total=1)
            assert complete(generations.rebuild_keys(NAME, [str(order)])).status == "repaired"
            generation = complete(generations.verify(NAME))
            assert (generation.status, differences(generation)) == ("verified", {})
        assert OrderSummary.objects.count() > begun + 5


def test_who_has_caught_up_does_not_fold_the_rest_while_nobody_can_feed(monkeypatch):
    """Of two parts one has caught up, the other is far behind: it is not to be compared yet."""
    monkeypatch.setattr(swap, "NEAR", 3)
    name = "sales-by-day"
    sell()
    registry.make_rows()
    Reshard(target=name, shards=2).carry_out(by="test", reason="")
    for row in SubscriberRow.objects.filter(subscriber=name):
        feeding.catch_up([registry[row.name]])
    generation = generations.verify(name)
    first, second = generation.parts.all()
    assert not builder.build(first.pk)
    second.refresh_from_db()
    assert (again(generation).status, second.checkpoint) == ("building", 0)
    assert builder.build(second.pk)
    assert (again(generation).status, generation.differing) == ("verified", 0)


def test_a_split_in_the_middle_fails_what_was_to_be_compared():
    name = "sales-by-day"
    sell()
    registry.make_rows()
    generation = generations.verify(name)
    Reshard(target=name, shards=2).carry_out(by="test", reason="")
    assert complete(generation).status == "failed"
    assert "begin again" in generation.error


def test_a_generation_is_compared_by_one_worker_at_a_time():
    sell()
    generation = generations.verify(NAME)

    def build():
        try:
            complete(Generation.objects.get(pk=generation.pk))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (complete(generation).status, generation.differing) == ("verified", 0)


def test_one_worker_at_a_time_ends_what_several_have_folded():
    sell()
    generation = generations.rebuild(NAME, parts=2)
    with closing(raw.connect("owner", autocommit=True)) as other:
        other.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [advisory_locks.GENERATION_END, str(generation.pk)])
        for part in generation.parts.all():
            assert not builder.build(part.pk)
        assert again(generation).status == "building"
        assert generation_tables.missing_indexes(generation)
    assert complete(generation).status == "live"


def test_samples_are_verified_by_the_clock():
    sell()
    OrderSummary.objects.update(total=1)
    tasks.verify_samples()
    tasks.verify_samples()
    asked = Generation.objects.filter(purpose="verify", requested_by="schedule")
    assert asked.count() == len([each for each in registry if hasattr(each, "model")])
    for generation in asked:
        assert not generation.whole
        complete(generation)
        assert generation.status == "verified"


# Rolling back


def test_a_rollback_is_caught_up_first_and_can_itself_be_rolled_back():
    sell(2)
    first = complete(generations.rebuild(NAME))
    sell(1)
    whole = rows()
    back = complete(generations.roll_back(NAME))
    assert back.status == "live"
    assert back.pk != first.pk
    assert rows() == whole
    sell(1)
    whole = rows()
    assert complete(generations.roll_back(NAME)).pk == first.pk
    assert rows() == whole
    assert live().checkpoint == store.head()


def test_a_cancelled_rollback_keeps_the_former_rows():
    sell(2)
    complete(generations.rebuild(NAME))
    generation = generations.roll_back(NAME)
    with pytest.raises(RebuildRunning):
        generations.rebuild(NAME)
    generations.cancel(NAME)
    assert complete(generation).status == "old"
    sell(1)
    assert complete(generations.roll_back(NAME)).status == "live"
    assert OrderSummary.objects.count() == 3


def test_there_is_no_way_back_to_rows_of_other_code():
    sell(1)
    complete(generations.rebuild(NAME))
    for other in ({"version": 99}, {"types_hash": "other"}, {"fingerprint": "other"}):
        Generation.objects.filter(status="old").update(version=1, types_hash=live().types_hash, fingerprint="")
        Generation.objects.filter(status="old").update(**other)
        with pytest.raises(OtherCode):
            generations.roll_back(NAME)
        with pytest.raises(OtherCode):
            RollBack(target=NAME).preview()


# Other code


def test_an_older_process_neither_folds_a_newer_generation_nor_feeds_its_rows():
    sell(1)
    generation = generations.rebuild(NAME)
    Generation.objects.filter(pk=generation.pk).update(version=generation.version + 1)
    filler = Builder(generation.parts.get().pk)
    assert filler.step() is StepOutcome.ELSEWHERE
    filler.close()
    assert Part.objects.get(generation=generation).checkpoint == 0
    SubscriberRow.objects.filter(pk=NAME).update(version=generation.version + 1)
    before = live().checkpoint
    sell(1)
    feeding.catch_up(registry.of(Mode.SYNC))
    assert live().checkpoint == before


def test_rows_of_other_code_are_not_mended_but_rebuilt():
    sold = sell(1)
    OrderSummary.objects.update(total=1)
    complete(generations.verify(NAME))
    SubscriberRow.objects.filter(pk=NAME).update(types_hash="other")
    with pytest.raises(OtherCode):
        generations.repair(NAME)
    with pytest.raises(OtherCode):
        generations.rebuild_keys(NAME, [str(sold[0])])
    complete(generations.rebuild(NAME))
    assert OrderSummary.objects.get().total == shop.PRICE.amount


def test_what_other_code_verified_is_verified_again_before_it_is_mended():
    sell(1)
    OrderSummary.objects.update(total=1)
    verified = complete(generations.verify(NAME))
    Generation.objects.filter(pk=verified.pk).update(fingerprint="other")
    with pytest.raises(OtherCode):
        generations.repair(NAME)


def test_an_error_at_the_end_fails_the_generation_instead_of_returning_for_ever():
    sell(1)
    complete(generations.rebuild(NAME))
    old = Generation.objects.get(status="old")
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(f"CREATE VIEW report AS SELECT * FROM {old.schema}.{TABLE}")
        try:
            generation = complete(generations.rebuild(NAME))
            assert generation.status == "failed"
            assert generation.error.startswith("DependentObjectsStillExist")
        finally:
            owner.execute("DROP VIEW report")
    assert complete(generations.rebuild(NAME)).status == "live"
