"""Somebody's requests, in a process that dies on the way."""

import sys
from uuid import UUID

import django
from django.conf import settings

if __name__ == "__main__":
    django.setup()

    from eventstore.subscriptions.registry import registry
    from tests.crash.death import arm
    from tests.crash.once import note_once
    from tests.crash.sales import Sales

    registry.register(note_once)
    arm()
    settings.EVENTSTORE_SETTLE_SECONDS = 30.0  # on a machine that is busy nobody else would go on
    sales = Sales(UUID(sys.argv[1]))
    sales.open()
    for _ in ("place", "pay", "cancel"):
        sales.go_on()
