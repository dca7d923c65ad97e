"""Coming to rest: until nothing goes on any more in a whole installation, and what its read tables say then."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from eventstore import store
from eventstore.models import Incident, SubscriberRow
from projections.models import Generation, ReadModel
from sagas.models import Delivery, OutboxCommand, Timer

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


def come_to_rest(
    seconds: float, *, meanwhile: Callable[[], object] = lambda: None, using: str = DEFAULT_DB_ALIAS
) -> None:
    """Waits until all is at rest, and does something `meanwhile`. However long that takes on a slow machine, in any so
    many seconds something has to be done.
    """
    before, since = (-1, -1), time.monotonic()
    while left := unrest(using=using):
        meanwhile()
        fed = SubscriberRow.objects.using(using).aggregate(Sum("checkpoint"))["checkpoint__sum"]
        done = (fed, Delivery.objects.using(using).filter(status="done").count())
        if done != before:
            before, since = done, time.monotonic()
        if time.monotonic() - since > seconds:
            raise AssertionError("\n".join([f"For {seconds} s nothing was done, and this is left:", *left]))
        time.sleep(LOOK_EVERY)


def unrest(*, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Some of what is still going on, all of it at one moment: what is done meanwhile may begin something else."""
    with transaction.atomic(using):
        with connections[using].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return [*_left(using)]


def _left(using: str) -> Iterator[str]:
    head = store.head(using=using)
    for row in SubscriberRow.objects.using(using).filter(checkpoint__lt=head):
        yield f"{row} stands at {row.checkpoint} of {head}"
    for timer in Timer.objects.using(using).filter(status="waiting", due_at__lte=Now())[:SOME]:
        yield f"{timer} is due"
    for command in OutboxCommand.objects.using(using).exclude(status__in=["done", "refused"])[:SOME]:
        yield f"{command} is not sent: {command.error}"
    for delivery in Delivery.objects.using(using).exclude(status="done")[:SOME]:
        yield f"{delivery} is {delivery.status}: {delivery.error}"
    for generation in Generation.objects.using(using).filter(status="building"):
        yield f"{generation} is being built"
    for incident in Incident.objects.using(using).filter(ended_at=None):
        yield f"{incident}: {incident.text}"


def rows(model: type[ReadModel], *fields: str) -> dict[Any, dict[str, Any]]:
    """By key."""
    return {row.pk: {field: getattr(row, field) for field in fields} for row in model._default_manager.all()}
