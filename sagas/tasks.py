"""What workers do for sagas and effects: when they are called, and what their processes look after by themselves."""

import structlog
from celery import shared_task

from eventstore import doorbell
from eventstore.subscriptions.registry import registry
from eventstore.tasks import linger, take_turn
from sagas import outbox, rehearsal_runs, timers
from sagas.effects import delivery, preconditions
from sagas.effects.effect import DELIVER_TASK
from sagas.webhooks import delivery as webhook_delivery
from sagas.webhooks import mails as webhook_mails
from sagas.webhooks import pruning as webhook_pruning
from sagas.webhooks import subscriber as webhook_subscriber

log = structlog.get_logger(__name__)


@shared_task(base=doorbell.Call, name=rehearsal_runs.TASK)
def rehearse(run_id: int) -> None:
    """Carry out a rehearsal that somebody asked for."""
    if doorbell.answer(rehearsal_runs.bell(run_id)):
        rehearsal_runs.carry_out(run_id)


@shared_task(base=doorbell.Tick, name="sagas.tasks.tick")
def tick() -> None:
    """Fire the timers that are due, and take up whatever a dead process or a lost bell left behind: commands,
    deliveries, webhooks, rehearsals.
    """
    registry.make_rows()
    keep_time()
    if outbox.is_overdue():
        doorbell.ring(outbox.BELL, outbox.TASK)
    effects = delivery.effects_here()
    for effect in effects:
        preconditions.wake(effect)
    for effect in preconditions.due(effects):
        effect.ring()
    if webhook_delivery.is_due():
        webhook_subscriber.ring()
    rehearsal_runs.ring_unfinished()


@shared_task(base=doorbell.Call, name=outbox.TASK)
def run() -> None:
    """Feed and dispatch, whoever it began with, until nothing was left to do for a second.

    Not forever, only because there is always something under load: what is not overdue its own request is about to do.
    """
    registry.make_rows()
    if doorbell.answer(outbox.BELL) and linger(_go_on, poll=0.02) and outbox.is_overdue():
        doorbell.ring(outbox.BELL, outbox.TASK)


@shared_task(base=doorbell.Call, name=DELIVER_TASK)
def deliver(name: str) -> None:
    """Carry out the ledger of one effect until nothing of it has been due for a second, if it has a place free.

    Where this process doesn't run it, or doesn't know it, the bell goes on ringing, until the clock rings it again for
    somebody who does.
    """
    registry.make_rows()
    effect = next((effect for effect in delivery.effects_here() if effect.name == name), None)
    if effect is None:
        log.info("effect_of_others", effect=name)
        return
    if not doorbell.answer(effect.bell):
        return
    with delivery.slot(effect) as ours:
        more = ours and linger(lambda: delivery.deliver_one(effect), poll=0.05)
    if more:
        effect.ring()


@shared_task(base=doorbell.Call, name=webhook_subscriber.SEND_TASK)
def send_webhooks() -> None:
    """Send webhooks until none has been due for a second, and tell the owners of endpoints what they have to know."""
    if doorbell.answer(webhook_subscriber.BELL):
        webhook_delivery.send_due()
        webhook_mails.send_due()


@shared_task(base=doorbell.Tick, name="sagas.tasks.prune_webhooks")
def prune_webhooks() -> None:
    """Forget the deliveries of webhooks that have been kept for as long as they are to be."""
    webhook_pruning.prune()


def keep_time() -> float | None:
    """Fire what is due, and have it sent; answers in how many seconds the next one is due, if there is one."""
    wait = timers.due_in()
    if wait is not None and wait <= 0 and timers.fire_all():
        doorbell.ring(outbox.BELL, outbox.TASK)
        wait = timers.due_in()
    return wait


def send_overdue() -> None:
    """Send what is overdue, as it is with the broker away."""
    registry.make_rows()
    while outbox.is_overdue() and _go_on():
        pass


def _go_on() -> bool:
    """Send a few commands, and let everybody hear of what they led to. False if there was nothing to do for us."""
    sent = outbox.send_several()
    return take_turn() or sent > 0
