"""Coming to rest: until nothing goes on any more in a whole installation, and what its read tables say then."""

import time
from typing import Any

from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from eventstore import store
from eventstore.models import Incident, SubscriberRow
from projections.models import Generation, ReadModel
from sagas.models import Delivery, OutboxCommand, Timer
from tests.chaos.havoc import Reaper

# For less time than in production, so that the end is not mostly waiting.
PATIENCE = {
    "EFFECTS_LEASE_SECONDS": "5",
    "EMAIL_TIMEOUT": "2",
    "HEALTH_CHECK_SECONDS": "0.5",
    "RESOLVE_AFTER_SECONDS": "3",
}

LOOK_EVERY = 0.1

SOME = 20
"""How much of what goes on is told of each kind."""


def come_to_rest(reaper: Reaper, seconds: float) -> None:
    """Waits until all is at rest, and starts again meanwhile who ended by itself. However long that takes on a slow
    machine, something has to be done in any so many seconds.
    """
    before, since = (-1, -1), time.monotonic()
    while left := unrest():
        reaper.supervise()
        fed = SubscriberRow.objects.aggregate(Sum("checkpoint"))["checkpoint__sum"]
        done = (fed, Delivery.objects.filter(status="done").count())
        if done != before:
            before, since = done, time.monotonic()
        if time.monotonic() - since > seconds:
            raise AssertionError("\n".join([f"For {seconds} s nothing was done, and this is left:", *left]))
        time.sleep(LOOK_EVERY)


@transaction.atomic
def unrest() -> list[str]:
    """Some of what is still going on, all of it at one moment: what is done meanwhile may begin something else."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    head = store.head()
    behind = SubscriberRow.objects.filter(checkpoint__lt=head)
    unsent = OutboxCommand.objects.exclude(status__in=["done", "refused"])
    return [
        *(f"{row} stands at {row.checkpoint} of {head}" for row in behind),
        *(f"{row} is due" for row in Timer.objects.filter(status="waiting", due_at__lte=Now())[:SOME]),
        *(f"{row} is not sent: {row.error}" for row in unsent[:SOME]),
        *(f"{row} is {row.status}: {row.error}" for row in Delivery.objects.exclude(status="done")[:SOME]),
        *(f"{row} is being built" for row in Generation.objects.filter(status="building")),
        *(f"{row}: {row.text}" for row in Incident.objects.filter(ended_at=None)),
    ]


def rows(model: type[ReadModel], *fields: str) -> dict[Any, dict[str, Any]]:
    """By key."""
    return {row.pk: {field: getattr(row, field) for field in fields} for row in model._default_manager.all()}
