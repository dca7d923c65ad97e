"""Seats that become free find those who wait for them, through the log, the sagas and their timers."""

from contextlib import contextmanager
from uuid import UUID

import pytest

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.models import SubscriberRow
from eventstore.subscriptions.registry import registry
from ordering import conf
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import CancelConference, ChangeCapacity, CloseSales
from ordering.domain.order import CancelOrder, ExpireOrder, Order, Status
from ordering.domain.order_changes import ChangeQuantities
from ordering.domain.seats import Line
from ordering.domain.waitlist import (
    AcceptOffer,
    DeclineOffer,
    JoinAfterRefusal,
    LeaveWaitlist,
    Place,
    PrioritiseEntry,
    Waitlist,
    waitlist_id_of,
)
from ordering.models import ConferenceSummary, WaitlistEntry
from ordering.processes.cancellation import Cancellation
from ordering.processes.waitlist import Offering, Waiting
from sagas.models import OutboxCommand
from sagas.testing import bring_to_rest, let_pass
from tests.integration import shop

pytestmark = pytest.mark.usefixtures("clean")


def sold_out(seats=2):
    """A conference, and the order that has all of its seats."""
    conference = shop.conference_on_sale(seats)
    return conference, shop.order(shop.customer(), conference, seats)


def refused(conference, seats=1):
    """A customer whose order was refused, and who waits since."""
    customer = shop.customer()
    shop.order(customer, conference, seats)
    bring_to_rest()
    return customer


def places(conference):
    waitlist = repository.get(Waitlist, waitlist_id_of(conference))
    return {entry.customer_id: entry.place for entry in waitlist.entries.values()}


def entry_of(conference, customer):
    waitlist = repository.get(Waitlist, waitlist_id_of(conference))
    (entry,) = (each for each in waitlist.entries.values() if each.customer_id == customer)
    return entry


def named(conference, customer):
    return {"waitlist_id": waitlist_id_of(conference), "entry_id": entry_of(conference, customer).id}


def taken(conference):
    return ConferenceSummary.objects.get(pk=conference).seat_types["standard"]["taken"]


def recorded(conference):
    return [each.type for each in store.read_stream(waitlist_id_of(conference))]


def test_who_was_refused_is_offered_the_seats_of_an_order_that_expired_and_gets_them():
    conference, order = sold_out()
    ada = refused(conference, 2)
    assert places(conference) == {ada: Place.WAITING}
    dispatch(ExpireOrder(order_id=order))
    bring_to_rest()
    entry = entry_of(conference, ada)
    assert entry.place is Place.OFFERED
    assert taken(conference) == 2
    dispatch(AcceptOffer(**named(conference, ada)))
    bring_to_rest()
    shop.pay(entry.order_id, 2)
    bring_to_rest()
    accepted = repository.get(Order, entry.order_id)
    assert (accepted.customer_id, accepted.status) == (ada, Status.CONFIRMED)
    assert taken(conference) == 2
    assert places(conference) == {}


def test_an_offer_that_lapses_goes_to_the_next_and_who_let_it_lapse_is_off_the_list():
    conference, order = sold_out(1)
    ada, bob = refused(conference), refused(conference)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert places(conference) == {ada: Place.OFFERED, bob: Place.WAITING}
    let_pass(conf.offered_for())
    bring_to_rest()
    assert places(conference) == {bob: Place.OFFERED}
    assert taken(conference) == 1


@pytest.mark.parametrize("command", [DeclineOffer, LeaveWaitlist])
def test_an_offer_that_is_not_wanted_goes_to_the_next(command):
    conference, order = sold_out(1)
    ada, bob = refused(conference), refused(conference)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    dispatch(command(**named(conference, ada)))
    bring_to_rest()
    assert places(conference) == {bob: Place.OFFERED}


def test_more_seats_are_offered_to_all_who_can_have_them():
    conference, _ = sold_out(1)
    ada, bob, carol = refused(conference, 3), refused(conference), refused(conference)
    dispatch(ChangeCapacity(conference_id=conference, seat_type="standard", capacity=3))
    bring_to_rest()
    assert places(conference) == {ada: Place.WAITING, bob: Place.OFFERED, carol: Place.OFFERED}
    assert taken(conference) == 3


def test_an_order_for_an_offer_that_is_not_paid_gives_its_seats_to_the_next():
    conference, order = sold_out(1)
    ada, bob = refused(conference), refused(conference)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    placed = entry_of(conference, ada).order_id
    dispatch(AcceptOffer(**named(conference, ada)))
    bring_to_rest()
    dispatch(ExpireOrder(order_id=placed))
    bring_to_rest()
    assert places(conference) == {bob: Place.OFFERED}


def test_who_joined_by_wish_is_offered_seats_too():
    conference, order = sold_out(1)
    ada = shop.customer()
    shop.wait(ada, conference)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert places(conference) == {ada: Place.OFFERED}


def test_who_is_refused_once_more_waits_as_if_for_the_first_time():
    """An order that was reopened, or paid after it had expired, may be refused again: the entry has its id."""
    conference, _ = sold_out(1)
    ada = refused(conference)
    entry = named(conference, ada)
    dispatch(PrioritiseEntry(**entry, priority=5, reason="She speaks."))
    dispatch(LeaveWaitlist(**entry))
    lines = (Line("standard", 1),)
    again = JoinAfterRefusal(
        waitlist_id=entry["waitlist_id"], conference_id=conference, order_id=entry["entry_id"], lines=lines
    )
    dispatch(again)
    row = WaitlistEntry.objects.get(pk=entry["entry_id"])
    assert entry_of(conference, ada).priority == row.priority == 0
    assert (row.status, row.reason, row.ended_at) == ("waiting", "", None)


def test_seats_that_become_free_after_sales_were_closed_are_offered_to_nobody():
    conference, order = sold_out(1)
    ada = refused(conference)
    dispatch(CloseSales(conference_id=conference, reason="The hall is in doubt."))
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert places(conference) == {ada: Place.WAITING}
    assert "waitlist.chosen" not in recorded(conference)


def test_nobody_waits_for_a_conference_that_was_cancelled_and_no_seat_of_it_is_on_offer():
    conference, order = sold_out(1)
    refused(conference), refused(conference)
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    dispatch(CancelConference(conference_id=conference, reason="The hall has burnt down."))
    bring_to_rest()
    assert places(conference) == {}
    assert not repository.get(ConferenceSeats, conference).reserved


def test_no_order_is_called_off_for_seats_that_were_only_on_offer():
    conference, order = sold_out(2)
    refused(conference)
    dispatch(ChangeQuantities(order_id=order, lines=(Line("standard", 1),)))
    bring_to_rest()
    assert taken(conference) == 2
    dispatch(CancelConference(conference_id=conference, reason="The hall has burnt down."))
    bring_to_rest()
    sent = OutboxCommand.objects.filter(saga=Cancellation.name, type=CancelOrder.stored)
    assert [UUID(each.data["order_id"]) for each in sent] == [order]


def the_waitlist_is_deployed():
    """The log is what it was, and nobody has followed it for the waitlist yet."""
    SubscriberRow.objects.filter(subscriber__in=[Waiting.name, Offering.name]).delete()
    registry.forget_rows()


def test_who_was_refused_before_there_was_a_waitlist_joins_it_in_the_order_of_the_refusals():
    conference, order = sold_out()
    ada, bob = shop.customer(), shop.customer()
    for customer in (bob, ada, bob):
        shop.order(customer, conference)
    the_waitlist_is_deployed()
    bring_to_rest()
    assert recorded(conference) == 2 * ["waitlist.joined"]
    assert [entry.customer_id for entry in repository.get(Waitlist, waitlist_id_of(conference)).queue()] == [bob, ada]
    dispatch(ExpireOrder(order_id=order))
    bring_to_rest()
    assert places(conference) == {ada: Place.OFFERED, bob: Place.OFFERED}


def test_who_was_refused_before_and_has_bought_the_seats_meanwhile_does_not_join():
    conference, order = sold_out()
    ada, bob = shop.customer(), shop.customer()
    for customer in (ada, bob):
        shop.order(customer, conference)
    dispatch(CancelOrder(order_id=order))
    shop.order(ada, conference)
    shop.order(shop.customer(), conference)
    the_waitlist_is_deployed()
    bring_to_rest()
    assert places(conference) == {bob: Place.WAITING}


def test_nobody_joins_who_was_refused_before_when_sales_are_closed():
    conference, _ = sold_out()
    shop.order(shop.customer(), conference)
    dispatch(CloseSales(conference_id=conference, reason="The hall is in doubt."))
    the_waitlist_is_deployed()
    bring_to_rest()
    assert recorded(conference) == []


@contextmanager
def the_former_version():
    """Nobody is fed who is there for the waitlist."""
    declared = list(registry)
    registry.unregister(*(each for each in declared if each.name in {Waiting.name, Offering.name}))
    try:
        yield
    finally:
        registry.unregister(*registry)
        registry.register(*declared)


def test_who_is_refused_while_the_former_version_is_back_joins_when_this_one_is():
    conference, order = sold_out(1)
    ada, bob = refused(conference), shop.customer()
    with the_former_version():
        shop.order(bob, conference)
        dispatch(CancelOrder(order_id=order))
        bring_to_rest()
        assert places(conference) == {ada: Place.WAITING}
    bring_to_rest()
    assert places(conference) == {ada: Place.OFFERED, bob: Place.WAITING}
    assert recorded(conference).count("waitlist.joined") == 2


def test_in_a_copy_of_the_log_is_listed_what_the_waitlist_asks_for_and_nobody_joins(fence):
    conference, _ = sold_out()
    shop.order(shop.customer(), conference)
    the_waitlist_is_deployed()
    fence()
    bring_to_rest()
    asked = OutboxCommand.objects.filter(saga=Waiting.name)
    assert list(asked.values_list("type", "status")) == [("waitlist.join-refused", "pending")]
    assert recorded(conference) == []
