"""An event whose key can't be told waits under its stream, while those of other streams go on. Once it can be read it
is heard, after events that came after it; whatever is heard, is heard once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from eventstore import codec, database, store
from eventstore.context import new_id
from eventstore.errors import Busy, NothingParked
from eventstore.events import Event
from eventstore.models import ParkedEvent, StoredEvent
from eventstore.operations.base import perform
from eventstore.operations.subscribers import Discard, Retry
from eventstore.subscriptions import feeding
from eventstore.subscriptions.gaps import gaps
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Work
from eventstore.testing import only_handlers
from eventstore.testing.subscribers import given
from ordering.domain.finance import PaymentReceived, account_id_of
from ordering.models import OrderSummary
from projections.rebuild import builder, generations
from sagas.history import instance_history
from sagas.models import Instance, OutboxCommand, Transition
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.sagas.parcels import (
    Labelled,
    Packed,
    Shipping,
    following,
    outgoing,
    parcel,
)

WHO = "anna"


@contextmanager
def unreadable(event: type[Event]) -> Iterator[None]:
    """The code has a newer schema of an event meanwhile, and what is to bring the stored ones up to it fails."""

    @codec.upcaster(event.stored, 1)
    def to_second(data: dict) -> dict:
        raise KeyError(event.stored)

    event.schema = 2
    try:
        yield
    finally:
        event.schema = 1
        codec.forget_upcasters(event.stored)


@pytest.fixture
def expired(clean: None) -> UUID:
    """An order that was paid in time, and expired while nobody could read what finance had booked; others have its seat
    now.
    """
    conference = shop.conference_on_sale(capacity=1)
    order = shop.order(shop.customer(), conference)
    with only_handlers("booking"):
        shop.pay(order)
        bring_to_rest(deliver=False)
    with unreadable(PaymentReceived):
        bring_to_rest(deliver=False)
        let_pass(timedelta(days=1))
        bring_to_rest(deliver=False)
        keys = set(ParkedEvent.objects.values_list("subscriber", "key"))
        assert ("sale", f"stream {account_id_of(order)}") in keys
    assert OrderSummary.objects.get(pk=order).status == "expired"
    shop.order(shop.customer(), conference)
    return order


def refunds() -> int:
    return StoredEvent.objects.filter(type="refund.requested").count()


def test_a_payment_that_is_heard_of_after_its_order_has_expired_is_refunded_once(expired):
    assert refunds() == 0
    told = perform(Retry(target="sale"), by=WHO)
    assert told == "1 of 1 keys are live again, 1 events applied"
    bring_to_rest(deliver=False)
    assert (refunds(), gaps("sale").count) == (1, 0)
    with pytest.raises(NothingParked):
        perform(Retry(target="sale"), by=WHO)
    hear(registry["sale"], expired, *StoredEvent.objects.filter(type="finance.payment-received"))
    bring_to_rest(deliver=False)
    assert refunds() == 1


def test_a_row_stands_at_the_last_of_its_events_in_the_log_whichever_was_applied_last(expired):
    name, before = "order-summaries", OrderSummary.objects.get(pk=expired).as_of
    perform(Retry(target=name), by=WHO)
    row = OrderSummary.objects.get(pk=expired)
    assert (row.payment_status, row.as_of) == ("accepted", before)
    verified = builder.complete(generations.verify(name))
    assert (verified.status, verified.differing) == ("verified", 0)


@pytest.fixture
def shipping(parcels: None) -> Iterator[Shipping]:
    saga = Shipping()
    with following(saga):
        yield saga


class TrackingState(msgspec.Struct):
    labelled: bool = False


class Tracking(Saga[TrackingState], name="tracking"):
    """Follows a parcel from the moment it is packed."""

    state = TrackingState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta): ...

    @reacts(Labelled, key="parcel_id")
    def labelled(self, state, event, meta):
        state.labelled = True


@pytest.fixture
def tracking(parcels: None) -> Iterator[Tracking]:
    saga = Tracking()
    with following(saga):
        yield saga


def label(box: UUID) -> None:
    """Somebody else notes that a parcel has its label: the event is of another stream."""
    given(new_id(), Labelled(parcel_id=box), category="label")


def labelled() -> dict[str, bool]:
    return {each.key: each.state["labelled"] for each in Instance.objects.all()}


def test_what_comes_while_the_beginning_cannot_be_read_waits_for_it(tracking):
    box = parcel(Packed)
    with unreadable(Packed):
        feeding.catch_up([tracking])
        label(box)
        feeding.catch_up([tracking])
        assert set(ParkedEvent.objects.values_list("key", "error")) >= {(str(box), "")}
        with pytest.raises(Busy, match="may begin with an event of a stream that is parked"):
            perform(Retry(target="tracking", key=str(box)), by=WHO)
        assert "0 of 2 keys are live again" in perform(Retry(target="tracking"), by=WHO)
    stream = ParkedEvent.objects.exclude(error="").get().key
    perform(Retry(target="tracking", key=stream), by=WHO)
    assert (labelled(), gaps("tracking").count) == ({str(box): True}, 0)


def test_what_comes_in_one_batch_with_a_beginning_that_cannot_be_read_waits_for_it(tracking):
    box = parcel(Packed)
    label(box)
    label(box)
    with unreadable(Packed):
        feeding.catch_up([tracking])
    assert ParkedEvent.objects.filter(key=str(box)).count() == 2
    perform(Retry(target="tracking"), by=WHO)
    assert (labelled(), gaps("tracking").count) == ({str(box): True}, 0)


def test_who_has_begun_does_not_wait_for_a_stream_that_cannot_be_read(tracking):
    box = parcel(Packed)
    feeding.catch_up([tracking])
    parcel(Packed)
    label(box)
    with unreadable(Packed):
        feeding.catch_up([tracking])
    assert labelled() == {str(box): True}
    assert not ParkedEvent.objects.filter(key=str(box)).exists()


def test_what_nothing_ever_began_comes_to_nothing_once_all_can_be_read(tracking):
    box = parcel(Packed)
    label(strange := new_id())
    with unreadable(Packed):
        feeding.catch_up([tracking])
    assert ParkedEvent.objects.filter(key=str(strange)).exists()
    stream = ParkedEvent.objects.exclude(error="").get()
    perform(Discard(target="tracking", key=stream.key, positions=(stream.position,)), by=WHO, reason="a trial")
    assert (labelled(), gaps("tracking").count) == ({}, 0)
    label(box)
    feeding.catch_up([tracking])
    assert not ParkedEvent.objects.exists()


def hear(saga, key, *events):
    """An instance is given these events, in this order and in one batch."""
    with database.cursor() as cursor:
        saga.apply(cursor, [Work(str(key), store.read_one(event.position)) for event in events])


def known():
    """All that is known of instances."""
    return [list(kind.objects.order_by("pk").values()) for kind in (Instance, Transition, OutboxCommand)]


def test_an_event_that_is_heard_after_later_ones_is_heard_and_nothing_is_heard_twice(shipping):
    box = parcel(Packed, Labelled, Packed)
    packed, labelled, again = store.read_stream(box)
    hear(shipping, box, labelled)
    hear(shipping, box, packed)
    assert outgoing(box) == ["pending"]
    assert Instance.objects.get().position == labelled.position
    hear(shipping, box, packed, labelled, again)
    assert [told.position for told in Transition.objects.order_by("pk")] == [
        labelled.position,
        packed.position,
        again.position,
    ]
    assert Instance.objects.get().position == again.position
    before = known()
    hear(shipping, box, packed, again)
    hear(shipping, box, labelled)
    assert known() == before


def test_an_event_that_comes_twice_in_a_batch_is_heard_once(shipping):
    box = parcel(Packed)
    (packed,) = store.read_stream(box)
    hear(shipping, box, packed, packed)
    assert [told.position for told in Transition.objects.all()] == [packed.position]


def test_an_instance_does_not_hear_again_what_it_heard_before_its_history_was_kept(shipping):
    box = parcel(Packed, Labelled)
    packed, labelled = store.read_stream(box)
    hear(shipping, box, packed)
    Transition.objects.all().delete()
    Instance.objects.update(history_begins_after=packed.position)
    before = known()
    hear(shipping, box, packed)
    assert known() == before
    hear(shipping, box, labelled)
    assert outgoing(box) == ["pending"]


def test_a_history_is_told_in_the_order_in_which_events_were_heard(shipping):
    box = parcel(Packed, Labelled, Packed)
    packed, labelled, again = store.read_stream(box)
    hear(shipping, box, labelled)
    hear(shipping, box, packed)
    hear(shipping, box, again)
    told = instance_history("shipping", str(box)).entries
    assert [(each.position, each.changed) for each in told] == [
        (labelled.position, {"labelled": False}),
        (packed.position, {"packed": False}),
        (again.position, {}),
    ]
    last = instance_history("shipping", str(box), most=1)
    assert ([each.position for each in last.entries], last.earlier) == ([again.position], True)
    middle = instance_history("shipping", str(box), before=again.position, most=1)
    assert ([(each.position, each.changed) for each in middle.entries], middle.earlier) == (
        [(packed.position, {"packed": False})],
        True,
    )
    first = instance_history("shipping", str(box), before=packed.position)
    assert ([each.position for each in first.entries], first.earlier) == ([labelled.position], False)
