"""What people read about a conference is what its aggregate knows."""

import msgspec
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from eventstore.aggregates import Command
from eventstore.errors import DomainError
from eventstore.events import Event
from eventstore.testing import given, when
from ordering.domain.conference import ConferenceSeats
from ordering.domain.conference_changes import (
    ConferenceMoved,
    ConferenceRenamed,
    MailNoteChanged,
    PoolRenamed,
    SalesReopened,
    SalesWindowChanged,
    SeatLimitChanged,
    SeatsRenamed,
    SeatsRepriced,
)
from ordering.domain.seats import SeatsReleased
from ordering.models import ConferenceSummary
from ordering.models.conference import counted
from ordering.projections.conference import SeatAvailability
from projections.testing import assert_batches_do_not_matter, project, recorded

from .samples import CONFERENCE, ON_SALE, SCHEDULED, euros
from .test_conference_changes import CANCELLED, CLOSED, COMMANDS, HELD, HOLD, IN_POOLS, RESERVED, RESERVED_TOO, SOLD

RELEASED = SeatsReleased(conference_id=CONFERENCE, order_id=SOLD.order_id, lines=SOLD.lines)


def row_of(*events: Event) -> ConferenceSummary:
    return project(SeatAvailability, *ON_SALE, *events)[CONFERENCE]


def counts(each: dict[str, int]) -> tuple[int, ...]:
    return tuple(each[name] for name in ("capacity", "taken", "held", "available"))


def test_a_row_says_who_has_the_seats_of_each_type_and_pool() -> None:
    row = row_of(*IN_POOLS, RESERVED, SOLD, RESERVED_TOO, HELD)
    assert counts(row.seat_types["standard"]) == (10, 4, 3, 3)
    assert counts(row.seat_types["balcony"]) == (2, 0, 0, 2)
    assert counts(row.pools["hall"]) == (11, 4, 3, 4)
    assert counts(row.pools["workshop"]) == (3, 0, 0, 3)
    assert row.holds == {str(HOLD): {"seat_type": "standard", "quantity": 3, "label": "Speakers"}}


def test_released_seats_are_free_whether_they_were_sold_or_not() -> None:
    assert counts(row_of(RESERVED, RELEASED).seat_types["standard"]) == (10, 0, 0, 10)
    assert counts(row_of(RESERVED, SOLD, RELEASED).seat_types["standard"]) == (10, 0, 0, 10)


def test_a_row_says_how_the_conference_stands() -> None:
    assert row_of().status == ConferenceSummary.Status.SCHEDULED
    assert row_of(CLOSED).status == ConferenceSummary.Status.SALES_CLOSED
    assert row_of(CLOSED, SalesReopened(conference_id=CONFERENCE)).status == ConferenceSummary.Status.SCHEDULED
    assert row_of(CLOSED, CANCELLED).status == ConferenceSummary.Status.CANCELLED


def test_a_row_says_the_terms_of_now() -> None:
    row = row_of(
        *IN_POOLS,
        ConferenceRenamed(conference_id=CONFERENCE, name="Tails"),
        ConferenceMoved(
            conference_id=CONFERENCE, starts_at=SCHEDULED.starts_at, time_zone="Europe/Berlin", place="Berlin"
        ),
        SalesWindowChanged(conference_id=CONFERENCE, opens_at=SCHEDULED.opens_at, closes_at=SCHEDULED.starts_at),
        SeatsRepriced(conference_id=CONFERENCE, seat_type="standard", price=euros("179.00")),
        SeatsRenamed(conference_id=CONFERENCE, seat_type="standard", name="Regular"),
        SeatLimitChanged(conference_id=CONFERENCE, seat_type="standard", max_per_order=6),
        PoolRenamed(conference_id=CONFERENCE, pool="hall", name="Great hall"),
    )
    assert (row.name, row.time_zone, row.place, row.closes_at) == (
        *("Tails", "Europe/Berlin", "Berlin"),
        SCHEDULED.starts_at,
    )
    standard = row.seat_types["standard"]
    assert (standard["name"], standard["max_per_order"]) == ("Regular", 6)
    assert standard["price"] == {"amount": "179.00", "currency": "EUR"}
    assert row.pools["hall"]["name"] == "Great hall"


def test_the_version_of_the_terms_is_that_of_the_aggregate() -> None:
    noted = MailNoteChanged(conference_id=CONFERENCE, note="The doors open at 8.")
    events = (*IN_POOLS, RESERVED, HELD, SOLD, noted)
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, *events)
    row = row_of(*events)
    assert (row.version, row.terms_version) == (seats.version, seats.terms_version)


def test_a_row_of_version_1_goes_on() -> None:
    row = ConferenceSummary(conference_id=CONFERENCE)
    row.seat_types = {"standard": {"name": "Standard", "capacity": 10, "available": 6}}
    assert counts(counted(row.seat_types["standard"])) == (10, 4, 0, 6)
    released = msgspec.structs.replace(RELEASED, order_id=RESERVED_TOO.order_id)
    for event in (SOLD, released, RESERVED):
        SeatAvailability().compiled[event.stored][0](row, event, recorded(event))
    assert counts(row.seat_types["standard"]) == (10, 4, 0, 6)


@settings(deadline=None, max_examples=100)
@for_all(st.lists(COMMANDS, min_size=5, max_size=30))
def test_its_figures_are_those_of_the_aggregate(commands: list[Command]) -> None:
    seats = given(ConferenceSeats, CONFERENCE, *ON_SALE, *IN_POOLS)
    for command in commands:
        try:
            when(seats, command)
        except DomainError:
            continue
    row = row_of(*IN_POOLS, *seats.recorded)
    for code, each in row.seat_types.items():
        orders = (*seats.sold.values(), *seats.reserved.values())
        taken = sum(line.quantity for lines in orders for line in lines if line.seat_type == code)
        held = sum(hold.quantity for hold in seats.holds.values() if hold.seat_type == code)
        assert counts(each) == (seats.seat_types[code].capacity, taken, held, seats.available(code))
        assert tuple(each["pools"]) == seats.draws_on[code]
    assert {code: each["capacity"] for code, each in row.pools.items()} == {
        code: pool.capacity for code, pool in seats.pools.items()
    }


def test_batches_do_not_matter() -> None:
    assert_batches_do_not_matter(SeatAvailability, *ON_SALE, *IN_POOLS, RESERVED, HELD, SOLD, RESERVED_TOO, RELEASED)
