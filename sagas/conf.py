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
WEBHOOK_TIMEOUT_SECONDS = duration(
    "WEBHOOKS_TIMEOUT_SECONDS", 10.0, "For which an endpoint may take to answer, shorter than the lease."
)
WEBHOOK_RETRIED_DAYS = duration(
    "WEBHOOKS_RETRIED_DAYS",
    3.0,
    "For which a webhook is tried; an endpoint that fails for so long is switched off.",
    unit="days",
)
WEBHOOK_FORMER_SECRET_HOURS = duration(
    "WEBHOOKS_FORMER_SECRET_HOURS",
    24.0,
    "For which webhooks are signed with the former secret too, after an endpoint was given another.",
    unit="hours",
)
WEBHOOKS_KEPT_DAYS = duration(
    "WEBHOOKS_KEPT_DAYS", 30.0, "For which finished deliveries of webhooks are kept.", unit="days"
)
WEBHOOKS_TO_PRIVATE_ADDRESSES = Setting(
    "WEBHOOKS_TO_PRIVATE_ADDRESSES",
    False,
    "Whether webhooks may go to addresses of this machine and its networks, and without TLS.",
    "True or False",
    lambda value: isinstance(value, bool),
)

SETTINGS: Sequence[Setting[Any]] = (
    BEGIN_AFTER,
    LEASE_SECONDS,
    OVERDUE_AFTER_SECONDS,
    QUEUES,
    RATES,
    WINDOWS,
    TIME_ZONE,
    WEBHOOK_TIMEOUT_SECONDS,
    WEBHOOK_RETRIED_DAYS,
    WEBHOOK_FORMER_SECRET_HOURS,
    WEBHOOKS_KEPT_DAYS,
    WEBHOOKS_TO_PRIVATE_ADDRESSES,
)
