"""What workers do, and what is left when they die."""

import os
import time
from contextlib import closing

import pytest
from django.db import ProgrammingError, connections

from config.tasks import tick
from eventstore import database, store
from eventstore.commands import dispatch
from eventstore.models import StoredEvent, SubscriberRow
from eventstore.subscriptions.feed_state import NEAR
from eventstore.subscriptions.registry import registry
from eventstore.tasks import Round, follow
from eventstore.transient_errors import OUTAGES
from ordering.domain.customer import ChangeCustomer
from ordering.models import DailySales, OrderSummary
from projections import tasks
from projections.models import Generation
from projections.rebuild import generations
from sagas.models import Delivery, Timer
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import query, waiting_for
from tests.integration.processes import clock, eventually, mail_server, worker

pytestmark = pytest.mark.usefixtures("clean")


def row(name):
    return SubscriberRow.objects.get(pk=name)


def process_id(name):
    return int(name.rpartition(":")[2])


def paid_order():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    shop.pay(order)
    return order


def test_an_async_read_model_is_fed_by_another_process():
    with worker(queues="live"):
        paid_order()
        eventually(DailySales.objects.exists)
        eventually(lambda: row("sales-by-day").checkpoint == store.head())
    assert process_id(row("sales-by-day").fed_by) != os.getpid()
    assert process_id(row("order-summaries").fed_by) == os.getpid()
    assert DailySales.objects.get().received == shop.PRICE.amount


def test_one_task_feeds_all_async_subscribers(settings):
    settings.EVENTSTORE_MODES = {"customer-profiles": "async"}
    paid_order()
    assert {row(name).checkpoint for name in ("customer-profiles", "sales-by-day")} == {0}
    follow()
    assert {row(name).checkpoint for name in ("customer-profiles", "sales-by-day")} == {store.head()}


def transactions_of(*names):
    """Those that moved the checkpoints of these rows last."""
    return {found for (found,) in query("SELECT xmin::text FROM eventstore_subscriber WHERE name = ANY(%s)", [*names])}


def test_async_subscribers_near_the_end_of_the_log_are_fed_together_and_others_each_alone():
    """Those that use no other, or they might wait a turn for that one."""
    near, behind = ("sales-by-day", "excess"), ("demographics", "failed-refunds")
    assert not any(registry[name].uses for name in (*near, *behind))
    paid_order()
    follow()
    assert len(transactions_of(*near, *behind)) == 1

    many = NEAR - store.head() + 1
    ada = shop.customer()
    for number in range(max(0, many)):
        dispatch(ChangeCustomer(customer_id=ada, name=f"Ada {number}"))
    follow()
    SubscriberRow.objects.filter(name__in=behind).update(checkpoint=0)
    paid_order()
    follow()
    assert {row(name).checkpoint for name in (*near, *behind)} == {store.head()}
    assert len(transactions_of(*near)) == 1
    assert len(transactions_of(*near, *behind)) == 3


def test_watches_let_events_gather_and_nobody_else_does(monkeypatch):
    monkeypatch.setattr("eventstore.tasks.GATHERING", 3600)
    others = ("sales-by-day", "journal")
    feeding_round = Round()
    paid_order()
    assert feeding_round.feed()
    watched = store.head()
    assert {row(name).checkpoint for name in ("watch.books", *others)} == {watched}
    paid_order()
    assert feeding_round.feed()
    assert row("watch.books").checkpoint == watched
    assert {row(name).checkpoint for name in others} == {store.head()} != {watched}
    assert not feeding_round.feed()
    follow()
    assert row("watch.books").checkpoint == store.head()


def test_mails_are_sent_by_another_process_once_each():
    with mail_server() as (server, url), worker(EMAIL_URL=url):
        paid_order()
        eventually(lambda: len(server.received) == 3)
        eventually(lambda: Delivery.objects.filter(status="done").count() == 3)
        eventually(lambda: not SubscriberRow.objects.filter(checkpoint__lt=store.head()).exists())
        time.sleep(1)
    assert len({mail["Message-ID"] for mail in server.received}) == len(server.received) == 3
    assert all(mail.is_multipart() for mail in server.received)
    told = StoredEvent.objects.filter(type="mail.sent")
    assert sorted(event.data["message_id"] for event in told) == sorted(mail["Message-ID"] for mail in server.received)
    for event in told:
        about = StoredEvent.objects.get(position=event.data["position"])
        assert (about.event_id, str(about.stream_id)) == (event.causation_id, event.data["stream_id"])
        assert event.correlation_id == about.correlation_id
        assert "@example.org" not in str(event.data)
    assert os.getpid() not in {process_id(owner) for owner in Delivery.objects.values_list("owner", flat=True)}


def test_what_a_lost_bell_left_is_found_by_the_clock():
    paid_order()
    assert row("sales-by-day").checkpoint == 0
    with worker(), clock():
        eventually(lambda: row("sales-by-day").checkpoint == store.head())
        eventually(lambda: Delivery.objects.filter(status="done").count() == 2)


def test_a_timer_that_is_due_fires_once():
    conference, ada = shop.conference_on_sale(), shop.customer()
    order = shop.order(ada, conference)
    Timer.objects.update(due_at="2000-01-01T00:00:00Z")
    with worker(), clock():
        eventually(lambda: OrderSummary.objects.get(pk=order).status == "expired")
    assert Timer.objects.get().status == "fired"


def test_a_tick_that_fails_keeps_no_other_from_its_work():
    shop.order(shop.customer(), shop.conference_on_sale())
    Timer.objects.update(due_at="2000-01-01T00:00:00Z")
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("ALTER TABLE projections_part RENAME TO moved_away")
        try:
            with pytest.raises(ExceptionGroup) as failed:
                tick.run()
        finally:
            owner.execute("ALTER TABLE moved_away RENAME TO projections_part")
    assert [type(error) for error in failed.value.exceptions] == [ProgrammingError]
    assert Timer.objects.get().status == "fired"


def test_ticks_that_fail_for_want_of_the_database_are_one_outage():
    """Guards against a traceback for each of them, of which an outage has one a second."""
    with closing(raw.connect("default", autocommit=True)) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [database.session().info.backend_pid])
    with pytest.raises(OUTAGES):
        tick.run()
    connections.close_all()


def test_the_tasks_of_a_process_keep_its_connection_and_open_another_when_it_breaks():
    def sessions():
        return set(query("SELECT pid FROM pg_stat_activity WHERE application_name = 'ticking'"))

    def await_ticks(number):
        answered = "SELECT coalesce(max(answered), 0) FROM eventstore_doorbell WHERE name = %s"
        ((before,),) = query(answered, tick.name)
        eventually(lambda: query(answered, tick.name)[0][0] >= before + number)

    with clock(PGAPPNAME="ticking"):
        await_ticks(5)
        kept = sessions()
        for _ in range(3):
            await_ticks(1)
            assert sessions() == kept
        query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ticking'")
        await_ticks(1)
        eventually(lambda: len(sessions() - kept) == len(kept))
        again = sessions()
        await_ticks(3)
        assert sessions() == again


def test_a_worker_killed_while_the_mail_server_holds_its_data_sends_the_same_message_once():
    with mail_server() as (server, url):
        server.hold = True
        shop.customer()
        with worker(EMAIL_URL=url) as first, clock():
            assert server.held.wait(90)
            first.kill()
        running = Delivery.objects.get()
        assert running.status == "running"
        Delivery.objects.update(lease_until="2000-01-01T00:00:00Z")
        server.hold = False
        with worker(EMAIL_URL=url), clock():
            eventually(lambda: Delivery.objects.filter(status="done").exists())
            time.sleep(1)
    assert len(server.received) == 1
    assert Delivery.objects.get().attempts == 2
    assert Delivery.objects.get().owner != running.owner


def test_a_worker_killed_inside_a_batch_loses_nothing_and_repeats_nothing():
    with worker():
        paid_order()
        eventually(lambda: row("sales-by-day").checkpoint == store.head())
    with closing(raw.connect("owner")) as blocker, worker() as victim:
        # It is about to read: what it writes goes out with its COMMIT, and that the server would carry out without it.
        blocker.execute("LOCK TABLE ordering_dailysales IN ACCESS EXCLUSIVE MODE")
        paid_order()
        eventually(lambda: waiting_for("ordering_dailysales"))
        victim.kill()
        blocker.rollback()
    received = StoredEvent.objects.filter(type="finance.payment-received").latest("position")
    assert row("sales-by-day").checkpoint < received.position
    with worker(), clock():
        eventually(lambda: row("sales-by-day").checkpoint == store.head())
    days = DailySales.objects.all()  # two where midnight was in between
    assert (sum(day.payments for day in days), sum(day.received for day in days)) == (2, shop.PRICE.amount * 2)


def test_a_rebuild_goes_on_after_its_worker_was_killed():
    for _ in range(5):
        paid_order()
    generation = generations.rebuild("order-summaries", requested_by="test")
    with closing(raw.connect()) as reader, worker() as victim, clock():
        reader.execute("SELECT * FROM ordering_ordersummary")
        tasks.ring(generation)
        eventually(lambda: Generation.objects.get(pk=generation.pk).waits_for)
        victim.kill()
        reader.rollback()
    assert Generation.objects.get(pk=generation.pk).status == "building"
    with worker(), clock():
        eventually(lambda: Generation.objects.get(pk=generation.pk).status == "live")
    assert OrderSummary.objects.filter(status="confirmed").count() == 5
    assert process_id(generation.parts.get().built_by) != os.getpid()
