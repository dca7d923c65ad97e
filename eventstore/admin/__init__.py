"""The log and whoever follows it in Django's admin, and what every read-only list of a growing table needs.

Plain admin classes: they work with django.contrib.admin alone. A project that dresses its admin otherwise registers
subclasses of these in its own base class.
"""

from eventstore.admin import identity, log, parked, records, subscribers, watch
from eventstore.admin.lists import KeysetAdmin, ReadOnlyAdmin, event_link, polled, pretty, tag

__all__ = [
    "KeysetAdmin",
    "ReadOnlyAdmin",
    "event_link",
    "identity",
    "log",
    "parked",
    "polled",
    "pretty",
    "records",
    "subscribers",
    "tag",
    "watch",
]
