"""When an effect may act: not at night, say.

The setting `EFFECTS_WINDOWS` names effects, or patterns of names, each with the hours of the day between which it acts,
such as `{"mail.*": "08:00-21:00"}`; the first that fits counts. They are hours of `EFFECTS_TIME_ZONE`, else of Django's
`TIME_ZONE`. A window may go over midnight.
"""

from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from sagas import conf


class SendWindow(NamedTuple):
    """The hours of a day in which an effect may act, from `opens` until before `closes`."""

    opens: time
    closes: time

    def holds(self, moment: time) -> bool:
        if self.opens <= self.closes:
            return self.opens <= moment < self.closes
        return moment >= self.opens or moment < self.closes


def parse(text: str) -> SendWindow:
    """A window as it is configured. Raises ValueError."""
    opens, _, closes = text.partition("-")
    window = SendWindow(time.fromisoformat(opens.strip()), time.fromisoformat(closes.strip()))
    if window.opens == window.closes or window.opens.tzinfo or window.closes.tzinfo:
        raise ValueError(f"{text} is no time at all, or names a time zone.")
    return window


def fits(pattern: str, effect: str) -> bool:
    """Whether a name or a pattern of names, as `EFFECTS_WINDOWS` has it, means this effect."""
    return fnmatchcase(effect, pattern)


def window_of(effect: str) -> SendWindow | None:
    """The window of an effect; None if it may act at any time."""
    return next((parse(text) for pattern, text in conf.WINDOWS.get().items() if fits(pattern, effect)), None)


def opens_at(effect: str, now: datetime) -> datetime | None:
    """When an effect may act next, if it may not at this moment; both are moments with a time zone."""
    window = window_of(effect)
    if window is None:
        return None
    local = now.astimezone(ZoneInfo(conf.TIME_ZONE.get() or settings.TIME_ZONE))
    if window.holds(local.time()):
        return None
    today = datetime.combine(local, window.opens.replace(fold=local.fold), local.tzinfo)
    return today if today > local else today + timedelta(days=1)
