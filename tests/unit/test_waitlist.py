"""Who waits for seats, in which order they are offered them, and what becomes of an offer."""

from datetime import timedelta
from uuid import UUID

import pytest

from eventstore.aggregates import Command
from eventstore.context import new_id
from eventstore.events import Event
from eventstore.testing import NOON, given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import CustomerLimitChanged, SalesClosed
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    AlreadyWaiting,
    ConferenceNotOnSale,
    CustomerLimitReached,
    OfferOver,
    SeatsAreFree,
    WaitlistEntryNotFound,
)
from ordering.domain.order import Order, PlaceOrder
from ordering.domain.seats import (
    Line,
    PricedLine,
    ReserveSeats,
    SeatsReleased,
    SeatsReserved,
    offered_seats_id,
)
from ordering.domain.waitlist import (
    AcceptOffer,
    ChooseEntries,
    ClearWaitlist,
    DeclineOffer,
    JoinAfterRefusal,
    JoinWaitlist,
    LapseOffer,
    LeaveWaitlist,
    Leaving,
    MissSeats,
    OfferSeats,
    PrioritiseEntry,
    Waitlist,
    WaitlistAccepted,
    WaitlistChosen,
    WaitlistDeclined,
    WaitlistJoined,
    WaitlistLapsed,
    WaitlistLeft,
    WaitlistOffered,
    WaitlistPrioritised,
    WaitlistSeatsMissed,
    waitlist_id_of,
)

from .samples import ADA, CONFERENCE, ON_SALE, ORDER, PLACED, REGISTERED, STANDARD

LIST = waitlist_id_of(CONFERENCE)
BOB, CAROL = new_id(), new_id()
UNTIL = NOON + timedelta(hours=12)


def reserved(seats: int, customer: UUID | None = None, *, order_id: UUID | None = None) -> SeatsReserved:
    return SeatsReserved(
        conference_id=CONFERENCE,
        order_id=order_id or new_id(),
        lines=(PricedLine("standard", seats, STANDARD.price),),
        total=STANDARD.price * seats,
        customer_id=customer,
    )


def conference(*events: Event, free: int = 0) -> ConferenceSeats:
    """Of ten seats so many are free, before these events."""
    taken = (reserved(STANDARD.capacity - free),) if free < STANDARD.capacity else ()
    return given(ConferenceSeats, CONFERENCE, *ON_SALE, *taken, *events)


def joined(customer: UUID, seats: int = 1, *, had: int = 0) -> WaitlistJoined:
    """The entry of a customer is named like the customer."""
    return WaitlistJoined(
        conference_id=CONFERENCE,
        entry_id=customer,
        customer_id=customer,
        lines=(Line("standard", seats),),
        had=(Line("standard", had),) if had else (),
    )


def prioritised(customer: UUID, priority: int) -> WaitlistPrioritised:
    return WaitlistPrioritised(conference_id=CONFERENCE, entry_id=customer, priority=priority, reason="A speaker.")


def chosen(customer: UUID, seats: int = 1) -> WaitlistChosen:
    return WaitlistChosen(
        conference_id=CONFERENCE,
        entry_id=customer,
        customer_id=customer,
        lines=(Line("standard", seats),),
        order_id=ORDER,
        seats_id=offered_seats_id(ORDER),
        passed_over=(),
    )


def offered(customer: UUID, seats: int = 1) -> tuple[Event, ...]:
    return (
        joined(customer, seats),
        chosen(customer, seats),
        WaitlistOffered(
            conference_id=CONFERENCE,
            entry_id=customer,
            customer_id=customer,
            lines=(Line("standard", seats),),
            order_id=ORDER,
            seats_id=offered_seats_id(ORDER),
            until=UNTIL,
        ),
    )


def join(seats: int = 1, customer: UUID = ADA) -> JoinWaitlist:
    return JoinWaitlist(
        waitlist_id=LIST,
        conference_id=CONFERENCE,
        entry_id=customer,
        customer_id=customer,
        lines=(Line("standard", seats),),
    )


def waitlist(*events: Event) -> Waitlist:
    return given(Waitlist, LIST, *events)


def ada() -> Customer:
    return given(Customer, ADA, REGISTERED)


def turns(events: list[Event]) -> list[UUID]:
    return [event.entry_id for event in events if isinstance(event, WaitlistChosen)]


def choose(*events: Event, seats: ConferenceSeats, later: timedelta = timedelta(0)) -> list[Event]:
    return when(waitlist(*events), ChooseEntries(waitlist_id=LIST), now=NOON + later, others=[seats])


def test_a_customer_joins_by_wish_while_the_seats_are_not_free() -> None:
    assert when(waitlist(), join(2), others=[conference(free=1), ada()]) == [joined(ADA, 2)]


def test_free_seats_are_to_be_ordered_not_waited_for() -> None:
    with pytest.raises(SeatsAreFree):
        when(waitlist(), join(2), others=[conference(free=2), ada()])


def test_a_customer_has_one_entry() -> None:
    with pytest.raises(AlreadyWaiting):
        when(waitlist(joined(ADA)), join(2), others=[conference(), ada()])


def test_nobody_waits_for_more_seats_than_one_customer_may_have() -> None:
    limited = conference(CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=1))
    with pytest.raises(CustomerLimitReached):
        when(waitlist(), join(2), others=[limited, ada()])


def test_nobody_joins_after_sales_have_closed() -> None:
    with pytest.raises(ConferenceNotOnSale):
        when(waitlist(), join(), others=[conference(SalesClosed(conference_id=CONFERENCE, reason="Full.")), ada()])


def refused(*events: Event, seats: ConferenceSeats) -> list[Event]:
    command = JoinAfterRefusal(waitlist_id=LIST, conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),))
    return when(waitlist(*events), command, others=[seats, given(Order, ORDER, PLACED)])


def test_who_was_refused_seats_joins() -> None:
    (entry,) = refused(seats=conference())
    assert isinstance(entry, WaitlistJoined)
    assert (entry.customer_id, entry.lines, entry.refused_order_id) == (ADA, (Line("standard", 2),), ORDER)


def test_who_was_refused_and_has_such_seats_otherwise_does_not_join() -> None:
    assert refused(seats=conference(reserved(2, ADA), free=2)) == []


def test_who_is_refused_again_keeps_the_place() -> None:
    assert refused(joined(ADA), joined(BOB), seats=conference()) == []


def test_seats_of_an_offer_that_are_refused_make_nobody_join() -> None:
    command = JoinAfterRefusal(
        waitlist_id=LIST, conference_id=CONFERENCE, order_id=offered_seats_id(ORDER), lines=(Line("standard", 1),)
    )
    assert when(waitlist(joined(BOB), chosen(BOB)), command, others=[conference()]) == []


def test_last_in_line_is_not_offered_first() -> None:
    assert turns(choose(joined(ADA), joined(BOB), joined(CAROL), seats=conference(free=2))) == [ADA, BOB]


def test_who_has_a_higher_priority_comes_before_who_joined_earlier() -> None:
    history = joined(ADA), joined(BOB), joined(CAROL), prioritised(CAROL, 1)
    assert turns(choose(*history, seats=conference(free=2))) == [CAROL, ADA]


def test_who_wants_more_than_is_free_keeps_nobody_waiting_and_is_named_as_passed_over() -> None:
    (turn,) = choose(joined(ADA, 3), joined(BOB, 2), seats=conference(free=2))
    assert isinstance(turn, WaitlistChosen)
    assert (turn.entry_id, turn.passed_over) == (BOB, (ADA,))


def test_who_was_passed_over_has_the_first_turn_once_there_are_seats_enough() -> None:
    assert turns(choose(joined(ADA, 3), joined(BOB, 2), joined(CAROL), seats=conference(free=4))) == [ADA, CAROL]


def test_one_entry_for_several_seats_has_all_of_them_or_none() -> None:
    assert turns(choose(joined(ADA, 2), seats=conference(free=1))) == []
    (turn,) = choose(joined(ADA, 2), seats=conference(free=3))
    assert isinstance(turn, WaitlistChosen)
    assert turn.lines == (Line("standard", 2),)


def test_seats_that_are_about_to_be_offered_are_not_offered_to_another() -> None:
    assert turns(choose(joined(ADA), chosen(ADA), joined(BOB), seats=conference(free=1))) == []


def test_seats_that_are_on_offer_already_count_once() -> None:
    held = reserved(1, ADA, order_id=offered_seats_id(ORDER))
    assert turns(choose(joined(ADA), chosen(ADA), joined(BOB), seats=conference(held, free=2))) == [BOB]


def test_who_has_bought_the_seats_meanwhile_is_offered_none_and_leaves() -> None:
    (left,) = choose(joined(ADA), seats=conference(reserved(1, ADA), free=2))
    assert isinstance(left, WaitlistLeft)
    assert left.reason is Leaving.BOUGHT


def test_who_had_seats_before_and_wants_more_is_offered_them() -> None:
    assert turns(choose(joined(ADA, had=1), seats=conference(reserved(1, ADA), free=2))) == [ADA]


def test_who_may_not_have_so_many_seats_any_more_is_passed_over() -> None:
    limited = conference(CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=1), free=2)
    assert turns(choose(joined(ADA, 2), joined(BOB), seats=limited)) == [BOB]


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=3)], ids=["after sales", "after the start"])
def test_nobody_is_offered_seats_after_sales_have_closed_or_the_conference_has_begun(later: timedelta) -> None:
    assert choose(joined(ADA), seats=conference(free=1), later=later) == []


def offer(*events: Event, until: timedelta, later: timedelta = timedelta(0)) -> list[Event]:
    command = OfferSeats(waitlist_id=LIST, entry_id=ADA, seats_id=offered_seats_id(ORDER), until=NOON + until)
    return when(waitlist(*events), command, now=NOON + later, others=[conference()])


def test_an_offer_ends_no_later_than_sales() -> None:
    untils = [
        event.until
        for hours in (1, 100)
        for event in offer(joined(ADA), chosen(ADA), until=timedelta(hours=hours))
        if isinstance(event, WaitlistOffered)
    ]
    assert untils == [NOON + timedelta(hours=1), NOON + timedelta(days=1)]


def test_nobody_has_two_offers() -> None:
    with pytest.raises(OfferOver):
        offer(*offered(ADA), until=timedelta(hours=1))
    assert choose(*offered(ADA), seats=conference(free=5)) == []


def test_sales_that_closed_before_the_seats_were_offered_make_no_offer() -> None:
    with pytest.raises(ConferenceNotOnSale):
        offer(joined(ADA), chosen(ADA), until=timedelta(days=2), later=timedelta(days=1))


def test_who_missed_the_seats_waits_on_in_the_same_place() -> None:
    missed = WaitlistSeatsMissed(conference_id=CONFERENCE, entry_id=ADA, seats_id=offered_seats_id(ORDER))
    command = MissSeats(waitlist_id=LIST, entry_id=ADA, seats_id=offered_seats_id(ORDER))
    history = joined(ADA), joined(BOB), chosen(ADA)
    assert when(waitlist(*history), command) == [missed]
    assert turns(choose(*history, missed, seats=conference(free=1))) == [ADA]


def test_each_turn_has_an_order_of_its_own() -> None:
    first, second = choose(joined(ADA), joined(BOB), seats=conference(free=2))
    assert isinstance(first, WaitlistChosen)
    assert isinstance(second, WaitlistChosen)
    assert first.order_id != second.order_id
    assert second.seats_id == offered_seats_id(second.order_id)


def test_an_offer_is_accepted_until_it_ends() -> None:
    accept = AcceptOffer(waitlist_id=LIST, entry_id=ADA)
    (accepted,) = when(waitlist(*offered(ADA)), accept, others=[conference()])
    assert isinstance(accepted, WaitlistAccepted)
    assert accepted.order_id == ORDER
    with pytest.raises(OfferOver):
        when(waitlist(*offered(ADA)), accept, now=UNTIL, others=[conference()])


def test_an_offer_is_not_accepted_once_sales_are_closed() -> None:
    closed = conference(SalesClosed(conference_id=CONFERENCE, reason="The hall is in doubt."))
    with pytest.raises(ConferenceNotOnSale):
        when(waitlist(*offered(ADA)), AcceptOffer(waitlist_id=LIST, entry_id=ADA), others=[closed])


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (DeclineOffer(waitlist_id=LIST, entry_id=ADA), WaitlistDeclined),
        (LapseOffer(waitlist_id=LIST, entry_id=ADA, seats_id=offered_seats_id(ORDER)), WaitlistLapsed),
        (LeaveWaitlist(waitlist_id=LIST, entry_id=ADA), WaitlistLeft),
    ],
    ids=["declined", "lapsed", "left"],
)
def test_who_let_an_offer_pass_is_not_offered_again(command: Command, kind: type[Event]) -> None:
    (event,) = when(waitlist(*offered(ADA)), command)
    assert isinstance(event, kind)
    assert isinstance(event, WaitlistDeclined | WaitlistLapsed | WaitlistLeft)
    assert event.seats_id == offered_seats_id(ORDER)
    assert choose(*offered(ADA), event, seats=conference(free=5)) == []


def test_who_cancelled_the_wait_is_not_offered_again() -> None:
    (left,) = when(waitlist(joined(ADA)), LeaveWaitlist(waitlist_id=LIST, entry_id=ADA))
    assert choose(joined(ADA), left, seats=conference(free=5)) == []
    with pytest.raises(WaitlistEntryNotFound):
        when(waitlist(joined(ADA), left), AcceptOffer(waitlist_id=LIST, entry_id=ADA))


def test_an_offer_that_was_accepted_does_not_lapse() -> None:
    (accepted,) = when(waitlist(*offered(ADA)), AcceptOffer(waitlist_id=LIST, entry_id=ADA), others=[conference()])
    with pytest.raises(OfferOver):
        when(
            waitlist(*offered(ADA), accepted),
            LapseOffer(waitlist_id=LIST, entry_id=ADA, seats_id=offered_seats_id(ORDER)),
        )


def test_who_left_can_join_again_at_the_end() -> None:
    (left,) = when(waitlist(joined(ADA)), LeaveWaitlist(waitlist_id=LIST, entry_id=ADA))
    assert turns(choose(joined(ADA), joined(BOB), left, joined(ADA), seats=conference(free=1))) == [BOB]


def test_a_priority_that_an_entry_has_is_not_set_again() -> None:
    command = PrioritiseEntry(waitlist_id=LIST, entry_id=ADA, priority=1, reason="A speaker.")
    assert when(waitlist(joined(ADA)), command) == [prioritised(ADA, 1)]
    assert when(waitlist(joined(ADA), prioritised(ADA, 1)), command) == []


def test_nobody_waits_for_a_conference_that_is_cancelled() -> None:
    events = when(waitlist(*offered(ADA), joined(BOB)), ClearWaitlist(waitlist_id=LIST))
    assert [(each.entry_id, each.reason) for each in events if isinstance(each, WaitlistLeft)] == [
        (ADA, Leaving.CONFERENCE_CANCELLED),
        (BOB, Leaving.CONFERENCE_CANCELLED),
    ]


def test_the_seats_of_an_offer_become_those_of_the_order_at_once() -> None:
    seats = conference(reserved(1, ADA, order_id=offered_seats_id(ORDER)), free=1)
    reserve = ReserveSeats(conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 1),), customer_id=ADA)
    assert when(seats, reserve) == [
        SeatsReleased(conference_id=CONFERENCE, order_id=offered_seats_id(ORDER), lines=(Line("standard", 1),)),
        reserved(1, ADA, order_id=ORDER),
    ]


def test_the_seats_of_an_offer_count_once_for_the_limit_of_its_customer() -> None:
    limit = CustomerLimitChanged(conference_id=CONFERENCE, max_per_customer=1)
    seats = conference(limit, reserved(1, ADA, order_id=offered_seats_id(ORDER)), free=1)

    def place(*lines: Line) -> list[Event]:
        command = PlaceOrder(order_id=ORDER, customer_id=ADA, conference_id=CONFERENCE, lines=lines)
        return when(given(Order, ORDER), command, others=[seats, ada()])

    assert place(Line("standard", 1))
    with pytest.raises(CustomerLimitReached):
        place(Line("standard", 1), Line("balcony", 1))
