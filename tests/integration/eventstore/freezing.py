"""A process that stops in the midst of something, by SIGSTOP: it keeps its connection, and says nothing."""

import os
import signal
import sys
from uuid import UUID

import django

STOPS = "stops now"


def stop(*_: object) -> None:
    sys.stdout.write(STOPS)
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGSTOP)


def decide(conference_id: UUID) -> None:
    """Holds a conference, and is about to add seats."""
    from eventstore.commands import dispatch
    from ordering.domain.conference import ConferenceSeats
    from ordering.domain.seats import AddSeats, SeatType
    from tests.integration.shop import PRICE

    ConferenceSeats.decide = stop  # type: ignore[method-assign, assignment]
    dispatch(AddSeats(conference_id=conference_id, seat_type=SeatType("late", "Late", PRICE, 1, 1)))


def feed(customer_id: UUID) -> None:
    """Holds the rows of all sync subscribers, and is about to fold an event."""
    from eventstore.commands import dispatch
    from ordering.domain.customer import ChangeCustomer
    from ordering.projections.customer import CustomerProfiles

    CustomerProfiles.fold = stop  # type: ignore[method-assign, assignment]
    dispatch(ChangeCustomer(customer_id=customer_id, name="Ada King"))


if __name__ == "__main__":
    django.setup()
    {"decide": decide, "feed": feed}[sys.argv[1]](UUID(sys.argv[2]))
