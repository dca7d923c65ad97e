"""A process that has left its transaction, or seems to, loses it; one that is only busy doesn't."""

import time
from contextlib import closing, suppress

import psycopg
import pytest

from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import SubscriberRow
from eventstore.store import Changes
from eventstore.subscriptions import feeding, pace
from eventstore.subscriptions.registry import registry
from eventstore.testing import only_handlers
from eventstore.transient_errors import OUTAGES, is_lost
from ordering.domain.customer import ChangeCustomer, CustomerRenamed
from ordering.domain.seats import AddSeats, SeatType
from ordering.models import CustomerProfile
from ordering.projections.customer import CustomerProfiles
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.beside import Beside
from tests.integration.eventstore.freezing import STOPS
from tests.integration.eventstore.probes import Probe, note, query, registered, tables, waiting_for
from tests.integration.processes import eventually, program

pytestmark = pytest.mark.usefixtures("clean")

FREEZING = "tests.integration.eventstore.freezing"


class Slow(Probe):
    """Takes its time for each event, in which nothing is heard of it."""

    def __init__(self, seconds):
        super().__init__("slow")
        self.seconds = seconds

    def apply(self, cursor, work):
        time.sleep(self.seconds * len(work))
        super().apply(cursor, work)


@pytest.fixture(autouse=True)
def feeders_are_impatient(settings):
    """As in production; and whoever comes next need not go slowly for it."""
    settings.EVENTSTORE_FEEDER_IDLE_SECONDS = 1.0
    yield
    pace.pace.forget()


@pytest.fixture
def probes(clean):
    with tables():
        yield


def test_a_process_that_freezes_while_it_decides_does_not_keep_its_conference():
    conference_id = shop.conference_on_sale()
    with program("-m", FREEZING, "decide", str(conference_id), ready=STOPS):
        more = AddSeats(conference_id=conference_id, seat_type=SeatType("more", "More", shop.PRICE, 1, 1))
        assert dispatch(more).position


def test_a_process_that_freezes_while_it_feeds_does_not_keep_everybody_pending():
    frozen, ada = shop.customer(), shop.customer()
    with program("-m", FREEZING, "feed", str(frozen), ready=STOPS):
        eventually(lambda: dispatch(ChangeCustomer(customer_id=ada, name=new_id().hex)).settled)
        assert CustomerProfile.objects.get(pk=frozen).name == "Ada King"


def test_who_is_busy_with_its_events_for_longer_than_a_transaction_may_be_idle_is_not_cut_off(monkeypatch, settings):
    """A fold of so many events is heard of between two of them."""
    settings.EVENTSTORE_FEEDER_IDLE_SECONDS = 3.0
    fold = CustomerProfiles.renamed

    def slowly(self, row, event, meta):
        time.sleep(0.15)
        fold(self, row, event, meta)

    ada = shop.customer()
    for name in range(30):
        store.append(
            Changes(
                stream_id=ada,
                category="customer",
                expected=store.version_of(ada),
                events=[CustomerRenamed(customer_id=ada, name=str(name))],
            )
        )
    monkeypatch.setattr(CustomerProfiles, "renamed", slowly)
    with only_handlers("customer-profiles"):
        assert feeding.feed([registry["customer-profiles"]]).moved
    assert CustomerProfile.objects.get().name == "29"


def test_who_was_cut_off_is_given_fewer_events_until_it_has_caught_up(probes):
    with registered(Slow(0.05)) as slow, only_handlers("slow"):
        last = note(*["a"] * 40)
        feed_until(lambda: slow.row.checkpoint == last)
        assert slow.noted("a") == list(range(1, last + 1))
        assert (slow.row.status, slow.row.failures, slow.parked()) == ("running", 0, {})


def test_who_is_cut_off_again_and_again_is_told_of_and_halted_and_the_others_go_on(probes, monkeypatch):
    monkeypatch.setattr(pace, "TRIES", 2)
    with registered(Slow(1.5), Probe("quick")) as (slow, quick), only_handlers("slow", "quick"):
        last = note("a")
        feed_until(lambda: slow.row.status == "halted")
        assert "IdleInTransactionSessionTimeout" in slow.row.last_error
        assert (quick.row.status, quick.row.checkpoint, quick.noted("a")) == ("running", last, [last])


def feed_until(condition):
    """As a worker does, whose next task begins where the one before has failed."""

    def feed():
        try:
            feeding.feed_sync()
        except Exception as error:
            if not is_lost(error):
                raise
        return condition()

    eventually(feed, 120)


def test_who_was_cut_off_has_met_an_outage_which_is_told_without_a_traceback():
    with closing(raw.connect("default")) as frozen:
        frozen.execute("SET LOCAL idle_in_transaction_session_timeout = '20ms'")
        eventually(lambda: not query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", frozen.info.backend_pid))
        with pytest.raises(OUTAGES) as cut_off:
            frozen.execute("SELECT 1")
    assert is_lost(cut_off.value)
    assert isinstance(cut_off.value, psycopg.errors.IdleInTransactionSessionTimeout)


def test_of_two_threads_that_tell_of_a_lost_connection_one_does():
    registry.make_rows()
    (subscriber, *_) = registry
    told = pace.Pace()
    with suppress(psycopg.OperationalError), told.trying(subscriber):
        raise psycopg.OperationalError("the connection is lost")
    with closing(raw.connect()) as busy:
        busy.execute("SELECT FROM eventstore_subscriber WHERE name = %s FOR UPDATE", [subscriber.name])
        first = Beside(lambda: told.tell("default"))
        eventually(lambda: waiting_for("UPDATE eventstore_subscriber"))
        assert Beside(lambda: told.tell("default")).outcome() is None
        busy.rollback()
        assert first.outcome() is None
    assert SubscriberRow.objects.get(pk=subscriber.name).failures == 1
