"""Sagas with their histories, the commands they send and the timers they set, and the ledger of side effects.

Plain admin classes, which work with django.contrib.admin alone.
"""

from sagas.admin import deliveries, instances, outbox, rehearsals, timers

__all__ = ["deliveries", "instances", "outbox", "rehearsals", "timers"]
