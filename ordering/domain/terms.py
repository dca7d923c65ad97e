"""The terms on which a conference sells its seats."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from ordering.domain.errors import InvalidCancellationRule, InvalidPaymentTerms, MixedCurrencies
from ordering.domain.values import Moment, Money

LONGEST = timedelta(days=366)
BEGINNING = datetime.min.replace(tzinfo=UTC)


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


class CancellableUntil(StrEnum):
    ALWAYS = "always"
    START = "start"
    MOMENT = "moment"
    NEVER = "never"


class CancellationRule(msgspec.Struct, frozen=True):
    """Until when customers may cancel a confirmed order, and what of their money is kept then.

    `START` means so many `hours` before the conference starts, `MOMENT` the one that is named. What is kept is the sum
    of a fixed amount for the order, so many percent of what it costs, and an amount for each seat that costs something.
    """

    until: CancellableUntil = CancellableUntil.START
    hours: int = 0
    moment: Moment | None = None
    fixed: Money | None = None
    percent: int = 0
    per_seat: Money | None = None

    def check(self, currency: str) -> None:
        """Raises `InvalidCancellationRule`, `MixedCurrencies`, `TooManyDecimals`."""
        named = (self.moment is not None) == (self.until is CancellableUntil.MOMENT)
        if not named or not 0 <= self.hours <= LONGEST // timedelta(hours=1) or not 0 <= self.percent <= 100:
            raise InvalidCancellationRule
        for fee in (self.fixed, self.per_seat):
            if fee is None:
                continue
            if fee.currency != currency:
                raise MixedCurrencies
            if fee.amount < 0:
                raise InvalidCancellationRule
            fee.check()

    def ends_at(self, starts_at: datetime) -> datetime | None:
        """The time before which customers may cancel, where the conference starts then; None if they always may."""
        match self.until:
            case CancellableUntil.ALWAYS:
                return None
            case CancellableUntil.START:
                return starts_at.astimezone(UTC) - timedelta(hours=self.hours)
            case CancellableUntil.MOMENT:
                return self.moment
            case CancellableUntil.NEVER:
                return BEGINNING

    def fee(self, total: Money, seats: int, held: Money) -> Money:
        """What is kept of an order that costs `total`, with so many seats that cost something: never more than it
        costs, nor than is `held` of its money. A share is rounded to the decimals of the currency, half a unit up.
        """
        fee = total.share(self.percent)
        if self.fixed is not None:
            fee += self.fixed
        if self.per_seat is not None:
            fee += self.per_seat * seats
        return max(min(fee, held, total), total * 0)


AT_NO_COST = CancellationRule(until=CancellableUntil.ALWAYS)


def end_of_day(day: date, time_zone: str) -> datetime:
    """The last second of a day, in UTC; the later one where clocks show it twice."""
    return datetime.combine(day, time(23, 59, 59, fold=1), ZoneInfo(time_zone)).astimezone(UTC)
