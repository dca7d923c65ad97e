"""One bad event, one bad subscriber, one dead feeder: what happens to the others."""

import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest
from django.db import connections

from eventstore import feeding, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import ParkedEvent, SubscriberRow
from eventstore.subscribers import Mode, Rank, Subscriber, registry
from ordering.domain.customer import ChangeCustomer, RegisterCustomer
from ordering.models import CustomerProfile
from tests.integration.eventstore import raw


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
        with store.cursor() as cursor:
            rows = cursor.execute(
                "SELECT position FROM probe WHERE name = %s AND (key = %s OR %s::uuid IS NULL) ORDER BY position",
                [self.name, key, key],
            ).fetchall()
        return [position for (position,) in rows]


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
        registry._declared.remove(self.subscriber)
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


def test_after_ten_infrastructure_failures_a_subscriber_halts(probe):
    probe.statement = "SELECT * FROM there_is_no_such_table"
    register("Ada")
    for _ in range(10):
        SubscriberRow.objects.filter(pk="probe").update(retry_at=None)
        feeding.feed(registry.of(Mode.SYNC))
    assert row("probe").status == "halted"
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


def test_a_foreign_key_to_a_subscribers_row_does_not_keep_feeders_out(probe):
    register("Ada")
    with closing(raw.connect()) as other:
        other.execute(
            "INSERT INTO eventstore_parked (subscriber_id, key, position, error, traceback)"
            " VALUES ('probe', 'x', 0, '', '')"
        )
        assert register("Alan").settled
        with suppress(psycopg.Error):
            other.rollback()
    assert probe.seen() == [1, 2]


def test_a_process_that_knows_another_version_feeds_nothing(probe):
    SubscriberRow.objects.filter(pk="probe").update(version=2)
    assert register("Ada").settled
    assert probe.seen() == []
    assert row("probe").checkpoint == 0


def test_who_is_far_behind_is_left_to_the_workers(probe, monkeypatch):
    monkeypatch.setattr(feeding, "NEAR", 3)
    SubscriberRow.objects.filter(pk="probe").update(status="paused")
    for number in range(5):
        register(f"Customer {number}")
    SubscriberRow.objects.filter(pk="probe").update(status="running")
    register("Late")
    assert row("probe").checkpoint == 0
    feeding.catch_up(registry.of(Mode.SYNC))
    assert probe.seen() == [1, 2, 3, 4, 5, 6]
