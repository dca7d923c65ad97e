"""What workers do for projections. Rebuilds have a queue of their own, so that live work never waits behind one."""

from celery import shared_task
from django.db.models import Q

from eventstore import doorbell
from eventstore.subscriptions import hash_ranges
from eventstore.subscriptions.registry import registry
from projections import conf
from projections.errors import RebuildRunning
from projections.models import Generation, Part
from projections.projection import Projection
from projections.rebuild import builder, generations


@shared_task(base=doorbell.Call, name="projections.tasks.fill")
def fill(part_id: int) -> None:
    """Fold a part of a generation for a while; what is left then is rung for again. Or drop what is left of a
    generation whose projection was retired: it takes the same rights.
    """
    part = Part.objects.select_related("generation").filter(pk=part_id).first()
    if part is None:
        return
    if not doorbell.answer(_bell(part)):
        return
    if part.generation.status == Generation.Status.DROPPED:
        generations.drop_retired(part.generation)
    elif not builder.build(part_id):
        _ring(part)


@shared_task(base=doorbell.Tick, name="projections.tasks.tick")
def tick() -> None:
    """Take up the generations whose worker died or whose bell was lost, and those that retired projections left."""
    building = Q(generation__status=Generation.Status.BUILDING)
    left = Q(generation__status=Generation.Status.DROPPED, generation__made=True)
    for part in Part.objects.filter(building | left).select_related("generation"):
        _ring(part)


@shared_task(base=doorbell.Tick, name="projections.tasks.verify_samples")
def verify_samples() -> None:
    """Begin to verify a share of the keys of every projection, another one each time."""
    share = conf.VERIFY_SAMPLE.get()
    for subscriber in registry:
        if isinstance(subscriber, Projection):
            try:
                ring(generations.verify(subscriber.name, only=hash_ranges.sample(share), requested_by="schedule"))
            except RebuildRunning:
                continue


def ring(generation: Generation) -> None:
    """Let workers take up a generation."""
    for part in generation.parts.select_related("generation"):
        _ring(part)


def _ring(part: Part) -> None:
    doorbell.ring(_bell(part), fill.name, part.pk)


def _bell(part: Part) -> str:
    return f"{part.generation.parked_as} {part.shard}"
