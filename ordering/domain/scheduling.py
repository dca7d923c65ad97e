"""How a conference begins: it is scheduled, with its first seats."""

from uuid import UUID

from eventstore.aggregates import Command, command
from eventstore.events import Event, event
from ordering.domain.seats import SeatType
from ordering.domain.values import Moment


@event("conference.scheduled", version=3)
class ConferenceScheduled(Event):
    """Version 1 had no `closes_at`, version 2 no `time_zone` and no `place`."""

    conference_id: UUID
    name: str
    starts_at: Moment
    opens_at: Moment
    closes_at: Moment
    time_zone: str
    place: str


@command("conference.schedule", stream="conference_id")
class ScheduleConference(Command):
    conference_id: UUID
    name: str
    starts_at: Moment
    opens_at: Moment
    closes_at: Moment
    seat_types: tuple[SeatType, ...]
    time_zone: str = "UTC"
    place: str = ""
