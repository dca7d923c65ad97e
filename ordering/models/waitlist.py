from collections import Counter
from uuid import UUID

from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from projections.models import ReadModel


class Entries(models.Manager["WaitlistEntry"]):
    """Entries, and how long the line is before them."""

    def in_line(self) -> models.QuerySet["WaitlistEntry"]:
        """Each with `ahead`: how many wait for the same conference and have an earlier claim."""
        earlier = Q(priority__gt=OuterRef("priority")) | Q(priority=OuterRef("priority"), joined__lt=OuterRef("joined"))
        before = self.model.objects.filter(
            earlier, conference_id=OuterRef("conference_id"), status=WaitlistEntry.Status.WAITING
        )
        counted = before.order_by().values("conference_id").annotate(entries=Count("pk")).values("entries")
        return self.annotate(ahead=Coalesce(Subquery(counted), 0))

    def wanted(self, conference_id: UUID, status: str) -> tuple[Counter[str], Counter[str]]:
        """How many entries of a conference are for seats of each type, and for how many of them."""
        entries, seats = Counter[str](), Counter[str]()
        found = self.filter(conference_id=conference_id, status=status).order_by()
        for alike in found.values("lines").annotate(entries=Count("pk")):
            for line in alike["lines"]:
                entries[line["seat_type"]] += alike["entries"]
                seats[line["seat_type"]] += line["quantity"] * alike["entries"]
        return entries, seats


class WaitlistEntry(ReadModel):
    """A customer who waits for seats of a conference, or did: what for, in which place, and what came of it."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        OFFERED = "offered"
        ACCEPTED = "accepted"
        DECLINED = "declined"
        LAPSED = "lapsed"
        LEFT = "left"

    entry_id = models.UUIDField(primary_key=True)
    conference_id = models.UUIDField()
    customer_id = models.UUIDField()
    lines = models.JSONField(help_text="seat_type, quantity; all of them or none")
    status = models.TextField(choices=Status)
    priority = models.IntegerField(default=0, help_text="whoever has a higher one comes first")
    joined = models.IntegerField(help_text="version of the waitlist's stream since when it waits")
    joined_at = models.DateTimeField()
    refused_order_id = models.UUIDField(null=True, blank=True, help_text="the order for whose refusal it waits, if any")
    offered_until = models.DateTimeField(null=True, blank=True)
    order_id = models.UUIDField(null=True, blank=True, help_text="the order that was placed when it accepted")
    reason = models.TextField(blank=True, default="", help_text="why it left")
    ended_at = models.DateTimeField(null=True, blank=True)
    version = models.IntegerField(help_text="of the waitlist's stream, when this entry changed")

    objects = Entries()

    class Meta:
        verbose_name = "waitlist entry"
        verbose_name_plural = "waitlist"
        ordering = ["-joined_at", "-entry_id"]
        permissions = [("manage_waitlist", "Can give entries of waitlists priority, and take them off")]
        indexes = [
            models.Index(fields=["-joined_at", "-entry_id"], name="ordering_waitlist_newest"),
            models.Index(fields=["customer_id", "-joined_at", "-entry_id"], name="ordering_waitlist_customer"),
            models.Index(F("conference_id"), F("priority").desc(), F("joined"), name="ordering_waitlist_line"),
        ]

    def __str__(self) -> str:
        return ", ".join(f"{line['quantity']} × {line['seat_type']}" for line in self.lines)
