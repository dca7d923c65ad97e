"""Sagas with their stories, the commands they send and the timers they set, and the ledger of side effects.

Plain admin classes, which work with django.contrib.admin alone.
"""

from sagas.admin import commands, deliveries, instances, timers

__all__ = ["commands", "deliveries", "instances", "timers"]
