from django.db import models

from projections.models import ReadModel


class ConferenceSummary(ReadModel):
    """A conference and its seat types, each with how many seats are still to be had."""

    conference_id = models.UUIDField(primary_key=True)
    name = models.TextField()
    starts_at = models.DateTimeField()
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    seat_types = models.JSONField(default=dict, help_text="by code: name, price, capacity, max_per_order, available")
    version = models.IntegerField(help_text="of the conference's stream")

    class Meta:
        verbose_name = "conference"
        ordering = ["starts_at", "conference_id"]
        indexes = [models.Index(fields=["starts_at", "conference_id"], name="ordering_conference_next")]

    def __str__(self) -> str:
        return self.name
