"""What workers do for projections. Rebuilds have a queue of their own, so that live work never waits behind one."""

from celery import shared_task

from eventstore import doorbell
from projections import generations
from projections.models import Generation


@shared_task(name="projections.tasks.rebuild")
def rebuild(generation_id: int) -> None:
    """Fill a generation for a while; what is left then is rung for again."""
    generation = Generation.objects.get(pk=generation_id)
    doorbell.answer(_bell(generation))
    if not generations.build(generation_id):
        ring(generation)


@shared_task(name="projections.tasks.tick")
def tick() -> None:
    """Take up rebuilds whose worker died or whose bell was lost."""
    for generation in Generation.objects.filter(status=Generation.Status.BUILDING):
        ring(generation)


def ring(generation: Generation) -> None:
    """Let a worker take up a rebuild."""
    doorbell.ring(_bell(generation), rebuild.name, generation.pk)


def _bell(generation: Generation) -> str:
    return f"rebuild {generation.projection}"
