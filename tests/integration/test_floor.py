"""The program that commands are measured beside does what a command does; and who does less is found out."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from benchmarks import floor, writers
from benchmarks.clients import Done, Turn
from benchmarks.errors import BenchmarkFailed
from benchmarks.renamed import Judge
from benchmarks.rounds import Run
from eventstore import advisory_locks
from eventstore.commands import dispatch
from eventstore.models import CommandRecord, StoredEvent, SubscriberRow
from ordering.domain.customer import ChangeCustomer
from ordering.models import CustomerProfile
from tests.integration.eventstore.raw import connect
from tests.integration.processes import eventually

ONCE = Done(rate=1.0, seconds=[0.001], moments=[])
RUN = Run("floor_1", Turn("benchmarks.floor:Rename", 1.0), 1)


@pytest.fixture
def rename(clean) -> Iterator[floor.Rename]:
    writers.register(floor.customers_of(0)[:3])
    job = floor.Rename(0)
    job._customers = job._customers[:3]
    with closing(job.connection):
        yield job


@pytest.fixture
def judge(rename) -> Judge:
    return Judge(os.environ["DATABASE_URL"])


def newest() -> StoredEvent:
    return StoredEvent.objects.latest("position")


def test_it_writes_what_a_command_writes(rename, judge):
    rename.once()
    by_hand = newest()
    judge(RUN, ONCE)
    receipt = dispatch(ChangeCustomer(customer_id=by_hand.stream_id, name="Ada"))
    ours = newest()
    judge(RUN, ONCE)
    assert by_hand.version + 1 == ours.version == receipt.version
    alike = ("category", "type", "schema_version", "subject_id", "sealed", "actor")
    assert [getattr(by_hand, name) for name in alike] == [getattr(ours, name) for name in alike]
    assert by_hand.data.keys() == ours.data.keys()
    for each in (by_hand, ours):
        assert each.metadata == {"root": str(each.causation_id)}
        record = CommandRecord.objects.get(pk=str(each.causation_id))
        assert record.first_position == record.last_position == each.position


def test_it_moves_every_sync_subscriber_as_a_command_does(rename):
    def fed() -> dict[str, tuple[int, int]]:
        rows = SubscriberRow.objects.filter(mode="sync")
        return {row.name: (row.checkpoint, row.processed) for row in rows}

    def steps(act) -> dict[str, tuple[int, int]]:
        before = fed()
        act()
        after = fed()
        return {name: (after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in after}

    customer_id = CustomerProfile.objects.latest("as_of").pk
    by_hand = steps(rename.once)
    assert by_hand == steps(partial(dispatch, ChangeCustomer(customer_id=customer_id, name="Ada")))
    assert by_hand["customer-profiles"] == (1, 1)


def test_it_waits_for_whoever_feeds(rename, judge):
    with closing(connect(autocommit=True)) as feeder:
        feeder.execute("SELECT pg_advisory_lock(%s, 0)", [advisory_locks.FEEDER])
        waiting = threading.Thread(target=rename.once)
        waiting.start()
        eventually(lambda: newest().type == floor.RENAMED)
        waiting.join(0.3)  # longer than it waits for a feeder that may have frozen
        assert waiting.is_alive()
        assert not CustomerProfile.objects.filter(as_of=newest().position).exists()
        feeder.execute("SELECT pg_advisory_unlock(%s, 0)", [advisory_locks.FEEDER])
        waiting.join(30)
    assert CustomerProfile.objects.get(as_of=newest().position).version == 2
    judge(RUN, ONCE)


def test_it_waits_for_who_appended_before_and_has_not_committed(rename, judge):
    with closing(connect()) as other:
        announced = [advisory_locks.ANNOUNCE, newest().position]
        other.execute("SELECT pg_advisory_xact_lock_shared((%s::bigint << 48) | %s)", announced)
        waiting = threading.Thread(target=rename.once)
        waiting.start()
        eventually(lambda: newest().type == floor.RENAMED)
        waiting.join(0.2)
        assert waiting.is_alive()
        assert not CustomerProfile.objects.filter(as_of=newest().position).exists()
        other.rollback()
        waiting.join(30)
    judge(RUN, ONCE)


def test_it_knows_nothing_but_customers_who_are_renamed(rename):
    writers.Append(0, 1).once()
    with pytest.raises(BenchmarkFailed, match=r"can't apply order\.placed"):
        rename.once()


@pytest.mark.parametrize(
    ("undo", "told"),
    [
        (lambda: CustomerProfile.objects.filter(version=2).update(name="Ada Allen"), "1 rows are not what"),
        (lambda: CustomerProfile.objects.filter(version=2).delete(), "1 rows are not what"),
        (lambda: SubscriberRow.objects.filter(name="sale").update(checkpoint=1), "1 sync subscribers have not seen"),
        (lambda: CommandRecord.objects.using("owner").all().delete(), "only 0 have their command's id"),
    ],
)
def test_who_does_less_is_found_out(rename, judge, undo, told):
    rename.once()
    undo()
    with pytest.raises(BenchmarkFailed, match=told):
        judge(RUN, ONCE)


def test_who_counts_more_than_it_did_is_found_out(rename, judge):
    rename.once()
    with pytest.raises(BenchmarkFailed, match="2 commands were carried out, and 1 events recorded"):
        judge(RUN, Done(rate=1.0, seconds=[0.001, 0.001], moments=[]))
