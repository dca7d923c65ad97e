"""Every setting of the event store: its name, its default, what it means, and what is wrong with a value.

The other apps declare theirs in the same way. Whoever wants a value asks for it when it is needed: `HALT_AT.get()`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A setting of Django, as one of these apps reads it. `accepts` says what `is_valid` holds of its values."""

    name: str
    default: T
    meaning: str
    accepts: str
    is_valid: Callable[[Any], bool]

    def get(self) -> T:
        """The value now; tests may change it at any time."""
        value: T = getattr(settings, self.name, self.default)
        return value


def faults(declared: Iterable[Setting[Any]]) -> Iterator[str]:
    """What is wrong with the values that these settings have, in words that don't tell the values."""
    return (f"{each.name} has to be {each.accepts}." for each in declared if not each.is_valid(each.get()))


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(each, str) for each in value)


def is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def duration(name: str, default: float, meaning: str, *, unit: str = "seconds") -> Setting[float]:
    """A setting that is a length of time."""
    return Setting(name, default, meaning, f"a number of {unit} above 0", is_duration)


def file(name: str, meaning: str) -> Setting[str | Path | None]:
    """A setting that names a file, or none."""
    return Setting(name, None, meaning, "a path or None", lambda value: value is None or isinstance(value, str | Path))


OWNER_ALIAS = Setting(
    "EVENTSTORE_OWNER_ALIAS",
    DEFAULT_DB_ALIAS,
    "The alias of the connection whose role owns the tables.",
    "the alias of a database",
    is_name,
)
CLAIM_KEY: Setting[str | None] = Setting(
    "EVENTSTORE_CLAIM_KEY",
    None,
    "The key of the hashes by which claimed values are kept unique; None for SECRET_KEY.",
    "a text or None",
    lambda value: value is None or is_name(value),
)
CLAIM_KEY_FALLBACKS: Setting[Sequence[str]] = Setting(
    "EVENTSTORE_CLAIM_KEY_FALLBACKS",
    (),
    "Other keys under which claimed values are kept unique as well, while one key takes the place of another.",
    "a list of texts",
    lambda value: isinstance(value, list | tuple) and all(map(is_name, value)),
)
HALT_AT = Setting(
    "EVENTSTORE_HALT_AT",
    25,
    "So many different keys that fail within a minute halt a subscriber, or end a generation.",
    "a whole number above 0",
    is_count,
)
MODES: Setting[Mapping[str, str]] = Setting(
    "EVENTSTORE_MODES",
    {},
    "By subscriber: who feeds it, `sync` or `async`, where that is not as declared.",
    "names of subscribers, each with a mode",
    is_mapping,
)
ONLY: Setting[Sequence[str] | None] = Setting(
    "EVENTSTORE_ONLY",
    None,
    "The subscribers that this process runs; None for all.",
    "names of subscribers, or None",
    lambda value: value is None or is_texts(value),
)
NOTIFIERS: Setting[Sequence[str]] = Setting(
    "EVENTSTORE_NOTIFIERS",
    ("eventstore.monitoring.notifications.mail_admins",),
    "Dotted paths of the functions that tell staff of incidents.",
    "a list of dotted paths",
    is_texts,
)
AFFECTED: Setting[Sequence[str]] = Setting(
    "EVENTSTORE_AFFECTED",
    (),
    "Dotted paths of the functions that know whom keys and events concern; see `eventstore.monitoring.affected`.",
    "a list of dotted paths",
    is_texts,
)
ADMIN_URL = Setting(
    "EVENTSTORE_ADMIN_URL",
    "",
    "Where the admin is, for links in notifications; empty for none.",
    "an address",
    is_text,
)
HEALTH_CHECK_SECONDS = duration(
    "EVENTSTORE_HEALTH_CHECK_SECONDS", 5.0, "Between two looks at the health of everything, by whatever process."
)
HEARTBEAT_TIMEOUT_SECONDS = duration(
    "EVENTSTORE_HEARTBEAT_TIMEOUT_SECONDS", 15.0, "Without a heartbeat, after which a worker or beat counts as gone."
)
STUCK_AFTER_SECONDS = duration(
    "EVENTSTORE_STUCK_AFTER_SECONDS", 120.0, "For a task, after which the process that is at it counts as stuck."
)
FORGET_AFTER_SECONDS = duration(
    "EVENTSTORE_FORGET_AFTER_SECONDS",
    600.0,
    "After which a worker that is gone is no longer missed, if others serve its queues.",
)
STALLED_AFTER_SECONDS = duration(
    "EVENTSTORE_STALLED_AFTER_SECONDS", 30.0, "Without a step of a subscriber that has something to do."
)
RAISE_AFTER_SECONDS = duration(
    "EVENTSTORE_RAISE_AFTER_SECONDS", 10.0, "That a health issue must last until it is raised as an incident."
)
RESOLVE_AFTER_SECONDS = duration(
    "EVENTSTORE_RESOLVE_AFTER_SECONDS",
    60.0,
    "Without its health issue, after which an incident is over; back before, it is the same one.",
)
MAX_CLOCK_SKEW_SECONDS = duration(
    "EVENTSTORE_MAX_CLOCK_SKEW_SECONDS",
    2.0,
    "By which the clock of a process may be off the database's before that is a health issue.",
)
FEEDER_IDLE_SECONDS = duration(
    "EVENTSTORE_FEEDER_IDLE_SECONDS",
    1.0,
    "For which a process that feeds may say nothing to PostgreSQL before its transaction ends, so that others feed.",
)
SETTLE_SECONDS = duration(
    "EVENTSTORE_SETTLE_SECONDS",
    2.0,
    "For which a request waits, at the most, until what its command began can be read; then it answers pending.",
)
IMPORTS_KEPT_DAYS = duration(
    "EVENTSTORE_IMPORTS_KEPT_DAYS",
    30.0,
    "For which it is told what became of an imported file: lines that were refused hold what they say of people.",
    unit="days",
)
RELAY_URL = Setting(
    "EVENTSTORE_RELAY_URL",
    "",
    "The broker to which the relay publishes the log; empty for none.",
    "an address that begins with redis://, rediss://, amqp:// or amqps://, or empty",
    lambda value: is_text(value) and (not value or value.startswith(("redis://", "rediss://", "amqp://", "amqps://"))),
)
RELAY_NAME = Setting(
    "EVENTSTORE_RELAY_NAME",
    "events",
    "The stream of Redis, or the exchange of RabbitMQ, that the relay publishes to.",
    "a text",
    is_name,
)
RELAY_TYPES: Setting[Sequence[str]] = Setting(
    "EVENTSTORE_RELAY_TYPES",
    (),
    "The types of events that the relay publishes; none for all.",
    "names of types",
    is_texts,
)
RELAY_KEPT = Setting(
    "EVENTSTORE_RELAY_KEPT",
    0,
    "About how many of the newest events a stream of Redis keeps; 0 for all.",
    "a whole number from 0 on",
    lambda value: value == 0 or is_count(value),
)
LOCK = file(
    "EVENTSTORE_LOCK", "The lock file of events, which keeps what each said when it was committed; None for no lock."
)
EXAMPLES = file("EVENTSTORE_EXAMPLES", "The file with a stored example of each version of each event; None for none.")

SETTINGS: Sequence[Setting[Any]] = (
    OWNER_ALIAS,
    CLAIM_KEY,
    CLAIM_KEY_FALLBACKS,
    HALT_AT,
    MODES,
    ONLY,
    NOTIFIERS,
    AFFECTED,
    ADMIN_URL,
    HEALTH_CHECK_SECONDS,
    HEARTBEAT_TIMEOUT_SECONDS,
    STUCK_AFTER_SECONDS,
    FORGET_AFTER_SECONDS,
    STALLED_AFTER_SECONDS,
    RAISE_AFTER_SECONDS,
    RESOLVE_AFTER_SECONDS,
    MAX_CLOCK_SKEW_SECONDS,
    FEEDER_IDLE_SECONDS,
    SETTLE_SECONDS,
    IMPORTS_KEPT_DAYS,
    RELAY_URL,
    RELAY_NAME,
    RELAY_TYPES,
    RELAY_KEPT,
    LOCK,
    EXAMPLES,
)

RENAMED: Mapping[str, str] = {
    "EVENTSTORE_TELL": NOTIFIERS.name,
    "EVENTSTORE_WATCH_SECONDS": HEALTH_CHECK_SECONDS.name,
    "EVENTSTORE_SILENT_SECONDS": HEARTBEAT_TIMEOUT_SECONDS.name,
    "EVENTSTORE_FORGOTTEN_SECONDS": FORGET_AFTER_SECONDS.name,
    "EVENTSTORE_STALLED_SECONDS": STALLED_AFTER_SECONDS.name,
    "EVENTSTORE_LASTS_SECONDS": RAISE_AFTER_SECONDS.name,
    "EVENTSTORE_SETTLED_SECONDS": RESOLVE_AFTER_SECONDS.name,
}
"""Settings that had another name, each with the one that it has now."""
