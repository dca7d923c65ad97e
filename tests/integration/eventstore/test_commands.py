"""A command is carried out once, by the one aggregate that handles it, in a transaction of its own."""

import threading
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connections, transaction

from eventstore import repository, store
from eventstore.aggregates import Command, command
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.errors import ConcurrencyConflict, SequenceSetBack, StreamExists, StreamNotFound, UnknownCommand
from eventstore.models import CommandRecord, Snapshot, StoredEvent, SubscriberRow
from eventstore.subscriptions.registry import registry
from eventstore.testing.subscribers import given
from ordering.domain.conference import ConferenceSeats
from ordering.domain.customer import ChangeCustomer, CustomerRenamed, RegisterCustomer
from ordering.domain.errors import EmailTaken
from ordering.domain.order import CancelOrder
from ordering.domain.seats import AddSeats, SeatsAdded, SeatType
from ordering.models import ConferenceSummary, OrderSummary
from sagas.models import OutboxCommand
from sagas.tasks import send_overdue
from tests.integration import shop
from tests.integration.eventstore import raw

pytestmark = pytest.mark.usefixtures("clean")


def rename(customer, name, **options):
    return dispatch(ChangeCustomer(customer_id=customer, name=name), **options)


def at_once(*works):
    """Run works in threads of their own; what they raised."""
    errors = []

    def run(work):
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


MORE = SeatType("standard", "Standard", shop.PRICE, 1, 10)


@pytest.fixture
def nearly_due():
    """A conference whose next event is followed by a snapshot."""
    conference = shop.conference_on_sale()
    given(conference, *[SeatsAdded(conference_id=conference, seat_type=MORE)] * 97, category="conference")
    return conference


def test_a_snapshot_that_can_not_be_kept_fails_no_command(nearly_due):
    user = connections["default"].settings_dict["USER"]
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(f'REVOKE INSERT ON eventstore_snapshot FROM "{user}"')
        try:
            receipt = dispatch(AddSeats(conference_id=nearly_due, seat_type=MORE))
        finally:
            owner.execute(f'GRANT INSERT ON eventstore_snapshot TO "{user}"')
    assert (receipt.version, receipt.settled) == (100, True)
    assert not Snapshot.objects.exists()


def test_a_database_that_goes_away_during_a_snapshot_is_told_of_in_one_line(nearly_due, caplog):
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(
            """CREATE FUNCTION go_away() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"""
        )
        owner.execute("CREATE TRIGGER go_away BEFORE INSERT ON eventstore_snapshot EXECUTE FUNCTION go_away()")
        try:
            receipt = dispatch(AddSeats(conference_id=nearly_due, seat_type=MORE))
        finally:
            owner.execute("DROP FUNCTION go_away CASCADE")
    assert receipt.version == 100
    (told,) = [record for record in caplog.records if "snapshot_failed" in record.getMessage()]
    assert (told.levelname, told.exc_info) == ("WARNING", None)
    assert not [record for record in caplog.records if record.exc_info]


def test_a_repeated_command_is_answered_with_what_the_first_recorded():
    ada, wish = shop.customer(), new_id()
    first = rename(ada, "Ada King", command_id=wish)
    rename(ada, "Ada Byron")
    again = rename(ada, "Ada King", command_id=wish)
    assert (again.position, again.version) == (first.position, first.version)
    assert again.recorded == (CustomerRenamed(customer_id=ada, name="Ada King"),)
    assert again.repeated
    assert StoredEvent.objects.filter(type="customer.renamed").count() == 2


def test_a_repeat_is_answered_even_where_the_rule_would_refuse_it_now():
    order, wish = shop.order(shop.customer(), shop.conference_on_sale()), new_id()
    first = dispatch(CancelOrder(order_id=order), command_id=wish)
    assert dispatch(CancelOrder(order_id=order), command_id=wish).position == first.position


def test_the_same_command_sent_twice_at_once_is_carried_out_once():
    ada, wish = shop.customer(), new_id()
    assert at_once(*[lambda: rename(ada, "Ada King", command_id=wish)] * 4) == []
    assert StoredEvent.objects.filter(type="customer.renamed").count() == 1


def test_a_command_that_changes_nothing_appends_nothing_and_is_remembered():
    ada, wish = shop.customer("Ada"), new_id()
    receipt = rename(ada, "Ada", command_id=wish)
    assert (receipt.position, receipt.recorded, receipt.settled) == (None, (), True)
    assert CommandRecord.objects.get(pk=wish).last_position is None


def test_a_command_is_refused_inside_somebody_elses_transaction():
    ada = shop.customer()
    with pytest.raises(RuntimeError), transaction.atomic():
        rename(ada, "Ada King")
    assert not StoredEvent.objects.filter(type="customer.renamed").exists()


def test_whoever_has_seen_another_version_is_refused_and_nothing_is_written():
    ada = shop.customer()
    rename(ada, "Ada King", if_version=1)
    with pytest.raises(ConcurrencyConflict):
        rename(ada, "Ada Byron", if_version=1)
    assert StoredEvent.objects.count() == 2


def test_many_writers_of_one_stream_conflict_and_all_get_through():
    ada = shop.customer()
    assert at_once(*[lambda n=n: rename(ada, f"Ada {n}") for n in range(8)]) == []
    versions = StoredEvent.objects.filter(stream_id=ada).values_list("version", flat=True)
    assert list(versions) == list(range(1, 10))


def test_an_id_that_another_category_has_is_taken():
    with closing(raw.connect()) as other:
        position = raw.append(other)
        other.commit()
    taken, wish = StoredEvent.objects.get(position=position).stream_id, new_id()
    with pytest.raises(StreamExists):
        dispatch(RegisterCustomer(customer_id=taken, name="Ada", email="ada@example.org"), command_id=wish)
    assert not CommandRecord.objects.filter(pk=wish).exists()


def test_the_seats_of_a_conference_are_queued_for_and_never_oversold():
    conference = shop.conference_on_sale(capacity=10)
    customers = [shop.customer() for _ in range(8)]
    assert at_once(*[lambda ada=ada: shop.order(ada, conference, 2) for ada in customers]) == []
    row = ConferenceSummary.objects.get(pk=conference)
    assert row.seat_types["standard"]["available"] == 0
    statuses = sorted(OrderSummary.objects.values_list("status", flat=True))
    assert statuses == ["awaiting_payment"] * 5 + ["refused"] * 3
    assert not OutboxCommand.objects.exclude(status="done").exists()
    assert not OutboxCommand.objects.filter(attempts__gt=1).exists()


def test_an_address_that_changes_hands_is_given_back_first():
    ada, alan = shop.customer(), shop.customer()
    dispatch(ChangeCustomer(customer_id=ada, email="one@example.org"))
    with pytest.raises(EmailTaken):
        dispatch(ChangeCustomer(customer_id=alan, email="ONE@example.org "))
    dispatch(ChangeCustomer(customer_id=ada, email="two@example.org"))
    assert dispatch(ChangeCustomer(customer_id=alan, email="one@example.org")).version == 2


def test_what_is_not_there_and_what_is_there_already_are_told_apart():
    with pytest.raises(StreamNotFound):
        rename(new_id(), "Nobody")
    ada = shop.customer()
    with pytest.raises(StreamExists):
        dispatch(RegisterCustomer(customer_id=ada, name="Ada", email="other@example.org"))


def test_a_command_that_nobody_handles_is_refused():
    @command("nobody.cares", stream="nobody_id")
    class NobodyCares(Command):
        nobody_id: object

    with pytest.raises(UnknownCommand):
        dispatch(NobodyCares(nobody_id=new_id()))


def test_snapshots_change_nothing_but_time(monkeypatch):
    monkeypatch.setattr(ConferenceSeats, "snapshot_every", 2)
    conference, ada = shop.conference_on_sale(), shop.customer()
    for _ in range(3):
        shop.order(ada, conference, 2)
    assert Snapshot.objects.filter(pk=conference).exists()
    repository.aggregate_cache.forget()
    with_snapshot = repository.get(ConferenceSeats, conference)
    Snapshot.objects.all().delete()
    repository.aggregate_cache.forget()
    without = repository.get(ConferenceSeats, conference)
    assert vars(with_snapshot) == vars(without)
    assert without.available("standard") == 94


def test_a_snapshot_of_other_code_is_ignored(monkeypatch):
    monkeypatch.setattr(ConferenceSeats, "snapshot_every", 2)
    conference = shop.conference_on_sale()
    Snapshot.objects.update(fingerprint="another", state={"nonsense": True})
    repository.aggregate_cache.forget()
    assert repository.get(ConferenceSeats, conference).available("standard") == 100


@pytest.mark.parametrize("every", [0, 1, 3, 100])
def test_an_aggregate_is_there_as_it_was_at_any_position_and_time(every, monkeypatch):
    monkeypatch.setattr(ConferenceSeats, "snapshot_every", every)
    conference, ada = shop.conference_on_sale(), shop.customer()
    places = []
    for sold in range(4):
        event = StoredEvent.objects.filter(stream_id=conference).latest("position")
        places.append((event.position, event.recorded_at, 100 - 2 * sold))
        shop.order(ada, conference, 2)
    kept = list(Snapshot.objects.values())
    for position, recorded_at, available in places:
        for upto in (position, recorded_at):
            seats = repository.get(ConferenceSeats, conference, upto=upto)
            assert seats.available("standard") == available
    assert repository.get(ConferenceSeats, conference, upto=store.head()).available("standard") == 92
    assert repository.get(ConferenceSeats, conference).available("standard") == 92
    assert list(Snapshot.objects.values()) == kept


def test_a_snapshot_is_used_for_what_was_after_it(monkeypatch):
    """Told apart by what it says, which no event does."""
    monkeypatch.setattr(ConferenceSeats, "snapshot_every", 1)
    conference, ada = shop.conference_on_sale(), shop.customer()
    shop.order(ada, conference, 2)
    (snapshot,) = Snapshot.objects.filter(pk=conference)
    Snapshot.objects.update(state=snapshot.state | {"mail_note": "by snapshot"})
    monkeypatch.setattr(ConferenceSeats, "snapshot_every", 1000)
    shop.order(ada, conference, 2)
    of_stream = StoredEvent.objects.filter(stream_id=conference).order_by("version")
    notes = [repository.get(ConferenceSeats, conference, upto=each.position).mail_note for each in of_stream]
    assert notes == [""] * (snapshot.version - 1) + ["by snapshot"] * (len(notes) - snapshot.version + 1)


def test_before_its_first_event_an_aggregate_was_not_there():
    conference = shop.conference_on_sale()
    first = StoredEvent.objects.filter(stream_id=conference).earliest("position")
    for upto in (0, first.position - 1, first.recorded_at - timedelta(microseconds=1)):
        with pytest.raises(StreamNotFound):
            repository.get(ConferenceSeats, conference, upto=upto)


@pytest.mark.parametrize("remembered", ["in memory", "in a snapshot"])
def test_seats_are_not_sold_twice_when_the_log_lost_its_last_event_to_another_one(remembered, monkeypatch):
    """As after a failover: the standby that was promoted lacked it, and sold the seats to somebody else."""
    monkeypatch.setattr(ConferenceSeats, "snapshot_every", 1)
    conference, ada = shop.conference_on_sale(capacity=3), shop.customer()
    shop.order(ada, conference, 1)
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("ALTER TABLE eventstore_event DISABLE TRIGGER eventstore_append_only")
        try:
            replaced = owner.execute(
                """UPDATE eventstore_event SET event_id = gen_random_uuid(),
                    data = jsonb_set(data, '{lines,0,quantity}', '3') WHERE type = 'seats.reserved'"""
            )
        finally:
            owner.execute("ALTER TABLE eventstore_event ENABLE TRIGGER eventstore_append_only")
    assert replaced.rowcount == 1
    if remembered == "in a snapshot":
        repository.aggregate_cache.forget()
    shop.order(ada, conference, 1)
    assert StoredEvent.objects.filter(type="seats.refused").count() == 1
    assert repository.get(ConferenceSeats, conference).available("standard") == 0


@pytest.mark.parametrize("passed", ["by events", "by a subscriber"])
def test_no_process_appends_where_the_log_was_passed_already(passed):
    """The sequence was set back, perhaps into a hole that a rolled back append left behind."""
    customer = shop.customer()
    if passed == "by a subscriber":
        SubscriberRow.objects.update(checkpoint=1000)
    before = StoredEvent.objects.count()
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(
            "SELECT setval('eventstore_event_position_seq', %s, false)", [1 if passed == "by events" else 999]
        )
    registry.forget_rows()
    with pytest.raises(SequenceSetBack, match="setval"):
        rename(customer, "Augusta Ada")
    assert StoredEvent.objects.count() == before


@pytest.mark.parametrize("appends", ["a command", "a worker without its broker"])
def test_who_is_led_to_another_server_makes_the_rows_that_are_missing_there(appends):
    """As after a failover: the standby that was promoted lacked the transaction in which a row was made."""
    customer = shop.customer()
    lost = {each.name for each in registry}
    SubscriberRow.objects.filter(subscriber__in=lost).delete()
    connections.close_all()
    rename(customer, "Augusta Ada") if appends == "a command" else send_overdue()
    assert {row.subscriber for row in SubscriberRow.objects.all()} == lost


def test_who_connects_anew_takes_nothing_back_from_a_process_that_started_later():
    """As in a rolling deployment with another mode for a subscriber."""
    customer = shop.customer()
    SubscriberRow.objects.filter(name="demographics").update(mode="sync")
    connections.close_all()
    rename(customer, "Augusta Ada")
    assert SubscriberRow.objects.get(pk="demographics").mode == "sync"


def test_what_is_remembered_in_memory_follows_what_other_processes_append():
    conference, ada = shop.conference_on_sale(), shop.customer()
    shop.order(ada, conference, 2)
    stale = repository.get(ConferenceSeats, conference)
    shop.order(ada, conference, 2)
    repository.aggregate_cache.forget()
    repository.aggregate_cache.give(stale, "default")
    assert repository.get(ConferenceSeats, conference).available("standard") == 96
