"""The operation on an incident that is not over by itself."""

from django.db import transaction

from eventstore import signals
from eventstore.errors import Refused
from eventstore.models import ClockTimestamp, Incident
from eventstore.operations.base import Operation, operation


@operation("resolve-incident", verb="Resolve", permission="eventstore.change_incident", needs_reason=True)
class Resolve(Operation, frozen=True, kw_only=True):
    """Say that an incident is over, because what was found is understood, and mended if need be."""

    ranks, noun, page = frozenset(), "incident", "eventstore_incident_change"

    @classmethod
    def concerns(cls, target: str) -> bool:
        return target.isdecimal() and len(target) < 19 and Incident.objects.filter(pk=target, ended_at=None).exists()

    def preview(self) -> str:
        incident = self._standing()
        return (
            f"{incident.kind}: {incident.about} {incident.text}. It is over then, whoever was told of it is told that."
        )

    def carry_out(self, *, by: str, reason: str) -> str:
        with transaction.atomic(durable=True):
            incident = self._standing(locked=True)
            incident.ended_at = ClockTimestamp()
            incident.save(update_fields=["ended_at"])
            signals.resolved.send(sender=Incident, incident=incident)
        return "resolved"

    def _standing(self, *, locked: bool = False) -> Incident:
        """Raises `Refused` for one that is over."""
        incidents = Incident.objects.select_for_update() if locked else Incident.objects.all()
        standing = incidents.filter(pk=self.target, ended_at=None).first()
        if standing is None:
            raise Refused("It is over already.")
        return standing
