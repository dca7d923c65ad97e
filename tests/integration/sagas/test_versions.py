"""Sagas over a log that was there before them: where a new one begins, and how instances end when it changes."""

from datetime import timedelta

import msgspec
import pytest

from eventstore import store
from eventstore.models import ParkedEvent
from eventstore.monitoring.status import subscriber_statuses
from eventstore.subscriptions import feeding
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.retry import retry_keys
from sagas.models import Instance, OutboxCommand, Transition
from sagas.saga import Saga
from sagas.saga import on as reacts
from sagas.steps import After, End, Send
from sagas.testing import bring_to_rest
from tests.integration.sagas.parcels import (
    Labelled,
    Packed,
    SendOff,
    SentOff,
    ShippingState,
    following,
    parcel,
    row,
    sent_off,
    timers,
)

pytestmark = pytest.mark.usefixtures("parcels")


class Announcing(Saga[ShippingState], name="announcing"):
    """Sends off what is packed, and once more a day later."""

    state = ShippingState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        yield Send(SendOff(parcel_id=event.parcel_id, note="now"))
        yield After(timedelta(days=-1), SendOff(parcel_id=event.parcel_id, note="a day ago"), name="day")


class AnnouncingAll(Announcing, name="announcing", begins_after=0):
    packed = Announcing.packed


class AnnouncingSome(Announcing, name="announcing", begins_after=1):
    packed = Announcing.packed


def test_a_new_saga_hears_of_nothing_old():
    old = parcel(Packed)
    with following(Announcing()):
        new = parcel(Packed)
        bring_to_rest(deliver=False)
        assert row("announcing").began_after == 1
    assert (sent_off(old), sent_off(new)) == ([], ["now", "a day ago"])


def test_a_saga_may_begin_after_a_position():
    old, later = parcel(Packed), parcel(Packed)
    with following(AnnouncingSome()):
        bring_to_rest(deliver=False)
    assert (sent_off(old), sent_off(later)) == ([], ["now", "a day ago"])


def test_a_saga_that_begins_at_the_beginning_hears_everything_and_sends_it_once():
    boxes = [parcel(Packed) for _ in range(3)]
    for _ in range(2):
        with following(AnnouncingAll()):
            bring_to_rest(deliver=False)
    assert [sent_off(box) for box in boxes] == [["now", "a day ago"]] * 3
    assert [timers(box) for box in boxes] == [["fired"]] * 3
    assert OutboxCommand.objects.count() == 6


@pytest.mark.parametrize(("kind", "after", "heard"), [(Announcing, "1", 1), (AnnouncingAll, 2, 0), (Announcing, 99, 0)])
def test_an_installation_may_say_where_it_begins(kind, after, heard, settings):
    settings.SAGAS_BEGIN_AFTER = {"announcing": after}
    boxes = [parcel(Packed), parcel(Packed)]
    with following(kind()):
        bring_to_rest(deliver=False)
        assert row("announcing").began_after == min(int(after), 2)
    assert [bool(sent_off(box)) for box in boxes] == [False, bool(heard)]


class OldState(msgspec.Struct):
    seen: int = 0


class NewState(msgspec.Struct):
    """As no old one can be read."""

    seen: str = ""


class First(Saga[OldState], name="changing", version=1):
    """Sends off what is labelled."""

    state = OldState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        state.seen += 1

    @reacts(Labelled, key="parcel_id")
    def labelled(self, state, event, meta):
        state.seen += 1
        yield Send(SendOff(parcel_id=event.parcel_id, note=f"old {state.seen}"))
        yield End()


class Second(Saga[NewState], name="changing", version=2, former=(First,)):
    """Sends off what is packed twice, and doesn't care for labels."""

    state = NewState

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        state.seen += "!"
        if state.seen == "!!":
            yield Send(SendOff(parcel_id=event.parcel_id, note=f"new {state.seen}"))

    @reacts(SentOff, key="parcel_id")
    def sent_off(self, state, event, meta):
        yield End()


class SecondAlone(Second, name="changing", version=2):
    """Without the rules of old; it can't read what they left."""

    packed, sent_off = Second.packed, Second.sent_off


class SecondMended(SecondAlone, name="changing", version=2):
    """The same, of a state that it can read."""

    state = msgspec.defstruct("MendedState", [("seen", int | str, ""), ("added", int, 7)])  # type: ignore[assignment]

    @reacts(Packed, key="parcel_id", starts=True)
    def packed(self, state, event, meta):
        state.seen = f"{state.seen}!"
        if state.seen in ("1!", "!!"):
            yield Send(SendOff(parcel_id=event.parcel_id, note=f"mended {state.seen} {state.added}"))

    sent_off = Second.sent_off


@pytest.fixture
def old():
    """An instance that began under the first version."""
    with following(First()):
        box = parcel(Packed)
        bring_to_rest(deliver=False)
    return box


def versions_of(parcel_id):
    return [each.version for each in Transition.objects.filter(key=str(parcel_id)).order_by("position")]


def test_an_instance_ends_under_the_rules_that_it_began_under(old):
    with following(Second()):
        new = parcel(Packed, Labelled)
        parcel(Labelled, parcel_id=old)
        bring_to_rest(deliver=False)
        assert (sent_off(old), sent_off(new)) == (["old 2"], [])
        parcel(Packed, parcel_id=new)
        bring_to_rest(deliver=False)
    assert (sent_off(old), sent_off(new)) == (["old 2"], ["new !!"])
    assert (versions_of(old), versions_of(new)) == ([1, 1], [2, 2, 2])
    assert set(Instance.objects.values_list("ended", flat=True)) == {True}
    assert row("changing").version == 2


def test_what_only_new_rules_want_passes_an_old_instance_by(old):
    with following(Second()):
        parcel(Packed, parcel_id=old)
        bring_to_rest(deliver=False)
        assert Instance.objects.get().state == {"seen": 2}
        assert sent_off(old) == []


def test_a_new_version_goes_on_from_where_the_former_stopped(old):
    unheard = parcel(Packed)
    with following(Second()):
        bring_to_rest(deliver=False)
    assert versions_of(unheard) == [2]
    assert row("changing").began_after == 0


def test_a_state_that_has_grown_is_read_with_its_defaults(old):
    with following(SecondMended()):
        parcel(Packed, parcel_id=old)
        bring_to_rest(deliver=False)
    assert sent_off(old) == ["mended 1! 7"]
    assert versions_of(old) == [1, 2, 2]


def test_a_state_that_can_not_be_read_is_parked_alone_and_heals_with_the_code(old):
    with following(SecondAlone()):
        new = parcel(Packed, Packed)
        parcel(Packed, parcel_id=old)
        bring_to_rest(deliver=False)
        assert sent_off(new) == ["new !!"]
    parked = ParkedEvent.objects.get()
    assert parked.key == str(old)
    assert parked.error.startswith("UnreadableState: Version 2 of changing can't read version 1: Expected `str`")
    assert Instance.objects.get(key=str(old)).state == {"seen": 1}
    with following(SecondMended()):
        assert retry_keys("changing", [str(old)]).failing == 0
        bring_to_rest(deliver=False)
    assert sent_off(old) == ["mended 1! 7"]


def status(name="changing"):
    (found,) = (each for each in subscriber_statuses() if each.name == name)
    return found


def test_a_saga_that_wants_other_events_without_a_new_version_is_fed_by_nobody(old):
    class Careless(First, name="changing", version=1):
        packed = First.packed

    with following(Careless()):
        new = parcel(Packed)
        bring_to_rest(deliver=False)
        assert not versions_of(new)
        assert status().mismatch == "wants other events than it was fed"
    with following(First()):
        bring_to_rest(deliver=False)
        assert versions_of(new) == [1]


def test_older_code_never_feeds_what_newer_code_has_taken_over(old):
    with following(Second()):
        bring_to_rest(deliver=False)
    with following(First()):
        new = parcel(Packed)
        bring_to_rest(deliver=False)
        assert not feeding.feed([registry["changing"]]).held
        assert status().mismatch == "is at version 1 in the code and at 2 in the database"
    assert (versions_of(new), row("changing").version) == ([], 2)
    with following(Second()):
        bring_to_rest(deliver=False)
    assert versions_of(new) == [2]
    assert row("changing").checkpoint == store.head()
