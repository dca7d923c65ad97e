"""Every setting of sagas and effects."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import available_timezones

from eventstore.conf import Setting, duration, is_mapping

BEGIN_AFTER: Setting[Mapping[str, int]] = Setting(
    "SAGAS_BEGIN_AFTER",
    {},
    "By saga: the position after which a new one begins, where that is neither declared nor the end of the log.",
    "names of sagas, each with a position",
    is_mapping,
)
LEASE_SECONDS = duration(
    "EFFECTS_LEASE_SECONDS", 60.0, "For which a worker may act on a delivery, longer than any provider's timeout."
)
OVERDUE_AFTER_SECONDS = duration(
    "SAGAS_OVERDUE_AFTER_SECONDS", 30.0, "That a command, a timer or a delivery may be due without being taken up."
)
QUEUES: Setting[Mapping[str, str]] = Setting(
    "EFFECTS_QUEUES",
    {},
    "By effect: the queue whose workers carry it out, where that is not as declared.",
    "names of effects, each with a queue",
    is_mapping,
)
RATES: Setting[Mapping[str, float | str]] = Setting(
    "EFFECTS_RATES",
    {},
    "By effect: how often a second it acts at most, where that is not as declared; 0 for no bound.",
    "names of effects, each with a number",
    is_mapping,
)
WINDOWS: Setting[Mapping[str, str]] = Setting(
    "EFFECTS_WINDOWS",
    {},
    "By effect, or by a pattern of names: the hours of the day between which it acts, such as 08:00-21:00.",
    "names or patterns, each with a window",
    is_mapping,
)
TIME_ZONE: Setting[str | None] = Setting(
    "EFFECTS_TIME_ZONE",
    None,
    "The time zone of these hours; None for TIME_ZONE.",
    "the name of a time zone, or None",
    lambda value: value is None or value in available_timezones(),
)

SETTINGS: Sequence[Setting[Any]] = (
    BEGIN_AFTER,
    LEASE_SECONDS,
    OVERDUE_AFTER_SECONDS,
    QUEUES,
    RATES,
    WINDOWS,
    TIME_ZONE,
)
