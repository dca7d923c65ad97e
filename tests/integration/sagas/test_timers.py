"""Timers fire once, at their time, whoever looks and whatever is away."""

import threading
from datetime import date, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone

from config import bundled
from eventstore.context import new_id
from eventstore.models import ParkedEvent, StoredEvent
from eventstore.operations.base import perform
from ordering.models import OrderSummary
from sagas import tasks
from sagas import timers as firing
from sagas.errors import InvalidStep, NothingToResolve
from sagas.models import OutboxCommand, Timer
from sagas.operations import CancelTimer, MoveTimer
from sagas.outbox import MOST_HOPS
from sagas.saga import Saga, on_refusal
from sagas.saga import on as reacts
from sagas.steps import After, At, Cancel
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.processes import eventually, worker
from tests.integration.sagas.parcels import (
    Labelled,
    Packed,
    SendOff,
    SentOff,
    ShippingState,
    following,
    go_wrong,
    outgoing,
    parcel,
    sent_off,
    timers,
)
from tests.servers import temporary_home

WHO = "anna"
DEADLINE = timedelta(days=1)


class Deadline(Saga[ShippingState], name="deadline"):
    """Sends a parcel off a day after it was packed, whatever happens, unless it is labelled before."""

    state = ShippingState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        yield Cancel("deadline")
        yield After(DEADLINE, SendOff(parcel_id=event.parcel_id, note="late"), name="deadline")

    @reacts(Labelled, key="parcel_id")
    def labelled(self, state, event, meta):
        yield Cancel("deadline")

    @on_refusal(SendOff)
    def not_sent_off(self, state, event, meta): ...


@pytest.fixture
def deadline(parcels):
    with following(Deadline()):
        yield


def packed(*more):
    box = parcel(Packed, *more)
    bring_to_rest(deliver=False)
    return box


@pytest.mark.usefixtures("deadline")
def test_a_timer_fires_when_its_time_has_come_and_then_no_more():
    box = packed()
    let_pass(DEADLINE - timedelta(minutes=1))
    bring_to_rest(deliver=False)
    assert (sent_off(box), timers(box)) == ([], ["waiting"])
    let_pass(timedelta(minutes=1))
    bring_to_rest(deliver=False)
    let_pass(2 * DEADLINE)
    bring_to_rest(deliver=False)
    assert (sent_off(box), timers(box)) == (["late"], ["fired"])


@pytest.mark.usefixtures("deadline")
def test_whoever_keeps_time_knows_in_how_many_seconds_to_look_again():
    assert tasks.keep_time() is None
    box = packed()
    left = tasks.keep_time()
    assert left is not None
    assert 0 < DEADLINE.total_seconds() - left < 3_600
    let_pass(DEADLINE)
    assert tasks.keep_time() is None
    assert timers(box) == ["fired"]


@pytest.mark.usefixtures("deadline")
def test_what_a_timer_sends_begins_a_chain_of_its_own():
    box = packed()
    let_pass(DEADLINE)
    bring_to_rest(deliver=False)
    timer, command = Timer.objects.get(), OutboxCommand.objects.get()
    assert command.command_id == command.root == timer.command_id
    assert (command.hops, command.actor) == (0, "saga:deadline")
    happened = StoredEvent.objects.filter(stream_id=box).latest("version")
    assert (happened.causation_id, happened.correlation_id) == (timer.command_id, timer.correlation_id)


@pytest.mark.usefixtures("deadline")
def test_a_timer_that_is_cancelled_does_not_fire():
    together, later = packed(Labelled), packed()
    parcel(Labelled, parcel_id=later)
    bring_to_rest(deliver=False)
    let_pass(DEADLINE)
    bring_to_rest(deliver=False)
    assert (sent_off(together), sent_off(later)) == ([], [])
    assert (timers(together), timers(later)) == (["cancelled"], ["cancelled"])


@pytest.mark.usefixtures("deadline")
def test_a_timer_that_is_set_anew_fires_at_the_later_time():
    box = packed()
    let_pass(DEADLINE / 2)
    parcel(Packed, parcel_id=box)
    bring_to_rest(deliver=False)
    assert timers(box) == ["cancelled", "waiting"]
    let_pass(DEADLINE / 2)
    bring_to_rest(deliver=False)
    assert sent_off(box) == []
    let_pass(DEADLINE / 2)
    bring_to_rest(deliver=False)
    assert sent_off(box) == ["late"]


@pytest.mark.usefixtures("deadline")
def test_whoever_fires_beside_others_fires_each_timer_once():
    boxes = [packed() for _ in range(12)]
    let_pass(DEADLINE)
    ready, fired = threading.Barrier(4), []

    def fire():
        ready.wait(30)
        fired.append(firing.fire_all())
        connections.close_all()

    firers = [threading.Thread(target=fire) for _ in range(4)]
    for firer in firers:
        firer.start()
    for firer in firers:
        firer.join(60)
    assert sum(fired) == len(boxes)
    bring_to_rest(deliver=False)
    assert [sent_off(box) for box in boxes] == [["late"]] * len(boxes)


@pytest.mark.usefixtures("deadline")
def test_a_timer_that_is_too_late_is_refused_and_does_no_harm():
    box = packed()
    go_wrong(box, "heavy")
    let_pass(DEADLINE)
    bring_to_rest(deliver=False)
    assert (sent_off(box), outgoing(box), timers(box)) == ([], ["refused"], ["fired"])


@pytest.mark.usefixtures("deadline")
def test_staff_move_a_timer_to_another_time():
    box = packed()
    timer = Timer.objects.get()
    earlier = timezone.now() - timedelta(seconds=1)
    asked = MoveTimer(target="deadline", timer=timer.pk, due_at=earlier)
    assert "not at" in asked.preview()
    perform(asked, by=WHO, reason="it is wanted now")
    bring_to_rest(deliver=False)
    assert sent_off(box) == ["late"]
    with pytest.raises(NothingToResolve):
        perform(asked, by=WHO, reason="once more")


@pytest.mark.usefixtures("deadline")
def test_staff_cancel_a_timer():
    box, other = packed(), packed()
    timer = Timer.objects.get(key=str(box))
    perform(CancelTimer(target="deadline", timer=timer.pk), by=WHO, reason="it has waited long enough")
    let_pass(DEADLINE)
    bring_to_rest(deliver=False)
    assert (sent_off(box), sent_off(other)) == ([], ["late"])
    for gone in (timer.pk, Timer.objects.get(key=str(other)).pk, 0):
        with pytest.raises(NothingToResolve):
            perform(CancelTimer(target="deadline", timer=gone), by=WHO, reason="too late")


@pytest.mark.parametrize("when", [datetime(2030, 1, 1), date(2030, 1, 1), "2030-01-01T00:00Z", None])
def test_a_time_without_a_time_zone_is_no_time_to_send_at(when):
    with pytest.raises(InvalidStep, match="'reminder' has no time zone"):
        At(when, SendOff(parcel_id=new_id()), name="reminder")


def test_a_delay_is_a_timedelta():
    with pytest.raises(InvalidStep, match="'reminder' is no timedelta"):
        After(60, SendOff(parcel_id=new_id()), name="reminder")  # type: ignore[arg-type]


@pytest.mark.usefixtures("parcels")
def test_an_event_that_is_answered_with_no_time_to_send_at_is_parked_and_says_so():
    class Timeless(Saga[ShippingState], name="timeless"):
        state = ShippingState

        @reacts(Packed, key="parcel_id", starts=True)
        def packed(self, state, event, meta):
            yield At(meta.recorded_at.replace(tzinfo=None), SendOff(parcel_id=event.parcel_id), name="reminder")

    with following(Timeless()):
        box = packed()
        assert (sent_off(box), timers(box)) == ([], [])
        parked = ParkedEvent.objects.get(subscriber="timeless")
        assert (parked.key, parked.error) == (
            str(box),
            "InvalidStep: The time of the timer 'reminder' has no time zone.",
        )


@pytest.mark.usefixtures("parcels")
def test_a_time_that_has_passed_is_due_at_once():
    class Overdue(Saga[ShippingState], name="overdue"):
        state = ShippingState

        @reacts(Packed, key="parcel_id", starts=True)
        def packed(self, state, event, meta):
            yield At(meta.recorded_at - timedelta(days=365), SendOff(parcel_id=event.parcel_id), name="past")

    with following(Overdue()):
        box = packed()
        assert sent_off(box) == [""]


class Again(Saga[ShippingState], name="again"):
    """Sends a parcel off again and again, each time so much later."""

    state = ShippingState
    pause = timedelta()

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        yield After(self.pause, SendOff(parcel_id=event.parcel_id), name="again")

    @reacts(SentOff, key="parcel_id")
    def sent_off(self, state, event, meta):
        yield After(self.pause, SendOff(parcel_id=event.parcel_id), name="again")


@pytest.fixture
def again(parcels):
    saga = Again()
    with following(saga):
        yield saga


def hops_of(box):
    return list(OutboxCommand.objects.filter(key=str(box)).order_by("id").values_list("hops", flat=True))


def test_what_goes_in_circles_through_timers_is_parked(again):
    box = packed()
    assert len(sent_off(box)) == MOST_HOPS
    assert (outgoing(box)[-1], timers(box)[-1]) == ("parked", "fired")
    assert hops_of(box) == list(range(1, MOST_HOPS + 2))
    last = OutboxCommand.objects.latest("id")
    assert last.error.startswith("TooManyHops")
    assert last.root == last.command_id


def test_a_timer_may_be_set_anew_each_day_for_as_long_as_somebody_likes(again):
    again.pause = timedelta(days=1)
    box = packed()
    for _ in range(MOST_HOPS + 5):
        let_pass(again.pause)
        bring_to_rest(deliver=False)
    assert len(sent_off(box)) == MOST_HOPS + 5
    assert set(hops_of(box)) == {0}


@pytest.mark.parametrize(("pause", "hops"), [(timedelta(seconds=59), [1, 2]), (timedelta(minutes=1), [0, 0])])
def test_a_timer_goes_on_with_its_chain_if_it_is_due_within_a_minute(again, pause, hops):
    again.pause = pause
    box = packed()
    for _ in hops:
        let_pass(pause)
        bring_to_rest(deliver=False)
    assert hops_of(box) == hops


@pytest.mark.bundled
@pytest.mark.usefixtures("clean")
def test_timers_survive_their_workers_and_fire_within_seconds_while_the_broker_is_away():
    order = shop.order(shop.customer(), shop.conference_on_sale())
    with temporary_home() as home, bundled.servers(home, postgres=False) as broker:
        with worker(REDIS_URL=broker.redis_url) as first:
            first.kill()
        with worker(REDIS_URL=broker.redis_url):
            broker.valkey.kill()
            due = timezone.now() + timedelta(seconds=1)
            Timer.objects.update(due_at=due)
            eventually(StoredEvent.objects.filter(type="seats.released").exists)
            eventually(lambda: OrderSummary.objects.get(pk=order).status == "expired")
    (expired,) = StoredEvent.objects.filter(type="order.expired")
    assert Timer.objects.filter(fired_at__range=(due, due + timedelta(seconds=60))).exists()
    assert expired.recorded_at - due < timedelta(seconds=90)
