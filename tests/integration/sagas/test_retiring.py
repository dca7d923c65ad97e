"""What was taken out of the code stays where it was, until somebody says that it is gone for good."""

from contextlib import closing
from datetime import timedelta

import pytest

from eventstore.errors import ReasonMissing, Refused, UnknownSubscriber
from eventstore.models import DiscardedEvent, HandlerWarning, OperatorAction, ParkedEvent, SkippedRange, SubscriberRow
from eventstore.operations.base import perform
from eventstore.operations.retirement import Retire
from eventstore.subscriptions.subscriber import Rank
from projections import tasks
from projections.models import Generation, Part
from sagas.models import Delivery, Instance, OutboxCommand, Transition
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.steps import After, Send
from sagas.testing import bring_to_rest
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import query
from tests.integration.sagas.parcels import (
    Packed,
    SendOff,
    ShippingState,
    following,
    go_wrong,
    outgoing,
    parcel,
    row,
    timers,
)

WHO, WHY = "anna", "nobody sends parcels any more"


class Lasting(Saga[ShippingState], name="lasting"):
    """Sends a parcel off at once, and a day later."""

    state = ShippingState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        yield Send(SendOff(parcel_id=event.parcel_id))
        yield After(timedelta(days=1), SendOff(parcel_id=event.parcel_id), name="day")


def retire(name, reason=WHY):
    return perform(Retire(target=name), by=WHO, reason=reason)


@pytest.fixture
def at_once(settings):
    """Nobody waits to see whether another process does something."""
    settings.EVENTSTORE_STALLED_AFTER_SECONDS = 0.0


@pytest.fixture
def left(parcels):
    """A parcel that a saga could not send off yet; then the saga was taken out of the code."""
    with following(Lasting()):
        box = parcel(Packed)
        go_wrong(box, "broken")
        bring_to_rest(deliver=False)
    return box


def left_of(name):
    kinds = (SubscriberRow, ParkedEvent, DiscardedEvent, SkippedRange, HandlerWarning)
    return [kind.objects.filter(subscriber=name).count() for kind in kinds]


def forsake(name, rank):
    """The row of a subscriber that the code no longer has, and an event that it has not passed."""
    shop.customer()
    SubscriberRow.objects.create(
        name=name, subscriber=name, rank=rank, mode="sync", version=1, types_hash="", checkpoint=0
    )


@pytest.mark.usefixtures("at_once")
def test_what_a_retired_saga_had_yet_to_do_is_given_up_and_what_it_did_is_kept(left):
    parcel(Packed)
    ParkedEvent.objects.create(subscriber="lasting", key="a", position=1, error="KeyError")
    DiscardedEvent.objects.create(subscriber="lasting", key="b", position=1, reason="", by=WHO)
    SkippedRange.objects.create(subscriber="lasting", after=0, upto=1, reason="", by=WHO)
    HandlerWarning.objects.create(subscriber="lasting", position=1, text="odd")
    assert Retire(target="lasting").preview().startswith("lasting is forgotten for good: that it stood at 1,")
    assert left_of("lasting") == [1, 1, 1, 1, 1]
    assert retire("lasting") == (
        "retired (parked events 1, discarded events 1, skipped ranges 1, warnings 1, unsent commands 1, timers 1)"
    )
    assert left_of("lasting") == [0, 0, 0, 0, 0]
    assert (outgoing(left), timers(left)) == (["abandoned"], ["cancelled"])
    assert OutboxCommand.objects.get().finished_at
    assert (Instance.objects.count(), Transition.objects.count()) == (1, 1)
    done = OperatorAction.objects.get()
    assert (done.operation, done.target, done.by, done.reason, done.refused) == ("retire", "lasting", WHO, WHY, False)
    with pytest.raises(UnknownSubscriber):
        retire("lasting")


@pytest.mark.usefixtures("at_once")
def test_nothing_is_retired_that_the_code_has_or_without_a_reason(left):
    with following(Lasting()):
        assert not Retire.concerns("lasting")
        with pytest.raises(Refused, match="The code that runs here has lasting"):
            retire("lasting")
    assert Retire.concerns("lasting")
    with pytest.raises(ReasonMissing):
        retire("lasting", reason=" ")
    assert (outgoing(left), timers(left)) == (["pending"], ["waiting"])


def test_nothing_is_retired_that_another_process_may_feed(left, settings):
    for seconds in (30.0, 0.0):
        settings.EVENTSTORE_STALLED_AFTER_SECONDS = seconds
        with pytest.raises(Refused, match=f"may feed lasting still.*{seconds:g} seconds"):
            retire("lasting")
    settings.EVENTSTORE_STALLED_AFTER_SECONDS = 30.0
    parcel(Packed)
    for asked in (Retire(target="lasting").preview, lambda: retire("lasting")):
        with pytest.raises(Refused, match="may feed lasting still"):
            asked()
    assert row("lasting").checkpoint == 1
    assert (outgoing(left), timers(left)) == (["pending"], ["waiting"])


def test_one_that_is_paused_is_fed_by_nobody(left):
    SubscriberRow.objects.filter(subscriber="lasting").update(status="paused")
    assert retire("lasting") == "retired (unsent commands 1, timers 1)"


@pytest.mark.usefixtures("clean", "at_once")
def test_what_a_retired_effect_had_yet_to_deliver_is_given_up():
    forsake("mail.gone", Rank.EFFECT)
    for position, status in enumerate(Delivery.Status.values, 1):
        Delivery.objects.create(effect="mail.gone", position=position, status=status, waits_for="a row")
    kept = Delivery.objects.create(effect="mail.other", position=1)
    assert retire("mail.gone") == f"retired (deliveries {len(Delivery.Status.values) - 2})"
    assert set(Delivery.objects.filter(effect="mail.gone").values_list("status", flat=True)) == {"done", "abandoned"}
    kept.refresh_from_db()
    assert kept.status == "pending"


@pytest.mark.usefixtures("clean", "at_once")
def test_what_is_folded_of_a_retired_projection_stops_and_workers_drop_its_generations():
    forsake("gone", Rank.PROJECTION)
    begun, old = (
        Generation.objects.create(projection="gone", version=1, types_hash="", status=status, target=1, made=made)
        for status, made in (("building", False), ("old", True))
    )
    part = Part.objects.create(generation=old)
    ParkedEvent.objects.create(subscriber=old.parked_as, key="a", position=1, error="KeyError")
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute(f"CREATE SCHEMA {old.schema}")
        owner.execute(f"CREATE TABLE {old.schema}.sales (key int)")
        assert retire("gone") == "retired (generations 2)"
        tasks.tick()
        assert query("SELECT count(*) FROM eventstore_doorbell WHERE name = %s", f"{old.parked_as} 0") == [(1,)]
        tasks.fill(part.pk)
        assert owner.execute("SELECT to_regnamespace(%s)", [old.schema]).fetchone() == (None,)
    for generation in (begun, old):
        generation.refresh_from_db()
        assert (generation.status, generation.made) == ("dropped", False)
    assert not ParkedEvent.objects.exists()
