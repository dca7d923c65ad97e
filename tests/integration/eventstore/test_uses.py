"""Who uses another subscriber is never ahead of it, whatever holds that one up."""

import pytest

from eventstore.models import SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Pause, Reshard
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode
from tests.integration.eventstore.probes import WHO, Probe, go_wrong, mend, note, own_shard, registered


@pytest.fixture
def dependent(probe_tables):
    """Two of which the second uses the first; both are at position 2, and two events are to come."""
    with registered(Probe("used", mode=Mode.ASYNC), Probe("using", mode=Mode.ASYNC, uses=("used",))) as both:
        note("a", "b")
        feed(both)
        yield both


def feed(probes):
    feeding.catch_up([registry[row.name] for probe in probes for row in probe.rows])


def only_one_shard_goes_on(used):
    perform(Reshard(target="used", shards=2), by=WHO)
    SubscriberRow.objects.filter(name=own_shard(used, "a").name).update(status="paused")


def nobody_feeds_it(used):
    used.row.delete()
    SubscriberRow.objects.create(name="used", subscriber="used", rank=1, mode="async", version=9, checkpoint=2)


HELD_UP = {
    "split, and one shard stands": only_one_shard_goes_on,
    "paused": lambda used: perform(Pause(target="used"), by=WHO),
    "halted": lambda used: SubscriberRow.objects.filter(name="used").update(status="halted"),
    "behind, for nobody here may feed it": nobody_feeds_it,
    "failing": lambda used: go_wrong("a@3", statement="SELECT * FROM there_is_no_such_table"),
}


@pytest.mark.parametrize("hold_up", HELD_UP.values(), ids=HELD_UP)
def test_who_uses_another_is_never_ahead_of_it_when_that_is(dependent, hold_up):
    used, using = dependent
    hold_up(used)
    note("a", "b")
    feed(dependent)
    assert min(row.checkpoint for row in used.rows) == using.row.checkpoint == 2
    assert using.noted() == {"a": [1], "b": [2]}
    mend("a@3")
    SubscriberRow.objects.filter(subscriber="used").update(
        status="running", retry_at=None, version=used.version, types_hash=used.types_hash
    )
    feed(dependent)
    feed(dependent)
    assert used.noted() == using.noted() == {"a": [1, 3], "b": [2, 4]}
