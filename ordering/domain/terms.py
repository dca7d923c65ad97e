"""The terms on which a conference sells its seats."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from ordering.domain.errors import InvalidPaymentTerms

LONGEST = timedelta(days=366)


class Unit(StrEnum):
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"


class PaymentTerms(msgspec.Struct, frozen=True):
    """An order is to be paid `within` so many minutes or hours, or by the end of the day that is so many days later.

    It is never to be paid after the `last_day`, if there is one. Days are those of the conference's time zone. For
    `grace` minutes more an order is kept of which nobody is told.
    """

    within: int = 15
    unit: Unit = Unit.MINUTES
    last_day: date | None = None
    grace: int = 0

    def check(self) -> None:
        """Raises `InvalidPaymentTerms`."""
        most = LONGEST // timedelta(**{self.unit: 1})
        if not 1 <= self.within <= most or not 0 <= self.grace <= LONGEST // timedelta(minutes=1):
            raise InvalidPaymentTerms

    def deadline(self, since: datetime, time_zone: str) -> datetime:
        """Until when an order is to be paid that begins to wait for its payment at this time."""
        if self.unit is Unit.DAYS:
            until = end_of_day(since.astimezone(ZoneInfo(time_zone)).date() + timedelta(days=self.within), time_zone)
        else:
            until = since.astimezone(UTC) + timedelta(**{self.unit: self.within})
        return self.at_most(until, time_zone)

    def at_most(self, until: datetime, time_zone: str) -> datetime:
        """That time, or the end of the last day if it is earlier."""
        return until if self.last_day is None else min(until, end_of_day(self.last_day, time_zone))


def end_of_day(day: date, time_zone: str) -> datetime:
    """The last second of a day, in UTC; the later one where clocks show it twice."""
    return datetime.combine(day, time(23, 59, 59, fold=1), ZoneInfo(time_zone)).astimezone(UTC)
