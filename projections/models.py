"""The base of every read table, and the generations that a rebuild makes of them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ReadModel(models.Model):
    """A read table: its rows are folded from events, one a key, and can be thrown away and folded again.

    Subclasses declare a natural primary key, and neither foreign keys nor anything that writes by itself.
    """

    as_of = models.BigIntegerField(help_text="position of the last event in this row")

    class Meta:
        abstract = True


class Generation(models.Model):
    """A second set of a projection's rows, filled beside the live one and then swapped with it."""

    class Status(models.TextChoices):
        BUILDING = "building"
        LIVE = "live"
        OLD = "old"
        CANCELLED = "cancelled"
        FAILED = "failed"

    projection = models.TextField()
    version = models.IntegerField()
    wanted = models.TextField()
    status = models.TextField(choices=Status, default=Status.BUILDING)
    checkpoint = models.BigIntegerField(default=0)
    target = models.BigIntegerField(help_text="the head of the log when the rebuild began")
    processed = models.BigIntegerField(default=0)
    cancelling = models.BooleanField(default=False)
    waits_for = models.TextField(blank=True, default="", help_text="who holds up the swap")
    error = models.TextField(blank=True, default="")
    built_by = models.TextField(blank=True, default="", help_text="host and process that folds")
    requested_by = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["projection"], condition=Q(status="building"), name="projections_generation_building"
            )
        ]
        permissions = [("rebuild_projection", "Can rebuild projections")]

    def __str__(self) -> str:
        return f"{self.projection} {self.pk}"

    @property
    def schema(self) -> str:
        """Where its tables stand until they are swapped in, and again when they are swapped out."""
        return f"generation_{self.pk}"

    @property
    def share(self) -> float:
        """How much of the log at its start has been folded, from 0 to 1."""
        return min(1.0, self.checkpoint / self.target) if self.target else 1.0
