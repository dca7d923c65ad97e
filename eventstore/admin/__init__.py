"""The log, its subscribers and its operations in Django's admin, and what a read-only list of a growing table needs.

Plain admin classes: they work with django.contrib.admin alone. A project with a theme of its own lets its admin site
mix that in where they are registered.
"""

from eventstore.admin import events, finders, identity, imports, monitoring, parked, records, subscribers
from eventstore.admin.lists import KeysetAdmin, ReadOnlyAdmin, event_link, polled, pretty, tag

__all__ = [
    "KeysetAdmin",
    "ReadOnlyAdmin",
    "event_link",
    "events",
    "finders",
    "identity",
    "imports",
    "monitoring",
    "parked",
    "polled",
    "pretty",
    "records",
    "subscribers",
    "tag",
]
