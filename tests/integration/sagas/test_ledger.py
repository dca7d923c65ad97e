"""The ledger of side effects: what is tried when, what is tried again, and what is told of it."""

import threading
import time
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from django.core import mail
from django.db import connections

from eventstore import store
from eventstore.commands import dispatch
from eventstore.context import acting, new_id
from eventstore.models import CommandRecord, StoredEvent
from eventstore.operations.base import perform
from eventstore.subscriptions import feeding
from eventstore.subscriptions.retry import retry_keys
from eventstore.testing import only_handlers
from ordering.domain.customer import CustomerRenamed
from ordering.domain.order import PlaceOrder
from ordering.domain.seats import Line
from ordering.models import OrderSummary
from sagas import tasks
from sagas.effects import preconditions
from sagas.effects.delivery import LONGEST_RETRY, deliver_one
from sagas.effects.effect import AT_LEAST_ONCE, AT_MOST_ONCE
from sagas.errors import PermanentFailure, TemporaryFailure
from sagas.models import Delivery, OutboxCommand
from sagas.operations import AbandonDelivery, MarkDelivered, RetryDelivery
from sagas.outbox import MOST_HOPS
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.eventstore import probes, raw
from tests.integration.eventstore.probes import Probe, note, query
from tests.integration.processes import eventually
from tests.integration.sagas.parcels import Labelled, Packed, SentOff, following, newer, parcel, row
from tests.integration.sagas.providers import Provider, the_one, window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

pytestmark = pytest.mark.usefixtures("parcels")


def test_outside_its_window_a_row_waits_for_it_with_the_time(notify, settings):
    provider = notify(Packed)
    settings.EFFECTS_WINDOWS = {"notify": window(HOUR, 3 * HOUR)}
    parcel(Packed)
    bring_to_rest()
    opens = settings.EFFECTS_WINDOWS["notify"].partition("-")[0]
    assert (the_one().status, the_one().waits_for, provider.calls) == ("waiting", opens, [])
    assert f"{the_one().due_at:%H:%M}" == opens
    settings.EFFECTS_WINDOWS = {"notify": window(-HOUR, HOUR)}
    bring_to_rest()
    assert not provider.calls
    let_pass(HOUR)
    bring_to_rest()
    assert (the_one().status, the_one().waits_for, len(provider.calls)) == ("done", "", 1)


def test_a_rate_is_kept_by_all_who_work_together(notify, settings):
    rows, rate, burst = 12, 8, 0.2
    settings.EFFECTS_RATES = {"notify": str(rate)}
    provider = notify(Packed, at_once=2)
    for _ in range(rows):
        parcel(Packed)
    feeding.catch_up([provider.effect])

    def work():
        while Delivery.objects.exclude(status="done").exists():
            tasks.deliver("notify")
        connections.close_all()

    begun = time.monotonic()  # and not when the first call arrives, which may come late
    _together(work, work)
    assert len(provider.calls) == rows
    assert max(provider.times) - begun >= (rows - 1) / rate - burst


@pytest.mark.parametrize("rate", [0, 0.0, "0", "0.0"])
def test_a_rate_of_0_is_no_bound(notify, settings, rate):
    settings.EFFECTS_RATES = {"notify": rate}
    provider = notify(Packed, rate=0.01)
    parcel(Packed)
    bring_to_rest()
    assert [row.status for row in Delivery.objects.all()] == ["done"]
    assert provider.effect.rate is None


def test_in_a_test_time_passes_for_a_rate_as_well(notify):
    provider = notify(Packed, rate=0.01)
    for _ in range(2):
        parcel(Packed)
    bring_to_rest()
    assert len(provider.calls) == 1
    let_pass(timedelta(seconds=100))
    bring_to_rest()
    assert len(provider.calls) == 2


def test_a_turn_that_was_taken_in_the_future_keeps_nobody_waiting(notify):
    """Guards against a clock that is set back: the effect would be silent until it has caught up."""
    provider = notify(Packed, rate=0.01)
    parcel(Packed)
    bring_to_rest()
    query("UPDATE sagas_rate_limit SET free_at = clock_timestamp() + interval '1 hour'")
    parcel(Packed)
    bring_to_rest()
    assert len(provider.calls) == 2


def test_an_effect_that_is_slow_is_at_no_more_places_than_it_may(notify):
    provider, held = notify(Packed, at_once=2), threading.Event()
    provider.answer = lambda event: held.wait(30) and None
    for _ in range(3):
        parcel(Packed)
    feeding.catch_up([provider.effect])

    def work():
        tasks.deliver("notify")
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(provider.calls) == 2)
    tasks.deliver("notify")
    assert len(provider.calls) == 2
    held.set()
    for worker in workers:
        worker.join(60)
    assert len(set(provider.calls)) == 3
    assert set(Delivery.objects.values_list("status", flat=True)) == {"done"}


def test_what_fails_is_tried_again_ever_later_and_given_up_in_the_end(notify):
    provider = notify(Packed, retries=4)
    provider.answer = OSError("nobody answers ada@example.org")
    parcel(Packed)
    for attempts in range(1, 5):
        ((before,),) = query("SELECT clock_timestamp()")
        assert provider.attempt()
        found = the_one()
        assert (found.status, found.attempts) == ("pending", attempts)
        assert found.due_at - before >= timedelta(seconds=0.8) * 2 ** (attempts - 1)
        assert found.due_at - before < timedelta(seconds=60)
    assert provider.attempt()
    assert (the_one().status, the_one().attempts, len(set(provider.calls))) == ("failed", 5, 1)
    assert the_one().error.startswith("OSError in _act, line")
    assert not provider.attempt()


def test_the_pause_before_a_retry_has_an_end(notify):
    provider = notify(Packed, retries=100)
    provider.answer = OSError()
    parcel(Packed)
    provider.attempt()
    Delivery.objects.update(attempts=60)
    ((before,),) = query("SELECT clock_timestamp()")
    provider.attempt()
    assert the_one().due_at - before < timedelta(seconds=1.2 * LONGEST_RETRY + 60)


@pytest.mark.parametrize("promise", [AT_LEAST_ONCE, AT_MOST_ONCE])
def test_what_is_no_use_is_not_tried_again(promise, notify):
    provider = notify(Packed, delivery=promise)
    provider.answer = PermanentFailure("there is no such address")
    parcel(Packed)
    bring_to_rest()
    assert (the_one().status, len(provider.calls)) == ("failed", 1)
    assert the_one().error == "PermanentFailure: there is no such address"


@pytest.mark.parametrize("promise", [AT_LEAST_ONCE, AT_MOST_ONCE])
def test_what_has_certainly_not_happened_is_tried_again_when_the_provider_says(promise, notify):
    provider = notify(Packed, delivery=promise)
    provider.answer = TemporaryFailure("too many requests", after=timedelta(minutes=7))
    parcel(Packed)
    ((before,),) = query("SELECT clock_timestamp()")
    provider.attempt()
    assert (the_one().status, the_one().error) == ("pending", "TemporaryFailure: too many requests")
    assert the_one().due_at - before >= timedelta(minutes=7)
    provider.answer = None
    let_pass(timedelta(minutes=8))
    bring_to_rest()
    assert (the_one().status, the_one().error, len(set(provider.calls))) == ("done", "", 1)


def test_who_dies_while_acting_at_most_once_leaves_it_in_doubt_and_at_least_once_to_others(notify):
    provider = notify(Packed, delivery=AT_MOST_ONCE)
    parcel(Packed)
    feeding.catch_up([provider.effect])
    Delivery.objects.update(status="running", attempts=1, lease_until="2000-01-01T00:00:00Z")
    bring_to_rest()
    assert (the_one().status, provider.calls) == ("in doubt", [])
    provider.effect.delivery = AT_LEAST_ONCE
    Delivery.objects.update(status="running")
    bring_to_rest()
    assert (the_one().status, len(provider.calls), the_one().attempts) == ("done", 1, 2)


def test_an_effect_that_is_deployed_later_leaves_the_past_alone(notify):
    parcel(Packed)
    provider = notify(Packed)
    parcel(Packed)
    bring_to_rest()
    assert (row("notify").began_after, len(provider.calls)) == (1, 1)
    assert the_one().position == 2


def test_events_that_an_effect_answers_are_recorded_once_though_it_acted_twice(notify):
    provider = notify(Packed)
    box, began, late = parcel(Packed), threading.Event(), threading.Event()
    feeding.catch_up([provider.effect])

    def answer(event):
        if len(provider.calls) == 1:
            began.set()
            assert late.wait(30)
        return SentOff(parcel_id=event.parcel_id, note=f"of {len(provider.calls)} calls")

    provider.answer = answer

    def act_slowly():
        deliver_one(provider.effect)
        connections.close_all()

    slow = threading.Thread(target=act_slowly)
    slow.start()
    assert began.wait(30)
    Delivery.objects.update(lease_until="2000-01-01T00:00:00Z")
    assert deliver_one(provider.effect)
    late.set()
    slow.join(60)
    assert len(set(provider.calls)) == 1
    assert (len(provider.calls), the_one().status, the_one().attempts) == (2, "done", 2)
    told = StoredEvent.objects.get(type=SentOff.stored)
    assert (told.category, told.stream_id, told.data["note"]) == ("effect", provider.calls[0], "of 2 calls")
    packed = StoredEvent.objects.get(stream_id=box)
    assert (told.causation_id, told.correlation_id) == (packed.event_id, packed.correlation_id)
    assert (told.actor, told.metadata["hops"]) == ("effect:notify", 1)


class Attempt:
    """One that acts until it is told how it ends, and whose lease may have run out by then."""

    def __init__(self, provider):
        self.begun, self._told, self._answer = threading.Event(), threading.Event(), None
        provider.answer = self._act
        self._thread = threading.Thread(target=self._run, args=[provider.effect])
        self._thread.start()
        assert self.begun.wait(30)

    def ends(self, answer):
        self._answer = answer
        self._told.set()
        self._thread.join(60)

    def _act(self, event):
        self.begun.set()
        assert self._told.wait(30)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer and SentOff(parcel_id=event.parcel_id, note=self._answer)

    def _run(self, effect):
        deliver_one(effect)
        connections.close_all()


def attempt_past_its_lease(provider, settings):
    """The first at a new row, which acts for longer than it may."""
    parcel(Packed)
    feeding.catch_up([provider.effect])
    settings.EFFECTS_LEASE_SECONDS = 0.001
    first = Attempt(provider)
    eventually(lambda: preconditions.is_due(provider.effect))
    settings.EFFECTS_LEASE_SECONDS = 60
    return first


def attempts_at_once(provider, settings):
    """Two at the same row: the second began when the lease of the first had run out."""
    return attempt_past_its_lease(provider, settings), Attempt(provider)


def notes():
    return [each.data["note"] for each in StoredEvent.objects.filter(type=SentOff.stored)]


@pytest.mark.parametrize("later", ["second", None, OSError(), PermanentFailure("too late")])
def test_the_success_of_an_earlier_attempt_ends_the_row_and_nothing_reopens_it(later, notify, settings):
    provider = notify(Packed, at_once=2)
    first, second = attempts_at_once(provider, settings)
    first.ends("first")
    assert (the_one().status, the_one().error, notes()) == ("done", "", ["first"])
    second.ends(later)
    assert (the_one().status, the_one().error, notes()) == ("done", "", ["first"])
    assert not provider.attempt()


@pytest.mark.parametrize("later", [OSError(), PermanentFailure("no such address")])
def test_a_success_counts_though_a_later_attempt_has_failed_meanwhile(later, notify, settings):
    provider = notify(Packed, at_once=2)
    first, second = attempts_at_once(provider, settings)
    second.ends(later)
    assert the_one().status in {"pending", "failed"}
    first.ends("first")
    assert (the_one().status, the_one().error, notes()) == ("done", "", ["first"])
    assert not provider.attempt()


def test_a_failure_counts_only_while_no_later_attempt_has_begun(notify, settings):
    provider = notify(Packed, at_once=2)
    first, second = attempts_at_once(provider, settings)
    first.ends(PermanentFailure("no such address"))
    assert (the_one().status, the_one().error) == ("running", "")
    second.ends("second")
    assert (the_one().status, notes()) == ("done", ["second"])


def test_a_failure_does_not_count_for_an_attempt_that_staff_asked_for_since(notify, settings):
    provider = notify(Packed, at_once=2, retries=0)
    first = attempt_past_its_lease(provider, settings)
    assert deliver_one(provider.effect)
    assert the_one().status == "failed"
    perform(RetryDelivery(target="notify"), by="anna")
    again = Attempt(provider)
    assert the_one().attempts == 1
    first.ends(PermanentFailure("no such address"))
    assert the_one().status == "running"
    again.ends("again")
    assert (the_one().status, notes()) == ("done", ["again"])


def test_what_staff_gave_up_and_has_happened_all_the_same_counts_as_done(notify, settings):
    provider = notify(Packed, at_once=2)
    first, second = attempts_at_once(provider, settings)
    second.ends(PermanentFailure("no such address"))
    perform(AbandonDelivery(target="notify"), by="anna", reason="they moved")
    assert the_one().status == "abandoned"
    first.ends("first")
    assert (the_one().status, notes()) == ("done", ["first"])


def test_what_staff_marked_delivered_stays_so_when_it_turns_out_to_have_happened(notify, settings):
    provider = notify(Packed, at_once=2, delivery=AT_MOST_ONCE)
    first = attempt_past_its_lease(provider, settings)
    assert deliver_one(provider.effect)
    assert the_one().status == "in doubt"
    perform(MarkDelivered(target="notify"), by="anna", reason="the customer has it")
    finished_at = the_one().finished_at
    first.ends("first")
    assert (the_one().status, the_one().finished_at, notes()) == ("done", finished_at, [])


def test_what_is_in_doubt_is_done_once_the_attempt_turns_out_to_go_on_and_succeeds(notify, settings):
    provider = notify(Packed, at_once=2, delivery=AT_MOST_ONCE)
    first = attempt_past_its_lease(provider, settings)
    assert deliver_one(provider.effect)
    assert the_one().status == "in doubt"
    first.ends("first")
    assert (the_one().status, the_one().error, notes()) == ("done", "", ["first"])


def test_an_attempt_that_fails_tells_nothing(notify):
    provider = notify(Packed)
    provider.answer = OSError()
    parcel(Packed)
    provider.attempt()
    provider.answer = lambda event: [SentOff(parcel_id=event.parcel_id, note=note) for note in "ab"]
    provider.attempt()
    assert [each.data["note"] for each in StoredEvent.objects.filter(type=SentOff.stored)] == ["a", "b"]


@pytest.mark.parametrize("nonsense", [True, "sent", lambda event: [SentOff(parcel_id=event.parcel_id, note="a")] * 201])
def test_an_answer_that_can_not_be_recorded_is_for_staff_and_never_has_it_done_again(nonsense, notify):
    provider = notify(Packed)
    provider.answer = nonsense
    parcel(Packed)
    bring_to_rest()
    let_pass(DAY)
    bring_to_rest()
    assert (the_one().status, len(provider.calls)) == ("in doubt", 1)
    assert the_one().error
    assert store.head() == 1


def test_effects_and_commands_that_follow_from_each_other_without_end_are_stopped(notify):
    provider = notify(Packed)
    for hops in (MOST_HOPS, MOST_HOPS + 1):
        with acting(hops=hops):
            parcel(Packed)
    bring_to_rest()
    first, last = Delivery.objects.order_by("position")
    assert (first.status, last.status, len(provider.calls)) == ("done", "failed", 1)
    assert last.error.startswith("TooManyHops")


def test_the_ledger_knows_nobody(settings):
    works, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.integration.sagas.providers.Refusing"
    ada = shop.customer("Ada Lovelace")
    bring_to_rest()
    assert (the_one().status, the_one().error.partition(" in ")[0]) == ("pending", "OSError")
    settings.EMAIL_BACKEND = works
    shop.customer("Charles Babbage")
    let_pass(DAY)
    bring_to_rest()
    assert len(mail.outbox) == 2
    for table in ("sagas_delivery", "sagas_rate_limit", "eventstore_doorbell"):
        kept = str(query(f"SELECT row_to_json(kept) FROM {table} AS kept"))
        assert not any(word in kept for word in ("Ada", "Babbage", "example.org", "Welcome", ada.hex, str(ada)))


def test_an_order_that_is_rolled_back_after_it_was_appended_leaves_nothing():
    conference, ada = shop.conference_on_sale(), shop.customer()
    bring_to_rest()
    wish, before = new_id(), StoredEvent.objects.count()
    command = PlaceOrder(order_id=new_id(), customer_id=ada, conference_id=conference, lines=(Line("standard", 1),))
    mail.outbox.clear()
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(_REFUSE_TO_COMMIT)
        try:
            with pytest.raises(psycopg.DatabaseError, match="the disk is full"):
                dispatch(command, command_id=wish)
        finally:
            owner.execute("DROP FUNCTION refuse_to_commit CASCADE")
    bring_to_rest()
    assert StoredEvent.objects.count() == before
    assert not CommandRecord.objects.filter(pk=wish).exists()
    assert not OrderSummary.objects.exists()
    assert not OutboxCommand.objects.exists()
    assert not Delivery.objects.exclude(effect="mail.welcome").exists()
    assert not mail.outbox
    assert dispatch(command, command_id=wish).settled
    assert OrderSummary.objects.get().status == "awaiting_payment"


_REFUSE_TO_COMMIT = """
    CREATE FUNCTION refuse_to_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$;
    CREATE CONSTRAINT TRIGGER refuse_to_commit AFTER INSERT ON eventstore_event
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_to_commit()"""


@pytest.fixture
def after_probe(notify):
    """An effect of what a read model, that needs time, has to show first."""
    with following(Probe()):
        yield notify(CustomerRenamed, after=["probe"])


def test_a_row_waits_for_the_read_model_that_it_is_about(after_probe):
    with only_handlers("notify"):
        note("a")
        bring_to_rest()
        assert (the_one().status, the_one().waits_for, the_one().due_at) == ("waiting", "probe", preconditions.FAR)
        let_pass(DAY)
        bring_to_rest()
    assert not after_probe.calls
    bring_to_rest()
    assert (the_one().status, the_one().waits_for, len(after_probe.calls)) == ("done", "", 1)


def test_a_row_waits_for_its_own_key_and_goes_on_as_soon_as_that_is_healed(after_probe):
    probes.go_wrong("a")
    note("a")
    note("b")
    bring_to_rest()
    first, other = Delivery.objects.order_by("position")
    assert (first.status, first.waits_for, other.status) == ("waiting", "probe (parked)", "done")
    probes.mend("a")
    retry_keys("probe", ["a"])
    bring_to_rest()
    assert Delivery.objects.filter(status="done").count() == 2
    assert len(set(after_probe.calls)) == 2


def test_a_read_model_that_does_not_want_the_event_is_not_waited_for(notify):
    notify(Packed, after=["probe"])
    with following(Probe()), only_handlers("notify"):
        parcel(Packed)
        bring_to_rest()
        assert the_one().status == "done"


def _together(*work):
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


@pytest.mark.parametrize("promise", [AT_LEAST_ONCE, AT_MOST_ONCE])
def test_a_delivery_of_an_event_that_only_newer_code_can_read_is_put_off_however_often(promise, notify):
    provider = notify(Packed, delivery=promise, retries=1)
    with newer(Packed):
        parcel(Packed)
        feeding.catch_up([provider.effect])
    for _ in range(5):
        assert provider.attempt()
    left = the_one()
    assert (left.status, left.attempts, provider.calls) == ("pending", 0, [])
    assert "can't read this event" in left.error


def test_a_delivery_of_an_event_that_the_effect_follows_in_newer_code_only_is_put_off(notify):
    after, before = notify(Labelled, version=2), Provider(Packed)
    parcel(Labelled)
    feeding.catch_up([after.effect])
    assert deliver_one(before.effect)
    assert (the_one().status, the_one().attempts, before.calls) == ("pending", 0, [])
    let_pass(timedelta(seconds=2))
    assert deliver_one(after.effect)
    assert (the_one().status, len(after.calls)) == ("done", 1)


def test_an_effect_that_follows_another_event_takes_over_with_a_higher_version_and_not_by_starting_last(notify):
    def deploy(event, version):
        with following(Provider(event, version=version).effect):
            return row("notify").version, row("notify").types_hash == Provider(event).effect.types_hash

    assert deploy(Packed, 1) == (1, True)
    assert deploy(Labelled, 1) == (1, False)
    assert deploy(Labelled, 2) == (2, True)
    assert deploy(Packed, 1) == (2, False)
