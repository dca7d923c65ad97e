"""Who waits for seats, in which order they are offered them, and what becomes of an offer."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from eventstore.aggregates import Command
from eventstore.context import new_id
from eventstore.events import Event
from eventstore.testing import NOON, given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import ConferenceCancelled, CustomerLimitChanged, SalesClosed
from ordering.domain.customer import Customer
from ordering.domain.errors import (
    AlreadyWaiting,
    ConferenceNotOnSale,
    CustomerLimitReached,
    InvalidPriority,
    OfferOver,
    ReasonNeeded,
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
    MOST_AT_ONCE,
    AcceptOffer,
    ChooseEntries,
    ClearWaitlist,
    DeclineOffer,
    JoinAfterRefusal,
    JoinWaitlist,
    LapseOffer,
    LeaveWaitlist,
    Leaving,
    MissOrder,
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

from .samples import ADA, CONFERENCE, ON_SALE, ORDER, PLACED, REGISTERED, SCHEDULED, STANDARD

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
        closes_at=SCHEDULED.closes_at,
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


def refused(
    *events: Event, seats: ConferenceSeats, others: Sequence[Order] = (), later: timedelta = timedelta(0)
) -> list[Event]:
    command = JoinAfterRefusal(waitlist_id=LIST, conference_id=CONFERENCE, order_id=ORDER, lines=(Line("standard", 2),))
    facts = [seats, given(Order, ORDER, PLACED), *others]
    return when(waitlist(*events), command, now=NOON + later, others=facts)


def test_who_was_refused_seats_joins() -> None:
    (entry,) = refused(seats=conference())
    assert isinstance(entry, WaitlistJoined)
    assert (entry.customer_id, entry.lines, entry.refused_order_id) == (ADA, (Line("standard", 2),), ORDER)


def test_who_was_refused_and_has_such_seats_otherwise_does_not_join() -> None:
    assert refused(seats=conference(reserved(2, ADA), free=2)) == []


@pytest.mark.parametrize(("seats", "joins"), [(2, False), (1, True)])
def test_seats_that_were_reserved_before_customers_were_named_are_those_of_the_order_s_customer(
    seats: int, joins: bool
) -> None:
    of_ada, of_bob = (msgspec.structs.replace(PLACED, order_id=new_id(), customer_id=each) for each in (ADA, BOB))
    before = [reserved(seats, order_id=of_ada.order_id), reserved(2, order_id=of_bob.order_id)]
    orders = [given(Order, each.order_id, each) for each in (of_ada, of_bob)]
    assert bool(refused(seats=conference(*before, free=4), others=orders)) is joins


def of_an_order_without_a_name(customer: UUID, seats: int) -> tuple[SeatsReserved, Order]:
    """Seats that were reserved before customers were named, and their order."""
    placed = msgspec.structs.replace(PLACED, order_id=new_id(), customer_id=customer)
    return reserved(seats, order_id=placed.order_id), given(Order, placed.order_id, placed)


def test_who_joins_by_wish_has_seats_that_were_reserved_before_customers_were_named() -> None:
    before, order = of_an_order_without_a_name(ADA, 2)
    assert when(waitlist(), join(2), others=[conference(before, free=3), order, ada()]) == [joined(ADA, 2, had=2)]


def test_who_has_bought_the_seats_before_customers_were_named_is_offered_none_and_leaves() -> None:
    (before, of_ada), (others, of_bob) = of_an_order_without_a_name(ADA, 1), of_an_order_without_a_name(BOB, 1)
    facts = [conference(before, others, free=4), of_ada, of_bob]
    events = when(waitlist(joined(ADA), joined(BOB, had=1)), ChooseEntries(waitlist_id=LIST), others=facts)
    assert leaving(events) == [(ADA, Leaving.BOUGHT)]
    assert turns(events) == [BOB]


@pytest.mark.parametrize(
    ("change", "later"),
    [
        (SalesClosed(conference_id=CONFERENCE, reason="Full."), timedelta(0)),
        (ConferenceCancelled(conference_id=CONFERENCE, reason="Fire."), timedelta(0)),
        (None, timedelta(days=1)),
    ],
)
def test_who_was_refused_does_not_join_when_sales_or_the_conference_are_over(
    change: Event | None, later: timedelta
) -> None:
    assert refused(seats=conference(*[change] if change else []), later=later) == []


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


def leaving(events: list[Event]) -> list[tuple[UUID, Leaving]]:
    return [(event.entry_id, event.reason) for event in events if isinstance(event, WaitlistLeft)]


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=3)], ids=["after sales", "after the start"])
def test_nobody_waits_when_sales_have_ended_or_the_conference_has_begun(later: timedelta) -> None:
    events = choose(*offered(ADA), joined(BOB), seats=conference(free=1), later=later)
    assert leaving(events) == [(ADA, Leaving.SALES_ENDED), (BOB, Leaving.SALES_ENDED)]
    assert turns(events) == []


def test_who_joins_in_the_moment_in_which_the_conference_is_cancelled_leaves() -> None:
    cancelled = conference(ConferenceCancelled(conference_id=CONFERENCE, reason="Fire."), free=1)
    assert leaving(choose(joined(ADA), seats=cancelled)) == [(ADA, Leaving.CONFERENCE_CANCELLED)]


def test_who_waits_stays_when_staff_close_sales() -> None:
    closed = conference(SalesClosed(conference_id=CONFERENCE, reason="The hall is in doubt."), free=1)
    assert choose(joined(ADA), seats=closed) == []


def test_of_many_who_are_to_wait_no_more_some_leave_at_a_time() -> None:
    many = [joined(new_id()) for _ in range(MOST_AT_ONCE + 1)]
    events = choose(*many, seats=conference(), later=timedelta(days=1))
    assert len(events) == len(when(waitlist(*many), ClearWaitlist(waitlist_id=LIST))) == MOST_AT_ONCE
    assert len(choose(*many, *events, seats=conference(), later=timedelta(days=1))) == 1


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


def test_who_accepted_seats_that_could_not_be_ordered_is_told_once_and_can_join_again() -> None:
    (accepted,) = when(waitlist(*offered(ADA)), AcceptOffer(waitlist_id=LIST, entry_id=ADA), others=[conference()])
    miss = MissOrder(waitlist_id=LIST, seats_id=offered_seats_id(ORDER))
    assert when(waitlist(*offered(ADA)), miss) == []
    (left,) = when(waitlist(*offered(ADA), accepted), miss)
    assert isinstance(left, WaitlistLeft)
    assert (left.entry_id, left.reason, left.seats_id) == (ADA, Leaving.NOT_ORDERED, offered_seats_id(ORDER))
    assert when(waitlist(*offered(ADA), accepted, left), miss) == []
    assert turns(choose(*offered(ADA), accepted, left, joined(ADA), seats=conference(free=1))) == [ADA]


def test_staff_take_off_the_list_for_a_reason() -> None:
    leave = LeaveWaitlist(waitlist_id=LIST, entry_id=ADA, reason=Leaving.STAFF, note="She has a ticket.")
    (left,) = when(waitlist(joined(ADA)), leave)
    assert isinstance(left, WaitlistLeft)
    assert (left.reason, left.note) == (Leaving.STAFF, "She has a ticket.")
    with pytest.raises(ReasonNeeded):
        when(waitlist(joined(ADA)), msgspec.structs.replace(leave, note=" "))


def test_who_left_can_join_again_at_the_end() -> None:
    (left,) = when(waitlist(joined(ADA)), LeaveWaitlist(waitlist_id=LIST, entry_id=ADA))
    assert turns(choose(joined(ADA), joined(BOB), left, joined(ADA), seats=conference(free=1))) == [BOB]


def test_a_priority_that_an_entry_has_is_not_set_again() -> None:
    command = PrioritiseEntry(waitlist_id=LIST, entry_id=ADA, priority=1, reason="A speaker.")
    assert when(waitlist(joined(ADA)), command) == [prioritised(ADA, 1)]
    assert when(waitlist(joined(ADA), prioritised(ADA, 1)), command) == []


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_priority_takes_a_reason(reason: str) -> None:
    with pytest.raises(ReasonNeeded):
        when(waitlist(joined(ADA)), PrioritiseEntry(waitlist_id=LIST, entry_id=ADA, priority=1, reason=reason))


@pytest.mark.parametrize("priority", [-1000, 1000])
def test_a_priority_has_bounds(priority: int) -> None:
    command = PrioritiseEntry(waitlist_id=LIST, entry_id=ADA, priority=priority, reason="A speaker.")
    assert when(waitlist(joined(ADA)), command) == [prioritised(ADA, priority)]
    with pytest.raises(InvalidPriority):
        when(waitlist(joined(ADA)), msgspec.structs.replace(command, priority=priority + (1 if priority > 0 else -1)))


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
