"""One bad event, one bad subscriber, one dead feeder: what happens to the others."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import psycopg
import pytest
from django.db import connections

from eventstore import advisory_locks, database, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.subscriptions import feed_state, feeding, queries, read_your_writes
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Mode, Rank, Subscriber
from ordering.domain.customer import ChangeCustomer, CustomerRenamed, RegisterCustomer
from ordering.models import CustomerProfile
from tests.integration.eventstore import raw
from tests.integration.eventstore.acquiring import acquires_with
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.probes import waiting_for
from tests.integration.processes import eventually

STOPS_AT_THE_GATE = {
    "set_config('lock_timeout', '200ms', true)": "''",
    "ORDER BY rank, name FOR": "AND (SELECT 1 FROM pg_advisory_xact_lock_shared(77)) = 1 ORDER BY rank, name FOR",
}
"""The statement that locks the rows waits without a limit, after it has begun and so has taken its snapshot."""


class Probe(Subscriber):
    """Notes the position of each event under its key, and fails as a test wants it to."""

    rank = Rank.PROJECTION
    types = frozenset({"customer.registered", "customer.renamed"})

    def __init__(self, name: str = "probe", uses: tuple[str, ...] = ()) -> None:
        self.name, self.uses = name, uses
        self.poison: set[str] = set()
        self.statement: str | None = None

    def keys(self, recorded):
        return (recorded.event.customer_id,)

    def begins_at(self, head):
        return 0

    def apply(self, cursor, work):
        for key, recorded in work:
            if recorded.event.name in self.poison:
                raise ValueError(recorded.event.name)
            if self.statement:
                cursor.execute(self.statement)
            cursor.execute("INSERT INTO probe VALUES (%s, %s, %s)", [self.name, key, recorded.position])

    def seen(self, key=None):
        with database.cursor() as cursor:
            rows = cursor.execute(
                "SELECT position FROM probe WHERE name = %s AND (key = %s OR %s::uuid IS NULL) ORDER BY position",
                [self.name, key, key],
            ).fetchall()
        return [position for (position,) in rows]


@pytest.fixture
def nobody_waits_for_long(settings):
    """As in production: what is left undone here stays undone."""
    settings.EVENTSTORE_SETTLE_SECONDS = 2.0


@pytest.fixture
def probe_table(clean: None) -> Iterator[None]:
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("DROP TABLE IF EXISTS probe")
        owner.execute("CREATE TABLE probe (name text, key uuid, position bigint, UNIQUE (name, key, position))")
        owner.execute(f'GRANT ALL ON probe TO "{connections["default"].settings_dict["USER"]}"')
        yield
        owner.execute("DROP TABLE probe")


@pytest.fixture
def probe(probe_table: None) -> Iterator[Probe]:
    with registered(Probe()) as one:
        yield one


class registered:  # noqa: N801 - a context manager
    """A subscriber that is there for a while."""

    def __init__(self, subscriber: Probe) -> None:
        self.subscriber = subscriber

    def __enter__(self) -> Probe:
        registry.register(self.subscriber)
        registry.forget_rows()
        registry.make_rows()
        return self.subscriber

    def __exit__(self, *_: object) -> None:
        registry.unregister(self.subscriber)
        SubscriberRow.objects.filter(pk=self.subscriber.name).delete()


def register(name, customer=None):
    customer = customer or new_id()
    return dispatch(RegisterCustomer(customer_id=customer, name=name, email=f"{customer.hex}@example.org"))


def rename(customer, name):
    return dispatch(ChangeCustomer(customer_id=customer, name=name))


def row(name):
    return SubscriberRow.objects.get(pk=name)


def parked():
    return list(ParkedEvent.objects.values_list("key", "position"))


def test_a_poison_event_holds_back_its_own_key_and_nothing_else(probe):
    probe.poison = {"Poison"}
    bad, good = register("Poison").stream_id, register("Good").stream_id
    rename(bad, "Better")
    head = rename(good, "Best").position
    assert parked() == [(str(bad), 1), (str(bad), 3)]
    assert probe.seen() == [2, 4]
    assert row("probe").checkpoint == row("customer-profiles").checkpoint == head
    failed, waiting = ParkedEvent.objects.all()
    assert "ValueError" in failed.error
    assert "test_feeding" in failed.traceback
    assert waiting.error == ""
    assert "ValueError" in row("probe").last_error


def test_a_failing_subscriber_is_skipped_and_the_next_are_fed(probe):
    probe.poison = {"Poison"}
    receipt = register("Poison")
    assert receipt.settled
    assert CustomerProfile.objects.get(pk=receipt.stream_id).name == "Poison"


@pytest.mark.usefixtures("nobody_waits_for_long")
def test_an_infrastructure_failure_parks_nothing_and_is_tried_again(probe):
    probe.statement = "SELECT * FROM there_is_no_such_table"
    register("Ada")
    assert parked() == []
    assert row("probe").checkpoint == 0
    assert row("probe").failures >= 1
    assert row("customer-profiles").checkpoint == 1
    probe.statement = None
    SubscriberRow.objects.filter(pk="probe").update(retry_at=None)
    register("Alan")
    assert probe.seen() == [1, 2]
    assert row("probe").failures == 0


@pytest.mark.usefixtures("nobody_waits_for_long")
def test_after_ten_infrastructure_failures_a_subscriber_halts(probe, settings):
    probe.statement = "SELECT * FROM there_is_no_such_table"
    register("Ada")
    for _ in range(10):
        SubscriberRow.objects.filter(pk="probe").update(retry_at=None)
        feeding.feed(registry.of(Mode.SYNC))
    assert row("probe").status == "halted"
    settings.EVENTSTORE_SETTLE_SECONDS = 20.0
    assert register("Alan").settled


def test_a_deferred_constraint_fails_its_own_subscriber_only(probe):
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("ALTER TABLE probe ADD CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED")
    ada = register("Ada").stream_id
    alan = register("Alan")
    assert alan.settled
    assert probe.seen() == [1]
    assert parked() == [(str(alan.stream_id), 2)]
    assert CustomerProfile.objects.filter(pk__in=[ada, alan.stream_id]).count() == 2


@pytest.mark.usefixtures("nobody_waits_for_long")
def test_who_uses_another_is_never_ahead_of_it(probe_table):
    with registered(Probe("first")) as first, registered(Probe("second", uses=("first",))) as second:
        register("Ada")
        SubscriberRow.objects.filter(pk="first").update(status="paused")
        register("Alan")
        assert (first.seen(), second.seen()) == ([1], [1])
        SubscriberRow.objects.filter(pk="first").update(status="running")
        register("Annie")
        assert first.seen() == second.seen() == [1, 2, 3]


def test_two_feeders_never_apply_an_event_twice(probe):
    SubscriberRow.objects.update(status="paused")
    for number in range(40):
        register(f"Customer {number}")
    SubscriberRow.objects.update(status="running")
    errors = []

    def feed():
        try:
            feeding.catch_up(registry.of(Mode.SYNC))
        except psycopg.Error as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert probe.seen() == list(range(1, 41))


@pytest.mark.usefixtures("nobody_waits_for_long")
def test_while_somebody_else_feeds_a_command_waits_for_its_bound_and_then_answers_pending(probe):
    register("Ada")
    with closing(raw.connect()) as frozen:
        frozen.execute("SELECT * FROM eventstore_subscriber FOR NO KEY UPDATE")
        assert not register("Alan").settled
        # The next ones don't wait at all for a while.
        assert not register("Annie").settled
        frozen.rollback()
    feeding.catch_up(registry.of(Mode.SYNC))
    assert probe.seen() == [1, 2, 3]


def test_who_waits_for_a_feeder_in_vain_asks_all_the_same_and_keeps_nobody_from_feeding(clean):
    question = database.Statement("SELECT 1")
    with closing(raw.connect()) as feeder:
        feeder.execute("SELECT pg_advisory_xact_lock(%s, 0)", [advisory_locks.FEEDER])
        assert feeding.ask_after_feeder(question) == [[(1,)]]
        feeder.rollback()
        assert feeding.ask_after_feeder(question) == [[(1,)]]
        assert feeder.execute("SELECT pg_try_advisory_lock(%s, 0)", [advisory_locks.FEEDER]).fetchone() == (True,)


def test_a_crowd_that_was_woken_keeps_nobody_from_feeding(clean):
    """Though none of it has ended its transaction yet."""
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(raw.connect())) for _ in range(5)]
        feeder = stack.enter_context(closing(raw.connect()))
        feeder.execute("SELECT pg_advisory_xact_lock(%s, 0)", [advisory_locks.FEEDER])
        waiting = [Beside(partial(each.execute, "SELECT eventstore_await_feeder_v1('30s')")) for each in crowd]
        eventually(lambda: waiting_for("eventstore_await_feeder_v1", sessions=5))
        feeder.rollback()
        assert [each.outcome() for each in waiting] == [None] * 5
        assert feeder.execute("SELECT pg_try_advisory_lock(%s, 0)", [advisory_locks.FEEDER]).fetchone() == (True,)


class Waiting:
    """A session that waits for its turn to feed a subscriber, or until others have fed it as far as a position."""

    def __init__(self, probe, *, awaited, patience=30_000, bound=60_000):
        self.session = raw.connect()
        asked = [awaited, patience, bound, feed_state.identities([probe])]
        self.answer = None
        self._thread = Beside(partial(self._wait, asked))

    def _wait(self, asked):
        query = "SELECT eventstore_take_turn_v2(%s, %s, %s, %s, '{}', 500, 500, 1000)::jsonb ? 'elsewhere'"
        ((self.answer,),) = self.session.execute(query, asked).fetchall()

    def over(self):
        """The answer: whether it is told that others did it."""
        assert self._thread.outcome() is None
        return self.answer


@contextmanager
def crowd(feeder, *waiting):
    """Those who wait for the end of a feeder."""
    with ExitStack() as stack:
        feeder.execute("SELECT pg_advisory_xact_lock(%s, 0)", [advisory_locks.FEEDER])
        made = [each() for each in waiting]
        for each in made:
            stack.callback(each.session.close)
        eventually(lambda: waiting_for("eventstore_take_turn_v2", sessions=len(made)))
        yield made


def test_of_a_crowd_that_waits_for_a_feeder_one_feeds_next_and_the_others_wait_on(probe):
    position = register("Ada").position
    SubscriberRow.objects.filter(pk="probe").update(checkpoint=0)
    with closing(raw.connect()) as feeder, crowd(feeder, *[partial(Waiting, probe, awaited=position)] * 4) as waiting:
        feeder.rollback()
        for left in (3, 2, 1, 0):
            eventually(lambda: any(each.answer is not None for each in waiting))
            eventually(partial(waiting_for, "eventstore_take_turn_v2", sessions=left))
            (next_one,) = [each for each in waiting if each.answer is not None]
            assert not next_one.over()
            waiting.remove(next_one)
            next_one.session.rollback()


def test_who_has_got_what_it_waits_for_goes_on_as_soon_as_the_feeder_ends(probe):
    position = register("Ada").position
    with closing(raw.connect()) as feeder, crowd(feeder, *[partial(Waiting, probe, awaited=position)] * 3) as waiting:
        feeder.rollback()
        assert [each.over() for each in waiting] == [True, True, True]


def test_who_waits_for_a_feeder_that_froze_asks_after_a_while_and_who_may_not_wait_at_once(probe):
    for limits in ({"patience": 50}, {"bound": 0}):
        with closing(raw.connect()) as frozen:
            frozen.execute("SELECT pg_advisory_xact_lock(%s, 0)", [advisory_locks.FEEDER])
            waiting = Waiting(probe, awaited=10, **limits)
            assert waiting.over()
            waiting.session.close()


def test_who_is_cancelled_while_waiting_for_a_feeder_leaves_a_connection_that_works(clean):
    with closing(raw.connect()) as feeder, connections["default"].cursor() as cursor:
        feeder.execute("SELECT pg_advisory_xact_lock(%s, 0)", [advisory_locks.FEEDER])
        cursor.execute("SET statement_timeout = '20ms'")
        try:
            with pytest.raises(psycopg.errors.QueryCanceled):
                feeding.ask_after_feeder(database.Statement("SELECT 1"))
        finally:
            cursor.execute("RESET statement_timeout")
    assert feeding.ask_after_feeder(database.Statement("SELECT 1")) == [[(1,)]]


def test_who_fails_to_feed_keeps_nobody_else_from_it(probe):
    """The lock that says who feeds is not left behind by an attempt that came to nothing."""
    with closing(raw.connect("owner")) as other:
        other.execute("LOCK TABLE eventstore_subscriber IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            feeding.feed_sync()
    register("Ada")
    with closing(raw.connect()) as anybody:
        assert anybody.execute("SELECT pg_try_advisory_lock(%s, 0)", [advisory_locks.FEEDER]).fetchone() == (True,)
    assert probe.seen() == [1]


def test_after_a_wait_that_hit_its_bound_commands_do_not_wait_for_a_while(probe, monkeypatch, settings):
    with closing(raw.connect()) as frozen:
        frozen.execute("SELECT * FROM eventstore_subscriber FOR NO KEY UPDATE")
        settings.EVENTSTORE_SETTLE_SECONDS = 0.2
        monkeypatch.setattr(read_your_writes.bound, "pause", 300.0)
        assert not register("Ada").settled
        settings.EVENTSTORE_SETTLE_SECONDS = 60.0
        begun = time.monotonic()
        assert not register("Alan").settled
        assert time.monotonic() - begun < 30
        frozen.rollback()
    # Whoever finds that it moves again is answered in full.
    assert register("Annie").settled


def test_when_the_horizon_falls_back_nobody_goes_back_and_nothing_is_applied_twice(probe_table):
    with registered(Probe("first")) as first, registered(Probe("second", uses=("first",))) as second:
        ada = register("Ada").stream_id
        SubscriberRow.objects.filter(pk="second").update(status="paused")
        rename(ada, "Ada King")
        SubscriberRow.objects.filter(pk="second").update(status="running")
        with closing(raw.connect()) as held_up:
            raw.announce(held_up, 0)
            assert store.horizon() == 0
            feeding.catch_up([first, second])
            assert (row("first").checkpoint, row("second").checkpoint) == (2, 1)
            held_up.rollback()
        feeding.catch_up([first, second])
        assert first.seen() == second.seen() == [1, 2]


def test_who_takes_over_from_another_feeder_sees_what_that_one_parked(probe, monkeypatch):
    """It locks first and looks then: what was seen before belongs to a moment when the other one had not committed."""
    SubscriberRow.objects.filter(pk="probe").update(status="paused")
    bad, good = register("Poison").stream_id, register("Good").stream_id
    SubscriberRow.objects.filter(pk="probe").update(status="running")
    with closing(raw.connect()) as gate, acquires_with(STOPS_AT_THE_GATE) as acquire:
        gate.execute("SELECT pg_advisory_lock(77)")
        with monkeypatch.context() as patch:
            patch.setattr(queries, "ACQUIRE", acquire)
            slow = Beside(lambda: feeding.feed([probe]))
            eventually(lambda: waiting_for("eventstore_acquire_otherwise"))
        probe.poison = {"Poison"}
        feeding.feed([probe])
        assert (parked(), probe.seen()) == ([(str(bad), 1)], [2])
        probe.poison = set()
        better = [CustomerRenamed(customer_id=bad, name="Better")]
        store.append(store.Changes(stream_id=bad, category="customer", expected=1, events=better))
    assert slow.outcome() is None
    assert (parked(), probe.seen(good)) == ([(str(bad), 1), (str(bad), 3)], [2])
    assert probe.seen(bad) == []


def test_a_foreign_key_to_a_subscribers_row_does_not_keep_feeders_out(probe):
    register("Ada")
    with closing(raw.connect("owner")) as owner:
        owner.autocommit = True
        owner.execute("CREATE TABLE pointing (name text REFERENCES eventstore_subscriber)")
        try:
            with owner.transaction(force_rollback=True):
                owner.execute("INSERT INTO pointing VALUES ('probe')")
                assert register("Alan").settled
        finally:
            owner.execute("DROP TABLE pointing")
    assert probe.seen() == [1, 2]


def test_a_process_that_knows_another_version_feeds_nothing(probe):
    SubscriberRow.objects.filter(pk="probe").update(version=2)
    assert register("Ada").settled
    assert probe.seen() == []
    assert row("probe").checkpoint == 0


def test_who_is_far_behind_is_left_to_the_workers_and_the_command_answers_pending_at_once(probe, monkeypatch, settings):
    monkeypatch.setattr(feed_state, "NEAR", 3)
    SubscriberRow.objects.filter(pk="probe").update(status="paused")
    for number in range(5):
        register(f"Customer {number}")
    SubscriberRow.objects.filter(pk="probe").update(status="running")
    settings.EVENTSTORE_SETTLE_SECONDS = 60.0
    begun = time.monotonic()
    assert not register("Late").settled
    assert time.monotonic() - begun < 30
    assert row("probe").checkpoint == 0
    feeding.catch_up(registry.of(Mode.SYNC))
    assert read_your_writes.settle(new_id(), 6).at_rest
    assert probe.seen() == [1, 2, 3, 4, 5, 6]
