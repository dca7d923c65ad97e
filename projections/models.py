"""The base of every read table, and the generations of them that rebuilds and verifications make."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from eventstore.models import ClockTimestamp
from projections import conf


class ReadModel(models.Model):
    """A read table: its rows are folded from events, one a key, and can be thrown away and folded again.

    Subclasses declare a natural primary key, and neither foreign keys nor anything that writes by itself. Before a
    rebuild that is held goes on, sums of decimals are compared, apart by the field `sums_by`: a currency, say.
    """

    sums_by: ClassVar[str] = ""

    as_of = models.BigIntegerField(help_text="position of the last event in this row")

    class Meta:
        abstract = True


class Generation(models.Model):
    """A second set of a projection's rows, folded beside the live one: to take its place, to be compared with it, or to
    be kept as it was at a position.
    """

    class Purpose(models.TextChoices):
        REBUILD = "rebuild"
        ROLLBACK = "rollback"
        VERIFY = "verify"
        REPAIR = "repair"
        AS_OF = "as_of", "as of a position"

    class Status(models.TextChoices):
        BUILDING = "building"
        LIVE = "live"
        OLD = "old"
        VERIFIED = "verified"
        REPAIRED = "repaired"
        KEPT = "kept"
        DROPPED = "dropped"
        CANCELLED = "cancelled"
        FAILED = "failed"

    projection = models.TextField()
    purpose = models.TextField(choices=Purpose, default=Purpose.REBUILD)
    version = models.IntegerField()
    types_hash = models.TextField()
    fingerprint = models.TextField(blank=True, default="", help_text="of the code that folds it, and no other may")
    status = models.TextField(choices=Status, default=Status.BUILDING)
    made = models.BooleanField(default=False, help_text="whether its tables are there")
    indexes = models.JSONField(
        default=dict, blank=True, help_text="by name: the statements that make them, once the table is filled"
    )
    label = models.TextField(blank=True, default="", db_default="", help_text="what it is called that is kept")
    target = models.BigIntegerField(help_text="the head of the log when it was asked for, or the position it is as of")
    keys = models.JSONField(null=True, blank=True, help_text="the only keys it is about; null for no such limit")
    lower = models.TextField(blank=True, default="", help_text="where its range of the keys begins")
    upper = models.TextField(blank=True, default="", help_text="where its range of the keys ends, empty for the end")
    throttle = models.IntegerField(null=True, blank=True, help_text="events a second, at most")
    cancelling = models.BooleanField(default=False)
    held = models.BooleanField(
        default=False, db_default=False, help_text="whether it waits, before it takes the place of the live one"
    )
    approved_by = models.TextField(blank=True, default="", db_default="", help_text="who had it go on from there")
    compared = models.BigIntegerField(null=True, blank=True, help_text="rows that were compared")
    compared_upto = models.BigIntegerField(null=True, blank=True, help_text="the position that both stood at then")
    differing = models.BigIntegerField(null=True, blank=True, help_text="rows that differed")
    changes = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="how many rows differ by kind and by column, and sums of decimals",
    )
    waits_for = models.TextField(blank=True, default="", help_text="who holds it up at its end")
    error = models.TextField(blank=True, default="")
    requested_by = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(db_default=ClockTimestamp())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["projection"],
                condition=Q(status="building", purpose__in=["rebuild", "rollback"]),
                name="projections_generation_rebuilding",
            ),
            models.UniqueConstraint(
                fields=["projection"],
                condition=Q(status="building", purpose="verify"),
                name="projections_generation_verifying",
            ),
            models.UniqueConstraint(
                fields=["projection", "label"],
                condition=Q(status__in=["building", "kept"], purpose="as_of"),
                name="projections_generation_label",
            ),
        ]
        indexes = [
            models.Index(fields=["projection", "-id"], name="projections_generation_latest"),
            models.Index(fields=["status"], condition=Q(status="building"), name="projections_generation_active"),
        ]
        permissions = [
            ("rebuild_projection", "Can rebuild projections and roll them back"),
            ("verify_projection", "Can verify projections"),
        ]

    def __str__(self) -> str:
        return f"{self.projection} {self.pk}"

    @property
    def schema(self) -> str:
        """Where its tables stand until they are swapped in, and again when they are swapped out."""
        live = conf.SCHEMA.get()
        return f"generation_{self.pk}" if live == conf.SCHEMA.default else f"{live}_generation_{self.pk}"

    @property
    def whole(self) -> bool:
        """Whether it is about every key."""
        return self.keys is None and not self.lower and not self.upper

    @property
    def awaits_approval(self) -> bool:
        """Whether it is to be compared with the live one, and kept beside it, until somebody approves it."""
        return self.held and not self.approved_by

    @property
    def is_waiting(self) -> bool:
        """Whether it was compared, and nothing but an approval is missing."""
        return self.awaits_approval and self.compared is not None

    @property
    def stands_with_live(self) -> bool:
        """Whether it has to stand exactly where the live rows stand, because it is compared with them."""
        return self.purpose in {self.Purpose.VERIFY, self.Purpose.REPAIR} or self.awaits_approval

    @property
    def parked_as(self) -> str:
        """Under what name its events are parked as long as it isn't live."""
        return f"{self.projection}#{self.pk}"


class Part(models.Model):
    """How far one range of a generation's keys has come. Its lock is the lease of whoever folds it."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="parts")
    shard = models.IntegerField(default=0)
    shards = models.IntegerField(default=1)
    checkpoint = models.BigIntegerField(default=0)
    processed = models.BigIntegerField(default=0)
    built_by = models.TextField(blank=True, default="", help_text="host and process that folds")
    moved_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        ordering = ["generation_id", "shard"]
        constraints = [models.UniqueConstraint(fields=["generation", "shard"], name="projections_part_once")]

    def __str__(self) -> str:
        return f"{self.generation} {self.shard + 1}/{self.shards}"


class Difference(models.Model):
    """A row of the live table that is not what its events say."""

    class Kind(models.TextChoices):
        MISSING = "missing"
        EXTRA = "extra"
        DIFFERS = "differs"

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="differences")
    key = models.TextField()
    kind = models.TextField(choices=Kind)
    columns = models.JSONField(default=dict, help_text="by column: the live value, and the one that the events give")
    parked = models.BooleanField(default=False, help_text="events of this key are parked, which explains it")

    class Meta:
        ordering = ["generation_id", "key"]
        constraints = [models.UniqueConstraint(fields=["generation", "key"], name="projections_difference_once")]

    def __str__(self) -> str:
        return f"{self.key} {self.kind}"
