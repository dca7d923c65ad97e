"""The file by which a conference gets into a calendar, as RFC 5545 has it."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings

from ordering.domain.conference import ConferenceSeats

PRODUCT = "-//Boxoffice//Orders//EN"
AROUND = timedelta(days=366)
"""The clocks' changes within this time before and after the start are told in the file."""


def conference_of_order(conference: ConferenceSeats, *, order_id: UUID, number: str, at: datetime) -> bytes:
    """One entry, in the conference's zone, under a name that is the order's: a later file replaces it.

    `at` is when the file was asked for. A conference has no end that is known, so the entry has none.
    """
    # It takes long to load, and most processes send no mail.
    from icalendar import Calendar, Event

    entry = Event()
    entry.add("uid", f"{order_id}@{settings.MAIL_DOMAIN}")
    entry.add("dtstamp", at)
    entry.add("dtstart", conference.starts_at.astimezone(ZoneInfo(conference.time_zone)))
    entry.add("summary", conference.name)
    entry.add("description", f"Order {number}")
    if conference.place:
        entry.add("location", conference.place)
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add_component(entry)
    day = conference.starts_at.date()
    calendar.add_missing_timezones(first_date=day - AROUND, last_date=day + AROUND)
    return calendar.to_ical()
