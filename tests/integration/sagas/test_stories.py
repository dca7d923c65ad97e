"""What a saga hears, what it sends, and what becomes of that: in whatever order things come, and whatever fails."""

import threading
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connections

from eventstore import advisory_locks, commands, database, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from eventstore.models import CommandRecord, ParkedEvent, StoredEvent
from eventstore.operations.base import perform
from eventstore.subscriptions import feeding
from eventstore.subscriptions.parking import text
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Work
from sagas.errors import NothingToResolve
from sagas.models import Instance, OutboxCommand, Transition
from sagas.operations import AbandonCommand, ResolveRefusal, RetryCommand
from sagas.outbox import MOST_HOPS, TRIES, send_next
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.status import process_status
from sagas.steps import Send
from sagas.testing import bring_to_rest, let_pass
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import query
from tests.integration.sagas.parcels import (
    Labelled,
    Packed,
    Parcel,
    SendOff,
    SentOff,
    Shipping,
    ShippingState,
    following,
    go_wrong,
    mend,
    newer,
    outgoing,
    parcel,
    sent_off,
    story,
)

WHO = "anna"
LOCKED = "DO $$ BEGIN RAISE EXCEPTION 'no lock' USING ERRCODE = 'lock_not_available'; END $$"

pytestmark = pytest.mark.usefixtures("shipping")


@pytest.fixture
def shipping(parcels):
    with following(Shipping()):
        yield


def command_of(parcel_id):
    return OutboxCommand.objects.filter(key=str(parcel_id)).latest("id")


def try_until_parked(parcel_id):
    for _ in range(TRIES):
        bring_to_rest(deliver=False)
        let_pass(timedelta(minutes=10))
    assert outgoing(parcel_id)[0] == "parked"


@pytest.mark.parametrize("order", [(Packed, Labelled), (Labelled, Packed)])
@pytest.mark.parametrize("together", [True, False])
def test_it_waits_for_several_events_in_whatever_order_they_come(order, together):
    box = parcel(order[0])
    if not together:
        bring_to_rest(deliver=False)
    parcel(order[1], parcel_id=box)
    bring_to_rest(deliver=False)
    assert story(box) == [order[0].stored, order[1].stored, SentOff.stored]
    assert sent_off(box) == [""]
    assert Instance.objects.get().ended


def test_what_comes_after_its_end_passes_it_by():
    box = parcel(Packed, Labelled)
    bring_to_rest(deliver=False)
    parcel(Packed, Labelled, parcel_id=box)
    bring_to_rest(deliver=False)
    assert sent_off(box) == [""]
    assert len(story(box)) == 3


def test_instances_that_hear_of_something_in_one_batch_each_go_their_way():
    boxes = [parcel(Packed, Labelled) for _ in range(5)]
    half = parcel(Packed)
    bring_to_rest(deliver=False)
    assert [sent_off(box) for box in boxes] == [[""]] * 5
    assert sent_off(half) == []
    assert Instance.objects.filter(ended=True).count() == 5


def test_an_event_that_it_is_given_again_changes_nothing():
    box = parcel(Packed, Labelled)
    bring_to_rest(deliver=False)
    log, saga = store.read_stream(box), registry["shipping"]
    before = list(Instance.objects.values()), list(OutboxCommand.objects.values()), list(Transition.objects.values())
    with database.cursor() as cursor:
        saga.apply(cursor, [Work(box, recorded) for recorded in log])
    assert before == (
        list(Instance.objects.values()),
        list(OutboxCommand.objects.values()),
        list(Transition.objects.values()),
    )


def test_a_command_and_all_that_follows_carry_where_they_come_from():
    box = parcel(Packed, Labelled)
    bring_to_rest(deliver=False)
    _, labelled, sent = StoredEvent.objects.filter(stream_id=box).order_by("version")
    command = command_of(box)
    assert sent.correlation_id == command.correlation_id == labelled.correlation_id
    assert (command.causation_id, sent.causation_id) == (labelled.event_id, command.command_id)
    assert (command.actor, sent.actor, sent.metadata["hops"]) == ("saga:shipping", "saga:shipping", 1)
    assert command.result == sent.position


def test_a_command_that_was_sent_is_recognized_when_its_row_is_sent_again():
    box = parcel(Packed, Labelled)
    bring_to_rest(deliver=False)
    OutboxCommand.objects.update(status="pending")
    assert send_next()
    assert (sent_off(box), outgoing(box)) == ([""], ["done"])


def test_of_an_instance_commands_are_sent_one_at_a_time_whoever_sends_them():
    boxes = [parcel(Packed, Labelled) for _ in range(6)]
    feeding.catch_up([registry["shipping"]])

    def send():
        while send_next():
            pass
        connections.close_all()

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    bring_to_rest(deliver=False)
    assert [sent_off(box) for box in boxes] == [[""]] * 6


def test_a_refusal_comes_back_as_an_event_and_is_in_the_story():
    box = parcel(Packed, Labelled)
    go_wrong(box, "heavy")
    bring_to_rest(deliver=False)
    assert story(box) == [Packed.stored, Labelled.stored, "saga.command-refused"]
    told = Transition.objects.filter(key=str(box)).latest("position")
    assert told.state["refused"] == "too-heavy"
    refused = StoredEvent.objects.get(type="saga.command-refused")
    assert (refused.data["command"], refused.data["code"]) == (SendOff.stored, "too-heavy")
    row = command_of(box)
    assert (row.status, row.result, row.error) == ("refused", refused.position, "too-heavy: This parcel is too heavy.")
    assert CommandRecord.objects.get(pk=row.command_id).last_position == refused.position


def test_a_technical_failure_is_tried_again_ever_later_and_parked_in_the_end():
    box = parcel(Packed, Labelled)
    go_wrong(box, "broken")
    feeding.catch_up([registry["shipping"]])
    for attempt in range(1, TRIES + 1):
        OutboxCommand.objects.update(due_at="2000-01-01T00:00:00Z")
        ((before,),) = query("SELECT clock_timestamp()")
        assert send_next()
        row = command_of(box)
        assert (row.attempts, row.status) == (attempt, "parked" if attempt == TRIES else "pending")
        assert row.due_at - before >= timedelta(seconds=0.25) * 2 ** (attempt - 1)
    assert row.error.startswith("ValueError in send_off, line")
    assert str(box) not in row.error
    OutboxCommand.objects.update(due_at="2000-01-01T00:00:00Z")
    assert not send_next()
    assert (sent_off(box), CommandRecord.objects.count()) == ([], 0)


def test_what_waits_to_be_tried_again_keeps_nobody_else_waiting():
    box = parcel(Packed, Labelled)
    go_wrong(box, "broken")
    bring_to_rest(deliver=False)
    assert outgoing(box) == ["pending"]
    sound = parcel(Packed, Labelled)
    bring_to_rest(deliver=False)
    assert sent_off(sound) == [""]


class Twice(Saga[ShippingState], name="twice"):
    """Sends a parcel off twice."""

    state = ShippingState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        yield Send(SendOff(parcel_id=event.parcel_id, note="first"))
        yield Send(SendOff(parcel_id=event.parcel_id, note="second"))


def test_a_refusal_that_its_saga_does_not_answer_is_shown_until_staff_resolve_it_and_holds_nothing_up():
    with following(Twice()):
        box = parcel(Packed)
        go_wrong(box, "heavy")
        bring_to_rest(deliver=False)
        assert outgoing(box) == ["unanswered", "unanswered"]
        first, second = OutboxCommand.objects.filter(key=str(box)).order_by("id")
        assert first.error == "too-heavy: This parcel is too heavy."
        (issue,) = process_status().health_issues()
        assert (issue.kind, issue.text) == ("unanswered", "2 refused, and their sagas don't say what follows")
        asked = ResolveRefusal(target="twice", command=first.pk)
        assert asked.preview() == "twice: 1 refusal is resolved, for somebody has dealt with it. Nothing is sent again."
        perform(asked, by=WHO, reason="It went by cart.")
        assert outgoing(box) == ["refused", "unanswered"]
        perform(ResolveRefusal(target="twice", error=second.error), by=WHO, reason="It went by cart.")
        assert process_status().health_issues() == []
        with pytest.raises(NothingToResolve):
            perform(asked, by=WHO, reason="It went by cart.")


@pytest.fixture
def parked():
    """A parcel that can't be sent off, though it should be twice, and one that can."""
    with following(Twice()):
        box, sound = parcel(Packed), parcel(Packed)
        go_wrong(box, "broken")
        try_until_parked(box)
        assert outgoing(box) == ["parked", "pending"]
        assert sent_off(sound) == ["first", "second"]
        yield box


def test_later_commands_of_an_instance_wait_behind_one_that_is_parked(parked):
    mend()
    bring_to_rest(deliver=False)
    assert (outgoing(parked), sent_off(parked)) == (["parked", "pending"], [])


def test_parked_commands_are_sent_again_when_the_cause_is_mended_and_those_behind_follow(parked):
    mend()
    asked = RetryCommand(target="twice")
    assert asked.preview() == "twice: 1 command is sent again, and what waits behind in the same instances."
    assert perform(asked, by=WHO) == "1 command is sent again"
    bring_to_rest(deliver=False)
    assert sent_off(parked) == ["first", "second"]
    assert asked.remaining() == 0
    with pytest.raises(NothingToResolve):
        perform(asked, by=WHO)


def test_parked_commands_are_chosen_by_their_instance_or_their_error(parked):
    for asked in ({"key": str(new_id())}, {"error": "ValueError"}, {"command": 0}):
        with pytest.raises(NothingToResolve):
            perform(RetryCommand(target="twice", **asked), by=WHO)
    row = OutboxCommand.objects.get(status="parked")
    mend()
    perform(RetryCommand(target="twice", key=str(parked), error=row.error, command=row.pk), by=WHO)
    bring_to_rest(deliver=False)
    assert sent_off(parked) == ["first", "second"]


def test_a_command_that_is_abandoned_is_never_sent_and_what_waits_behind_it_is(parked):
    mend()
    row = OutboxCommand.objects.get(status="parked")
    perform(AbandonCommand(target="twice", command=row.pk), by=WHO, reason="lost")
    bring_to_rest(deliver=False)
    assert (sent_off(parked), outgoing(parked)) == (["second"], ["abandoned", "done"])


def test_what_goes_in_circles_is_parked():
    class Circling(Saga[ShippingState], name="circling"):
        state = ShippingState

        @reacts(Packed, key="parcel_id", starts=True)
        def packed(self, state, event, meta):
            yield Send(SendOff(parcel_id=event.parcel_id))

        @reacts(SentOff, key="parcel_id")
        def sent_off(self, state, event, meta):
            yield Send(SendOff(parcel_id=event.parcel_id))

    with following(Circling()):
        box = parcel(Packed)
        bring_to_rest(deliver=False)
        assert len(sent_off(box)) == MOST_HOPS
        assert outgoing(box)[-1] == "parked"
        assert command_of(box).error.startswith("TooManyHops")


def test_a_failure_of_the_infrastructure_puts_off_however_often_and_never_parks():
    box, sound = parcel(Packed, Labelled), parcel(Packed, Labelled)
    go_wrong(box, LOCKED)
    for _ in range(2 * TRIES):
        bring_to_rest(deliver=False)
        let_pass(timedelta(seconds=2))
    row = command_of(box)
    assert (row.status, row.attempts, row.error) == ("pending", 0, "LockNotAvailable (55P03)")
    assert sent_off(sound) == [""]
    mend()
    bring_to_rest(deliver=False)
    assert sent_off(box) == [""]


def test_a_request_is_answered_though_what_follows_from_it_finds_no_lock(settings):
    settings.EVENTSTORE_SETTLE_SECONDS = 6.0

    class Following(Saga[ShippingState], name="following"):
        state = ShippingState

        @reacts(SentOff, key="parcel_id", starts=True)
        def sent_off(self, state, event, meta):
            if not event.note:
                yield Send(SendOff(parcel_id=other, note="after"))

    box, other = parcel(Packed), parcel(Packed)
    with following(Following()), closing(raw.connect()) as holder:
        holder.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [advisory_locks.STREAM, str(other)])
        receipt = dispatch(SendOff(parcel_id=box))
        assert (receipt.settled, sent_off(box), sent_off(other)) == (False, [""], [])
        assert outgoing(box) == ["pending"]
        assert command_of(box).error == "LockNotAvailable (55P03)"
        holder.execute("SELECT pg_advisory_unlock_all()")
        let_pass(timedelta(seconds=2))
        bring_to_rest(deliver=False)
        assert sent_off(other) == ["after"]


def test_an_instance_whose_key_cannot_be_stored_is_parked_and_others_go_on():
    class Noting(Saga[ShippingState], name="noting"):
        state = ShippingState

        @reacts(SentOff, key="note", starts=True)
        def sent_off(self, state, event, meta):
            state.packed = True

    odd = "".join(map(str, range(2000)))
    with following(Noting()):
        for note in (odd, "short", odd):
            dispatch(SendOff(parcel_id=parcel(Packed), note=note))
        assert list(Instance.objects.filter(saga="noting").values_list("key", flat=True)) == ["short"]
        parked = ParkedEvent.objects.filter(subscriber="noting").order_by("position")
        assert [(row.key, bool(row.error)) for row in parked] == [(text(odd), True), (text(odd), False)]


def test_a_command_that_only_other_code_knows_is_put_off_however_often_and_not_lost():
    box = parcel(Packed, Labelled)
    feeding.catch_up([registry["shipping"]])
    commands.routes.unregister(Parcel)
    for _ in range(2 * TRIES):
        assert send_next()
        let_pass(timedelta(seconds=2))
    left = command_of(box)
    assert (left.status, left.attempts) == ("pending", 0)
    assert left.error.startswith("UnknownCommand")
    commands.register(Parcel)
    bring_to_rest(deliver=False)
    assert sent_off(box) == [""]
    assert not ParkedEvent.objects.exists()


def test_a_command_onto_a_stream_with_a_newer_event_is_put_off_however_often():
    box = parcel(Packed, Labelled)
    feeding.catch_up([registry["shipping"]])
    with newer(Labelled):
        parcel(Labelled, parcel_id=box)
    for _ in range(2 * TRIES):
        assert send_next()
        let_pass(timedelta(seconds=2))
    left = command_of(box)
    assert (left.status, left.attempts) == ("pending", 0)
    assert left.error.startswith("NewerSchema")
