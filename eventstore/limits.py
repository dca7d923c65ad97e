"""Lengths of time that a project may set, in seconds: each is the setting `EVENTSTORE_<name>_SECONDS`."""

from django.conf import settings

DEFAULTS = {
    "WATCH": 2.0,  # between two looks at everything, whoever takes them
    "SILENT": 15.0,  # without a pulse, after which a worker or beat counts as gone
    "FORGOTTEN": 600.0,  # after which one that is gone is no longer missed, if others serve its queues
    "STALLED": 30.0,  # without a step of a subscriber that has something to do
    "LASTS": 10.0,  # that a trouble must last to be an incident
    "SETTLED": 60.0,  # without the trouble, after which its incident is over; back before, it is the same one
}


def seconds(name: str) -> float:
    return float(getattr(settings, f"EVENTSTORE_{name}_SECONDS", DEFAULTS[name]))
