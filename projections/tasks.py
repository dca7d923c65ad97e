"""What workers do for projections. Rebuilds have a queue of their own, so that live work never waits behind one."""

from celery import shared_task

from eventstore import doorbell
from projections import generations
from projections.models import Generation


@shared_task(name="projections.tasks.rebuild")
def rebuild(generation_id: int) -> None:
    """Fill a generation for a while; what is left then is rung for again."""
    doorbell.answer(_bell(generation_id))
    if not generations.build(generation_id):
        ring(generation_id)


@shared_task(name="projections.tasks.tick")
def tick() -> None:
    """Take up rebuilds whose worker died or whose bell was lost."""
    for generation in Generation.objects.filter(status=Generation.Status.BUILDING):
        ring(generation.pk)


def ring(generation_id: int) -> None:
    doorbell.ring(_bell(generation_id), rebuild.name, generation_id)


def _bell(generation_id: int) -> str:
    return f"rebuild {generation_id}"
