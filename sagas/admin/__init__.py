"""Sagas with their histories, the commands they send and the timers they set, the ledger of side effects, and webhooks.

Plain admin classes, which work with django.contrib.admin alone.
"""

from sagas.admin import deliveries, finders, instances, outbox, rehearsals, timers, webhooks

__all__ = ["deliveries", "finders", "instances", "outbox", "rehearsals", "timers", "webhooks"]
