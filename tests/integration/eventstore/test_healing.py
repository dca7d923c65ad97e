"""Parked events are tried again or discarded, while everybody goes on."""

import random
import threading
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connections

from eventstore import database, signals, store
from eventstore.context import new_id
from eventstore.errors import Busy, NothingParked, ReasonMissing
from eventstore.models import DiscardedEvent, ParkedEvent
from eventstore.operations import subscribers as subscriber_operations
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Discard, Pause, Resume, Retry
from eventstore.subscriptions import feeding, parking
from eventstore.subscriptions.parking import retry_in
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import retry_due, retry_keys
from eventstore.subscriptions.subscriber import Mode
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import (
    WHO,
    Probe,
    go_wrong,
    last_action,
    mend,
    note,
    query,
    registered,
    waiting_for,
)
from tests.integration.processes import eventually

pytestmark = pytest.mark.usefixtures("probe_tables")


def retry(**asked):
    return perform(Retry(target="probe", **asked), by=WHO)


def discard(key, *positions, reason="it never happened"):
    return perform(Discard(target="probe", key=key, positions=positions), by=WHO, reason=reason)


def make_due():
    query("UPDATE eventstore_parked SET retry_at = clock_timestamp() WHERE retry_at IS NOT NULL")


def failed():
    return ParkedEvent.objects.exclude(error="").get()


def test_one_key_is_retried_with_all_that_waits_for_it(one):
    go_wrong("a@1", "b@2")
    note("a", "b", "a", "b")
    one.feed()
    mend("a@1", "b@2")
    assert retry(key="a") == "1 of 1 keys are live again, 2 events applied"
    assert one.noted() == {"a": [1, 3]}
    assert one.parked() == {"b": [-2, 4]}
    note("a")
    one.feed()
    assert one.noted("a") == [1, 3, 5]


def test_all_are_retried_or_those_of_one_error(one):
    go_wrong("a", "b")
    go_wrong("c", statement="SELECT 1 / 0")
    note("a", "b", "c")
    one.feed()
    mend("a", "c")
    (by_zero,) = set(ParkedEvent.objects.filter(key="c").values_list("error", flat=True))
    retry(error=by_zero)
    assert one.parked() == {"a": [-1], "b": [-2]}
    assert retry() == "1 of 2 keys are live again, 1 events applied, 1 failed again"
    assert one.parked() == {"b": [-2]}


def test_a_queue_that_fails_again_in_the_middle_is_healed_so_far(one):
    go_wrong("a@1")
    note("a", "b", "a", "a", "a")
    one.feed()
    mend("a@1")
    go_wrong("a@4")
    retry()
    assert one.noted("a") == [1, 3]
    assert one.parked() == {"a": [-4, 5]}
    note("a")
    one.feed()
    assert one.parked() == {"a": [-4, 5, 6]}
    mend("a@4")
    retry()
    assert one.noted("a") == [1, 3, 4, 5, 6]


def test_attempts_are_counted(one):
    go_wrong("a")
    note("a", "a")
    one.feed()
    assert failed().attempts == 1
    for attempts in (2, 3):
        retry()
        assert failed().attempts == attempts
    waiting = ParkedEvent.objects.get(error="")
    assert waiting.attempts == 0


def test_a_failure_of_the_infrastructure_changes_nothing(one):
    go_wrong("a@1")
    note("a", "a")
    one.feed()
    mend("a@1")
    go_wrong("a@2", statement="SELECT * FROM there_is_no_such_table")
    with pytest.raises(Exception, match="there_is_no_such_table"):
        retry()
    assert one.noted() == {}
    assert one.parked() == {"a": [-1, 2]}
    assert failed().attempts == 1
    assert last_action().refused
    assert "UndefinedTable" in last_action().outcome


def test_a_discarded_event_is_recorded_and_what_waited_behind_it_applied(one):
    go_wrong("a@1")
    note("a", "a", "a")
    one.feed()
    assert discard("a", 1) == "discarded 1; 2 waiting events applied"
    assert one.noted() == {"a": [2, 3]}
    gone = DiscardedEvent.objects.get()
    assert (gone.subscriber, gone.key, gone.position, gone.by, gone.reason) == (
        "probe",
        "a",
        1,
        WHO,
        "it never happened",
    )
    assert "ValueError" in gone.error


def test_when_what_waited_behind_a_discarded_event_fails_it_is_parked_in_turn(one):
    go_wrong("a")
    note("a", "a", "a")
    one.feed()
    assert discard("a", 1) == "discarded 1; another event of it failed"
    assert one.parked() == {"a": [-2, 3]}
    discard("a", 2, 3)
    assert one.parked() == {}
    assert list(DiscardedEvent.objects.order_by("position").values_list("position", flat=True)) == [1, 2, 3]


def test_discarding_needs_a_reason_and_an_event_that_is_parked(one):
    go_wrong("a@1")
    note("a", "a")
    one.feed()
    with pytest.raises(ReasonMissing):
        discard("a", 1, reason="  ")
    with pytest.raises(NothingParked):
        discard("a", 1, 7)
    with pytest.raises(NothingParked):
        discard("b", 1)
    assert one.parked() == {"a": [-1, 2]}
    assert not DiscardedEvent.objects.exists()


def test_what_is_discarded_is_recorded_once(one):
    go_wrong("a")
    note("a")
    one.feed()
    discard("a", 1)
    with pytest.raises(NothingParked):
        discard("a", 1)
    ParkedEvent.objects.create(subscriber="probe", key="a", position=1, error="by code of yesterday")
    discard("a", 1)
    assert one.parked() == {}
    assert DiscardedEvent.objects.count() == 1


def test_a_discarding_that_cannot_apply_what_waits_has_discarded_nothing(one):
    go_wrong("a@1")
    note("a", "a")
    one.feed()
    go_wrong("a@2", statement="SELECT * FROM there_is_no_such_table")
    with pytest.raises(Exception, match="there_is_no_such_table"):
        discard("a", 1)
    assert one.parked() == {"a": [-1, 2]}
    assert not DiscardedEvent.objects.exists()


def test_an_async_subscriber_tries_again_with_growing_pauses_and_then_leaves_it_to_staff(monkeypatch):
    monkeypatch.setattr(parking, "FIRST_RETRY", parking.FIRST_RETRY * 60)  # a busy machine takes some seconds at times
    with registered(Probe(mode=Mode.ASYNC)) as probe:
        go_wrong("a")
        note("a", "a")
        begun = database.clock()
        probe.feed()
        for attempts, pause in enumerate((1, 2, 4, 8, 16), 1):
            assert failed().attempts == attempts
            due_at = failed().retry_at
            assert due_at - database.clock() < timedelta(minutes=pause * 1.1)
            assert due_at - begun > timedelta(minutes=pause * 0.9)
            assert not retry_due([probe])
            make_due()
            begun = database.clock()
            assert retry_due([probe])
        assert (failed().attempts, failed().retry_at) == (6, None)
        mend("a")
        assert not retry_due([probe])
        retry()
        assert probe.noted() == {"a": [1, 2]}


def test_a_pause_is_never_the_same_twice_and_the_sixth_is_for_ever():
    assert len({retry_in(1) for _ in range(10)}) > 1
    assert retry_in(6) is None


def test_a_sync_subscriber_tries_nothing_again_by_itself(one):
    go_wrong("a")
    note("a")
    one.feed()
    assert failed().retry_at is None
    retry()
    assert failed().retry_at is None
    assert not retry_due(registry.of(Mode.SYNC))


def test_more_keys_than_anybody_waits_for_are_left_to_workers(one):
    keys = [f"key{number:02}" for number in range(60)]
    go_wrong(*keys)
    for chosen in (keys[:20], keys[20:40], keys[40:]):
        note(*chosen)
        one.feed()
        query("UPDATE eventstore_parked SET parked_at = parked_at - interval '2 minutes'")
    mend(*keys)
    assert retry().endswith("workers try 10 more")
    assert len(one.parked()) == 10
    assert retry_due([one])
    assert one.parked() == {}


def test_nothing_is_tried_again_of_who_is_paused():
    with registered(Probe(mode=Mode.ASYNC)) as probe:
        go_wrong("a")
        note("a")
        probe.feed()
        make_due()
        query("UPDATE eventstore_subscriber SET status = 'paused'")
        assert not retry_due([probe])
        assert failed().attempts == 1


def test_a_key_that_the_database_fails_for_does_not_hold_up_the_others():
    with registered(Probe(mode=Mode.ASYNC)) as probe:
        go_wrong("a@1", "b@2")
        note("a", "b")
        probe.feed()
        mend("a@1", "b@2")
        go_wrong("a@1", statement="SELECT * FROM there_is_no_such_table")
        make_due()
        assert retry_due([probe])
        assert probe.parked() == {"a": [-1]}
        assert failed().attempts == 1
        assert not retry_due([probe])


def test_one_key_that_takes_newer_code_keeps_no_other_from_being_tried(one):
    stream = new_id()
    go_wrong("a@1", "b@2", "c@3")
    note("a", "b", "c", stream=stream)
    one.feed()
    mend("a@1", "b@2", "c@3")
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("ALTER TABLE eventstore_event DISABLE TRIGGER eventstore_append_only")
        owner.execute("UPDATE eventstore_event SET schema_version = 99 WHERE position = 2")
        owner.execute("ALTER TABLE eventstore_event ENABLE TRIGGER eventstore_append_only")
    assert retry() == "2 of 3 keys are live again, 2 events applied, 1 failed again"
    assert one.parked() == {"b": [-2]}
    with pytest.raises(Busy, match="newer code"):
        retry(key="b")


def test_a_key_whose_event_nobody_knows_any_more_is_put_off_and_no_other_with_it():
    with registered(Probe(mode=Mode.ASYNC)) as probe:
        go_wrong("a@1", "b@2")
        note("a", "b")
        probe.feed()
        mend("a@1", "b@2")
        with closing(raw.connect("owner", autocommit=True)) as owner:
            owner.execute("ALTER TABLE eventstore_event DISABLE TRIGGER eventstore_append_only")
            owner.execute("UPDATE eventstore_event SET type = 'forgotten' WHERE position = 1")
            owner.execute("ALTER TABLE eventstore_event ENABLE TRIGGER eventstore_append_only")
        make_due()
        assert retry_due([probe])
        assert probe.parked() == {"a": [-1]}
        assert not retry_due([probe])


def test_nobody_is_waited_for_who_stands(one, monkeypatch):
    monkeypatch.setattr(subscriber_operations, "AT_ONCE", 1)
    go_wrong("a", "b")
    note("a", "b")
    one.feed()
    operation = Retry(target="probe")
    perform(Pause(target="probe"), by=WHO)
    assert perform(operation, by=WHO).endswith("1 failed again; workers try 1 more, once it is resumed")
    assert operation.remaining() == 0
    perform(Resume(target="probe"), by=WHO)
    assert operation.remaining() == 1


def test_who_can_be_had_by_nobody_is_busy(one, monkeypatch):
    monkeypatch.setattr(
        "eventstore.subscriptions.queries.SET_LOCK_TIMEOUT", "SELECT set_config('lock_timeout', '100ms', true), %s"
    )
    go_wrong("a")
    note("a")
    one.feed()
    with closing(raw.connect()) as feeder:
        feeder.execute("SELECT FROM eventstore_subscriber WHERE name = 'probe' FOR NO KEY UPDATE")
        with pytest.raises(Busy):
            retry()
    assert last_action().refused


def test_whoever_waits_for_a_subscriber_hears_that_keys_were_healed(one):
    heard = []

    def hear(subscriber, **_):
        heard.append(subscriber)

    signals.moved.connect(hear)
    try:
        go_wrong("a")
        note("a")
        one.feed()
        retry()
        assert heard == []
        mend("a")
        retry()
        assert heard == ["probe"]
    finally:
        signals.moved.disconnect(hear)


def test_only_code_that_could_feed_it_heals_it(one):
    go_wrong("a")
    note("a")
    one.feed()
    mend("a")
    query("UPDATE eventstore_subscriber SET version = 2 WHERE name = 'probe'")
    with pytest.raises(Busy, match="another version"):
        retry()
    assert one.parked() == {"a": [-1]}


def test_feeding_and_retrying_at_once_lose_and_reorder_no_event_of_a_key(one):
    """Parked keys are read and written only under the lock of the subscriber's row."""
    keys = [f"key{number}" for number in range(6)]
    positions: dict[str, list[int]] = {key: [] for key in keys}
    errors: list[Exception] = []
    appended = threading.Event()

    def run(step):
        try:
            while not appended.is_set() or one.row.checkpoint < store.head():
                step()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    def break_and_mend():
        chance = random.Random()
        mend(*keys)
        go_wrong(*chance.sample(keys, 2))

    def retry_any():
        retry_keys("probe", random.sample(keys, 3))

    steps = [lambda: feeding.feed([one])] * 2 + [retry_any] * 2 + [break_and_mend]
    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    stream = new_id()
    for number in range(240):
        key = keys[number % len(keys)]
        positions[key].append(note(key, stream=stream))
    appended.set()
    for thread in threads:
        thread.join(120)
    assert errors == []
    mend(*keys)
    retry_keys("probe", keys)
    assert one.parked() == {}
    assert one.noted() == positions


def test_a_process_that_dies_between_parking_and_its_checkpoint_has_done_neither(one):
    go_wrong("a")
    note("a", "b")
    with closing(raw.connect()) as blocker:
        # Whoever feeds gets as far as moving the checkpoint, and is ended there.
        blocker.execute("LOCK TABLE eventstore_parked IN SHARE MODE")
        feeder = threading.Thread(target=_feed_until_ended, args=(one,))
        feeder.start()
        eventually(lambda: waiting_for("INSERT INTO eventstore_parked"))
        blocker.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO eventstore_parked%'"""
        )
        feeder.join(30)
    assert (one.noted(), one.parked(), one.row.checkpoint) == ({}, {}, 0)
    one.feed()
    assert (one.noted(), one.parked(), one.row.checkpoint) == ({"b": [2]}, {"a": [-1]}, 2)


def _feed_until_ended(probe):
    try:
        feeding.feed([probe])
    except Exception:
        return
    finally:
        connections.close_all()
