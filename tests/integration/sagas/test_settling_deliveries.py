"""What staff make of side effects that were given up, are in doubt, or were done and are to be done once more."""

from datetime import timedelta

import pytest
from django.core import mail

from eventstore.models import StoredEvent
from eventstore.operations.base import perform
from eventstore.subscriptions import feeding
from sagas.effects.effect import AT_MOST_ONCE
from sagas.errors import NothingToResolve, PermanentFailure
from sagas.models import Delivery
from sagas.operations import AbandonDelivery, MarkDelivered, Redeliver, RetryDelivery, SendCopy
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop
from tests.integration.sagas.parcels import Packed, parcel
from tests.integration.sagas.providers import the_one, window

WHO = "anna"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FULL, UNKNOWN = "PermanentFailure: mailbox full", "PermanentFailure: no such address"

pytestmark = pytest.mark.usefixtures("parcels")


def in_doubt(notify):
    """Something that may or may not have happened."""
    provider = notify(Packed, delivery=AT_MOST_ONCE)
    provider.answer = TimeoutError()
    parcel(Packed)
    bring_to_rest()
    let_pass(DAY)
    bring_to_rest()
    assert (the_one().status, len(provider.calls)) == ("in doubt", 1)
    provider.answer = None
    return provider


def test_what_is_in_doubt_counts_as_done_when_somebody_found_out_that_it_happened(notify):
    provider = in_doubt(notify)
    asked = MarkDelivered(target="notify")
    assert asked.preview() == "notify: 1 delivery is counted as done."
    perform(asked, by=WHO, reason="the customer has it")
    bring_to_rest()
    assert (the_one().status, len(provider.calls)) == ("done", 1)
    with pytest.raises(NothingToResolve):
        perform(asked, by=WHO, reason="once more")


def test_what_is_in_doubt_is_carried_out_when_somebody_found_out_that_it_did_not_happen(notify):
    provider = in_doubt(notify)
    perform(Redeliver(target="notify", delivery=the_one().pk), by=WHO, reason="the customer has nothing")
    bring_to_rest()
    assert (the_one().status, len(provider.calls)) == ("done", 2)


@pytest.fixture
def dead(notify):
    """Letters of two kinds that were given up."""
    provider = notify(Packed)
    for why, times in (("no such address", 3), ("mailbox full", 2)):
        provider.answer = PermanentFailure(why)
        for _ in range(times):
            parcel(Packed)
        bring_to_rest()
    provider.answer, provider.calls = None, []
    assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}
    return provider


def test_dead_letters_of_one_error_are_tried_again(dead):
    asked = RetryDelivery(target="notify", error=FULL)
    assert asked.preview() == "notify: 2 deliveries are tried again."
    assert perform(asked, by=WHO) == "2 deliveries are tried again"
    assert asked.remaining() == 2
    bring_to_rest()
    assert (len(dead.calls), asked.remaining()) == (2, 0)
    assert list(Delivery.objects.filter(status="failed").values_list("error", flat=True)) == [UNKNOWN] * 3
    perform(RetryDelivery(target="notify"), by=WHO)
    bring_to_rest()
    assert len(dead.calls) == 5


def test_dead_letters_of_one_error_are_given_up_for_good(dead):
    perform(AbandonDelivery(target="notify", error=UNKNOWN), by=WHO, reason="they moved")
    perform(RetryDelivery(target="notify"), by=WHO)
    bring_to_rest()
    assert len(dead.calls) == 2
    assert Delivery.objects.filter(status="abandoned", error=UNKNOWN).count() == 3


def test_what_has_not_happened_yet_is_given_up_one_by_one(notify, settings):
    provider = notify(Packed)
    settings.EFFECTS_WINDOWS = {"notify": window(HOUR, 3 * HOUR)}
    parcel(Packed)
    parcel(Packed)
    bring_to_rest()
    with pytest.raises(NothingToResolve):
        perform(AbandonDelivery(target="notify"), by=WHO, reason="all of them")
    first = Delivery.objects.earliest("position")
    perform(AbandonDelivery(target="notify", delivery=first.pk), by=WHO, reason="this one")
    settings.EFFECTS_WINDOWS = {}
    let_pass(DAY)
    bring_to_rest()
    assert len(provider.calls) == 1
    assert list(Delivery.objects.order_by("position").values_list("status", flat=True)) == ["abandoned", "done"]


def test_a_mail_is_sent_once_more_under_another_id():
    ada = shop.customer()
    bring_to_rest()
    for again in range(1, 3):
        first = Delivery.objects.get(copy=0)
        assert "although it has" in SendCopy(target="mail.welcome", delivery=first.pk).preview()
        perform(SendCopy(target="mail.welcome", delivery=first.pk), by=WHO, reason="it was lost")
        bring_to_rest()
        assert Delivery.objects.get(copy=again).status == "done"
    ids = [each.extra_headers["Message-ID"] for each in mail.outbox]
    assert len(ids) == len(set(ids)) == 3
    told = StoredEvent.objects.filter(type="mail.sent").order_by("position")
    assert [each.data["message_id"] for each in told] == ids
    assert {each.data["stream_id"] for each in told} == {str(ada)}


def test_what_has_not_happened_is_not_done_once_more(notify):
    provider = notify(Packed)
    parcel(Packed)
    feeding.catch_up([provider.effect])
    with pytest.raises(NothingToResolve):
        perform(SendCopy(target="notify", delivery=the_one().pk), by=WHO, reason="it was lost")
    assert the_one().copy == 0
