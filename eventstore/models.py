"""The tables of the log and of those who follow it."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ClockTimestamp(models.Func):
    """The moment itself, where `Now` is the moment the transaction began."""

    function = "clock_timestamp"
    output_field = models.DateTimeField()


class StoredEvent(models.Model):
    """One event of the log. Written by `store.append` alone; a trigger refuses every change."""

    position = models.BigAutoField(primary_key=True)
    stream_id = models.UUIDField()
    category = models.TextField()
    version = models.IntegerField(help_text="counts the events of the stream from 1")
    type = models.TextField()
    schema_version = models.SmallIntegerField()
    data = models.JSONField()
    subject_id = models.UUIDField(null=True, blank=True, help_text="whose personal fields are sealed")
    sealed = models.BinaryField(null=True, blank=True, help_text="personal fields, encrypted")
    event_id = models.UUIDField()
    correlation_id = models.UUIDField()
    causation_id = models.UUIDField(null=True, blank=True)
    actor = models.TextField()
    metadata = models.JSONField()
    recorded_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        db_table = "eventstore_event"
        verbose_name = "event"
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["stream_id", "version"], name="eventstore_event_stream_version"),
        ]
        indexes = [models.Index(fields=["type", "position"], name="eventstore_event_type")]

    def __str__(self) -> str:
        return f"{self.position} {self.type}"


class CommandRecord(models.Model):
    """A command that was carried out, with the positions of what it recorded: a repeat is answered from here."""

    id = models.UUIDField(primary_key=True)
    first_position = models.BigIntegerField(null=True, blank=True)
    last_position = models.BigIntegerField(null=True, blank=True)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "eventstore_command"
        verbose_name = "carried out command"

    def __str__(self) -> str:
        return str(self.id)


class Claim(models.Model):
    """A keyed hash of a value that one stream holds and no other may."""

    hash = models.TextField(primary_key=True)
    stream_id = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["stream_id"], name="eventstore_claim_stream")]

    def __str__(self) -> str:
        return self.hash


class Snapshot(models.Model):
    """The state of an aggregate at a version: a cache, deleting it changes nothing but time."""

    stream_id = models.UUIDField(primary_key=True)
    version = models.IntegerField()
    fingerprint = models.TextField(help_text="of the code that wrote it; another code ignores it")
    state = models.JSONField()

    def __str__(self) -> str:
        return f"{self.stream_id} at {self.version}"


class SubscriberRow(models.Model):
    """Where a subscriber is. Its lock is the lease: whoever holds it feeds, and nobody else."""

    class Status(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        HALTED = "halted"

    name = models.TextField(primary_key=True)
    rank = models.SmallIntegerField()
    mode = models.TextField()
    version = models.IntegerField()
    wanted = models.TextField(help_text="the event types that the checkpoint speaks of")
    checkpoint = models.BigIntegerField()
    status = models.TextField(choices=Status, default=Status.RUNNING)
    processed = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0, help_text="of the infrastructure, in a row")
    retry_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    last_error_at = models.DateTimeField(null=True, blank=True)
    moved_at = models.DateTimeField(db_default=Now())
    fed_by = models.TextField(blank=True, default="", help_text="host and process that fed it last")

    class Meta:
        db_table = "eventstore_subscriber"
        verbose_name = "subscriber"
        ordering = ["rank", "name"]
        constraints = [models.CheckConstraint(condition=Q(checkpoint__gte=0), name="eventstore_subscriber_checkpoint")]

    def __str__(self) -> str:
        return self.name


class ParkedEvent(models.Model):
    """An event that a subscriber failed on, or one that waits behind it for its key."""

    subscriber = models.ForeignKey(SubscriberRow, on_delete=models.CASCADE, related_name="parked")
    key = models.TextField()
    position = models.BigIntegerField()
    error = models.TextField(blank=True, default="", help_text="empty for one that only waits behind another")
    traceback = models.TextField(blank=True, default="")
    parked_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "eventstore_parked"
        verbose_name = "parked event"
        ordering = ["subscriber", "key", "position"]
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "key", "position"], name="eventstore_parked_once"),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber_id} {self.key} {self.position}"


class Doorbell(models.Model):
    """Whether a bell is ringing: one that rings is not rung again."""

    name = models.TextField(primary_key=True)
    rung_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
