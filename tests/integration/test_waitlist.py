"""Seats that become free find those who wait for them, through the log, the sagas and their timers."""

import pytest

from eventstore import repository, store
from eventstore.commands import dispatch
from eventstore.context import new_id
from ordering import conf
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import CancelConference, ChangeCapacity, CloseSales
from ordering.domain.order import CancelOrder, ExpireOrder, Order, Status
from ordering.domain.seats import Line
from ordering.domain.waitlist import (
    AcceptOffer,
    DeclineOffer,
    JoinWaitlist,
    LeaveWaitlist,
    Place,
    Waitlist,
    waitlist_id_of,
)
from ordering.models import ConferenceSummary
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
    dispatch(
        JoinWaitlist(
            waitlist_id=waitlist_id_of(conference),
            conference_id=conference,
            entry_id=new_id(),
            customer_id=ada,
            lines=(Line("standard", 1),),
        )
    )
    dispatch(CancelOrder(order_id=order))
    bring_to_rest()
    assert places(conference) == {ada: Place.OFFERED}


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
