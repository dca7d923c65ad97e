"""What is told of commands, timers and deliveries that nobody takes up, and of acts that don't end."""

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from eventstore.context import new_id
from eventstore.models import Incident, WorkerHeartbeat
from eventstore.monitoring import incidents
from eventstore.subscriptions import feeding
from sagas import tasks
from sagas.effects import delivery
from sagas.models import Delivery, OutboxCommand, RateLimit, Timer
from sagas.status import overdue_issues, process_issues
from sagas.testing import bring_to_rest, let_pass
from tests.integration.processes import eventually
from tests.integration.sagas.parcels import Packed, parcel
from tests.integration.sagas.providers import window

HOUR, WHILE = timedelta(hours=1), timedelta(minutes=10)

pytestmark = pytest.mark.usefixtures("parcels")


def told():
    return [(issue.kind, issue.about, issue.text) for issue in process_issues()]


def kinds():
    return [(kind, about) for kind, about, _ in told()]


def incident_begins():
    """Whether there is one, after another look at everything."""
    incidents.check_health()
    return Incident.objects.exists()


def command(key, **changes):
    """A command that has been due for an hour."""
    ids = {"command_id": new_id(), "root": new_id(), "correlation_id": new_id(), "causation_id": new_id()}
    due = {"due_at": timezone.now() - HOUR, "actor": "saga:shipping", "hops": 0, **changes}
    OutboxCommand.objects.create(saga="shipping", key=key, type="parcel.send-off", data={}, **ids, **due)


@pytest.fixture
def waiting(notify):
    """A delivery that could have been carried out for ten minutes."""
    provider = notify(Packed, rate=0.001)
    parcel(Packed)
    feeding.catch_up([provider.effect])
    let_pass(WHILE)
    return provider


def test_an_act_that_goes_on_for_longer_than_its_lease_is_told_with_its_owner(notify, settings):
    provider, held = notify(Packed), threading.Event()
    provider.answer = lambda event: held.wait(60) and None
    parcel(Packed)
    feeding.catch_up([provider.effect])
    settings.EFFECTS_LEASE_SECONDS = 0.001
    settings.EVENTSTORE_HEALTH_CHECK_SECONDS = 0.001

    def work():
        tasks.deliver("notify")
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        # Until its row is written the act is known by its slot alone, which looks as if another had its event.
        begun = "has been at the event at position 1 for "
        text = eventually(lambda: next((text for _, _, text in told() if text.startswith(begun)), ""))
        assert kinds() == [("hanging", "notify")]
        assert text.endswith(f" in {Delivery.objects.get().owner}")
        eventually(incident_begins)
        assert Incident.objects.get().kind == "hanging"
    finally:
        held.set()
        worker.join(60)
    assert told() == []


def test_an_act_that_hangs_is_told_also_when_another_attempt_has_done_what_it_was_to_do(notify, settings):
    provider, held = notify(Packed, at_once=2), threading.Event()
    acts = iter([lambda: held.wait(60), lambda: True])
    provider.answer = lambda event: next(acts)() and None
    parcel(Packed)
    feeding.catch_up([provider.effect])
    settings.EFFECTS_LEASE_SECONDS = 0.001

    def work():
        tasks.deliver("notify")
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        eventually(lambda: provider.calls and kinds() == [("hanging", "notify")])
        with delivery.slot(provider.effect) as ours:
            assert ours
            assert delivery.deliver_one(provider.effect)
        assert Delivery.objects.get().status == "done"
        ((kind, about, text),) = told()
        assert (kind, about) == ("hanging", "notify")
        assert text.endswith("past its lease; another attempt took its event over")
    finally:
        held.set()
        worker.join(60)
    assert told() == []


def test_a_delivery_that_nobody_carries_out_is_told(waiting):
    assert told() == [("overdue", "notify", "has deliveries that nobody carries out, the oldest overdue by 10 min")]
    bring_to_rest()
    assert told() == []


def test_a_delivery_whose_owner_died_and_that_nobody_takes_over_is_overdue(waiting):
    Delivery.objects.update(status="running", lease_until=timezone.now() - WHILE, owner="host:1")
    assert kinds() == [("overdue", "notify")]


def test_what_has_not_been_due_for_long_is_not_overdue(waiting, settings):
    settings.SAGAS_OVERDUE_AFTER_SECONDS = 3_600.0
    assert told() == []


def test_what_waits_for_its_send_window_is_not_overdue(waiting, settings):
    settings.EFFECTS_WINDOWS = {"notify": window(HOUR, 3 * HOUR)}
    bring_to_rest()
    assert Delivery.objects.get().status == "waiting"
    assert told() == []


def test_what_waits_for_its_turn_under_a_rate_limit_is_overdue_only_when_nobody_takes_the_turn(waiting):
    parcel(Packed)
    feeding.catch_up([waiting.effect])
    assert delivery.deliver_one(waiting.effect)
    Delivery.objects.filter(status="pending").update(due_at=timezone.now() - HOUR)
    assert told() == []
    RateLimit.objects.update(free_at=timezone.now() - WHILE)
    assert kinds() == [("overdue", "notify")]


def test_what_somebody_works_off_is_not_overdue(waiting):
    with delivery.slot(waiting.effect):
        assert told() == []
    assert kinds() == [("overdue", "notify")]


def test_a_command_that_nobody_sends_is_told_unless_it_waits_behind_a_parked_one():
    command("a", status="parked")
    command("a")
    assert kinds() == [("commands", "commands")]
    command("b")
    assert ("overdue", "commands", "the oldest has waited 60 min to be sent") in told()


def test_a_timer_that_nobody_fires_is_told():
    Timer.objects.create(
        saga="shipping",
        key="a",
        name="late",
        due_at=timezone.now() - HOUR,
        command_id=new_id(),
        type="parcel.send-off",
        data={},
        correlation_id=new_id(),
        causation_id=new_id(),
        actor="saga:shipping",
    )
    assert told() == [("overdue", "timers", "one should have fired 60 min ago")]


def test_nothing_is_overdue_in_a_copy_of_the_log(waiting, fence):
    command("b")
    fence()
    assert list(overdue_issues()) == []


def test_what_is_overdue_because_nobody_is_there_is_not_told_by_itself(waiting):
    Incident.objects.create(kind="broker", about="broker", text="", began_at=timezone.now(), seen_at=timezone.now())
    assert told() == []
    Incident.objects.all().delete()
    assert kinds() == [("overdue", "notify")]
    for queue, heard in (("live", timezone.now()), ("effects", timezone.now() - HOUR)):
        at = {"started_at": heard, "beat_at": heard}
        WorkerHeartbeat.objects.create(name=queue, kind="worker", queues=[queue], process=f"{queue}:1", **at)
    assert told() == []
