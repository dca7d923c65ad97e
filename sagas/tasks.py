"""What workers do for sagas and effects."""

from celery import shared_task

from eventstore import doorbell, feeding
from eventstore.subscribers import Mode, registry
from eventstore.tasks import linger
from sagas import delivery, dispatch, effects, timers
from sagas.models import Delivery, Outgoing


@shared_task(name="sagas.tasks.tick")
def tick() -> None:
    """Fire the timers that are due, and take up whatever a dead process or a lost bell left behind."""
    registry.make_rows()
    while timers.fire() == timers.BATCH:
        pass
    if Outgoing.objects.filter(status=Outgoing.Status.PENDING).exists():
        doorbell.ring("sagas", run.name)
    if Delivery.objects.filter(status__in=["pending", "waiting", "running"]).exists():
        doorbell.ring(effects.BELL, effects.TASK)


@shared_task(name="sagas.tasks.run")
def run() -> None:
    """Feed and dispatch, whoever it began with, until nothing was left to do for a second."""
    registry.make_rows()
    doorbell.answer("sagas")
    known = registry.of(Mode.SYNC)
    linger(lambda: dispatch.dispatch_one() or feeding.feed(known).moved, poll=0.02)


@shared_task(name=effects.TASK)
def deliver() -> None:
    """Carry out the ledger until nothing has been due for a second."""
    registry.make_rows()
    doorbell.answer(effects.BELL)
    if linger(delivery.deliver_one, poll=0.05):
        doorbell.ring(effects.BELL, effects.TASK)
