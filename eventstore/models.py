"""The tables of the log and of those who follow it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Concat, Now

from eventstore.context import new_id


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
        indexes = [
            models.Index(fields=["type", "position"], name="eventstore_event_type"),
            models.Index(fields=["correlation_id", "position"], name="eventstore_event_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.position} {self.type}"


class LogIdentity(models.Model):
    """Which database this log was last known to be in. A copy finds itself in another one, and may not act."""

    id = models.BooleanField(primary_key=True, default=True)
    database = models.TextField(help_text="as the server tells: cluster, database, timeline")
    epoch = models.UUIDField(help_text="names this log: positions of another epoch mean other events")
    confirmed_by = models.TextField(blank=True, default="")
    confirmed_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        db_table = "eventstore_identity"
        verbose_name = "identity of the log"
        verbose_name_plural = "identity of the log"
        constraints = [models.CheckConstraint(condition=Q(id=True), name="eventstore_identity_one")]
        permissions = [("confirm_identity", "Can let a copy of the log act")]

    def __str__(self) -> str:
        return str(self.epoch)


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
    last_event_id = models.UUIDField(
        null=True, help_text="of the event at this version; with another one there it is ignored"
    )
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
    subscriber = models.TextField(db_index=True, help_text="as it is declared; its shards have a row each")
    shard = models.IntegerField(default=0, help_text="which range of the keys, from 0")
    shards = models.IntegerField(default=1)
    rank = models.SmallIntegerField()
    mode = models.TextField()
    version = models.IntegerField()
    types_hash = models.TextField(help_text="the event types that the checkpoint speaks of")
    identity = models.GeneratedField(
        expression=Concat(
            "name",
            Value(" "),
            Cast("version", models.TextField()),
            Value(" "),
            "types_hash",
            output_field=models.TextField(),
        ),
        output_field=models.TextField(),
        db_persist=True,
        help_text="what a process must know it by to feed it: name, version and event types",
    )
    fingerprint = models.TextField(blank=True, default="", help_text="of the code that began what is there")
    stale = models.TextField(blank=True, default="", help_text="why what is there may be wrong")
    checkpoint = models.BigIntegerField()
    began_after = models.BigIntegerField(default=0, help_text="the position after which it began to follow the log")
    status = models.TextField(choices=Status, default=Status.RUNNING)
    processed = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0, help_text="in a row, that were no event's")
    retry_at = models.DateTimeField(null=True, blank=True)
    resumed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    last_error_at = models.DateTimeField(null=True, blank=True)
    moved_at = models.DateTimeField(db_default=Now())
    fed_by = models.TextField(blank=True, default="", help_text="host and process that fed it last")

    class Meta:
        db_table = "eventstore_subscriber"
        verbose_name = "subscriber"
        ordering = ["rank", "name"]
        permissions = [
            ("operate_subscriber", "Can pause, resume, reshard and rewind subscribers"),
            ("skip_events", "Can have subscribers skip events"),
            ("resolve_parked", "Can retry parked events"),
            ("discard_parked", "Can discard parked events"),
            ("retire_subscriber", "Can retire subscribers that the code no longer has"),
        ]
        constraints = [models.CheckConstraint(condition=Q(checkpoint__gte=0), name="eventstore_subscriber_checkpoint")]

    def __str__(self) -> str:
        return self.name


class Consumer(models.Model):
    """Where a consumer of the feed in another system is, as it said last."""

    name = models.TextField(primary_key=True)
    by = models.TextField(help_text="who reported it first: nobody else may")
    position = models.BigIntegerField(help_text="it has dealt with all up to there")
    epoch = models.UUIDField(help_text="the log that this is a position of")
    errors = models.JSONField(default=list, blank=True, help_text="texts: what went wrong there, and still is")
    reported_at = models.DateTimeField(db_default=ClockTimestamp())
    moved_at = models.DateTimeField(db_default=ClockTimestamp(), help_text="when the position last rose")

    class Meta:
        ordering = ["by", "name"]

    def __str__(self) -> str:
        return self.name


class ParkedEvent(models.Model):
    """An event that a subscriber failed on, or one that waits behind it for its key."""

    subscriber = models.TextField(help_text="as it is declared, with #n for a generation that is not live")
    key = models.TextField()
    position = models.BigIntegerField()
    error = models.TextField(blank=True, default="", help_text="empty for one that only waits behind another")
    traceback = models.TextField(blank=True, default="")
    attempts = models.IntegerField(default=1, help_text="none yet for one that only waits")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="when it is tried again without being asked")
    parked_at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        db_table = "eventstore_parked"
        verbose_name = "parked event"
        ordering = ["subscriber", "key", "position"]
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "key", "position"], name="eventstore_parked_once"),
        ]
        indexes = [
            models.Index(fields=["subscriber", "retry_at"], condition=~Q(error=""), name="eventstore_parked_failed"),
            models.Index(fields=["position"], name="eventstore_parked_position"),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber} {self.key} {self.position}"


class DiscardedEvent(models.Model):
    """A parked event that staff decided to leave out; a rebuild leaves it out as well."""

    subscriber = models.TextField()
    key = models.TextField()
    position = models.BigIntegerField()
    error = models.TextField(blank=True, default="")
    reason = models.TextField()
    by = models.TextField()
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        verbose_name = "discarded event"
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "key", "position"], name="eventstore_discarded_once"),
        ]
        indexes = [models.Index(fields=["position"], name="eventstore_discarded_position")]

    def __str__(self) -> str:
        return f"{self.subscriber} {self.key} {self.position}"


class SkippedRange(models.Model):
    """Positions that a checkpoint was moved over without applying them: a gap until a rebuild closes it."""

    subscriber = models.TextField(db_index=True)
    after = models.BigIntegerField(help_text="the last position before the gap")
    upto = models.BigIntegerField(help_text="the last position in the gap")
    reason = models.TextField()
    by = models.TextField()
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        verbose_name = "skipped range"
        constraints = [models.CheckConstraint(condition=Q(upto__gt=models.F("after")), name="eventstore_skipped_some")]

    def __str__(self) -> str:
        return f"{self.subscriber} {self.after + 1}-{self.upto}"


class HandlerWarning(models.Model):
    """What a handler found odd about an event that it could apply."""

    subscriber = models.TextField()
    position = models.BigIntegerField()
    text = models.TextField()
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        db_table = "eventstore_warning"
        verbose_name = "warning"
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "position", "text"], name="eventstore_warned_once"),
        ]

    def __str__(self) -> str:
        return self.text


class OperatorAction(models.Model):
    """What somebody did to the running system, and how it went."""

    operation = models.TextField()
    target = models.TextField()
    details = models.JSONField(default=dict)
    reason = models.TextField(blank=True, default="")
    by = models.TextField()
    outcome = models.TextField(blank=True, default="")
    refused = models.BooleanField(default=False)
    request_id = models.UUIDField(null=True, blank=True, help_text="of the form that asked for it")
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        db_table = "eventstore_operation"
        verbose_name = "operator action"
        ordering = ["-id"]
        indexes = [models.Index(fields=["target", "-id"], name="eventstore_operation_target")]
        constraints = [
            models.UniqueConstraint(
                fields=["request_id"], condition=models.Q(refused=False), name="eventstore_operation_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.target}"


class Doorbell(models.Model):
    """Whether a bell is ringing: one that rings is not rung again."""

    name = models.TextField(primary_key=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    rings = models.BigIntegerField(db_default=0, help_text="how often it was rung")
    answered = models.BigIntegerField(db_default=0, help_text="the last ring that was answered")

    def __str__(self) -> str:
        return self.name


class WorkerHeartbeat(models.Model):
    """A process that says every few seconds that it works. One that was killed leaves it to grow old."""

    class Kind(models.TextChoices):
        WORKER = "worker"
        BEAT = "beat"
        SITE = "site"  # a machine that it runs on
        HEALTH_CHECK = "health-check"  # the process that looked at everything last

    name = models.TextField(primary_key=True)
    kind = models.TextField(choices=Kind)
    queues = ArrayField(models.TextField(), default=list, blank=True)
    process = models.TextField(help_text="host and process")
    started_at = models.DateTimeField(db_default=ClockTimestamp())
    beat_at = models.DateTimeField(db_default=ClockTimestamp())
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="when it said goodbye")
    stuck = models.TextField(blank=True, default="", db_default="", help_text="which of its processes don't work")
    skew = models.FloatField(null=True, blank=True, help_text="seconds that its clock is ahead of the database's")
    skew_error = models.FloatField(null=True, blank=True, help_text="seconds that this may be off")

    class Meta:
        db_table = "eventstore_heartbeat"
        verbose_name = "worker"
        ordering = ["kind", "name"]

    def __str__(self) -> str:
        return self.name


class Sample(models.Model):
    """How the system did in one minute. Kept for a day, for small charts."""

    minute = models.DateTimeField(primary_key=True)
    position = models.BigIntegerField(help_text="up to which the log was final")
    seconds = models.FloatField(help_text="since the sample before")
    events = models.BigIntegerField(help_text="positions that came since then")
    figures = models.JSONField(default=dict, help_text="by name: what came since then, or how things stood")

    class Meta:
        ordering = ["minute"]

    def __str__(self) -> str:
        return str(self.minute)


class Incident(models.Model):
    """A health issue that lasts. Before `raised_at` it may still pass; from then on staff are told."""

    kind = models.TextField()
    about = models.TextField()
    text = models.TextField(help_text="as it was when it was last seen")
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    raised_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "eventstore_incident"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "about"], condition=Q(ended_at=None), name="eventstore_incident_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.about}"


class Notification(models.Model):
    """What one notifier is to tell of an incident: that it began, or that it is over. It is tried until it succeeds."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notifications")
    notifier = models.TextField(help_text="the dotted path of the function that tells it")
    ended = models.BooleanField()
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(db_default=ClockTimestamp(), help_text="not before; moved on by every attempt")
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "eventstore_notification"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "notifier", "ended"], name="eventstore_notification_once"),
        ]
        indexes = [models.Index(fields=["id"], condition=Q(sent_at=None), name="eventstore_notification_unsent")]

    def __str__(self) -> str:
        return f"{self.incident} by {self.notifier}"


class ImportRun(models.Model):
    """A file that is imported: how far that is, and what came of its lines. The same file has one run, however often it
    is fed.
    """

    id = models.UUIDField(primary_key=True, default=new_id)
    importer = models.TextField(help_text="what the lines are")
    digest = models.TextField(help_text="SHA-256 of the file")
    name = models.TextField(help_text="of the file")
    written = models.JSONField(help_text="how the file is written")
    options = models.JSONField(default=dict, help_text="what is to be made of its lines")
    header = models.JSONField(default=list, help_text="the columns of a CSV file")
    delimiter = models.TextField(blank=True, default="", help_text="between its cells")
    content = models.BinaryField(null=True, help_text="the file itself, for workers, until they have read it")
    size = models.BigIntegerField(help_text="bytes of the file")
    read = models.BigIntegerField(default=0, help_text="bytes of it that were read")
    reached = models.BigIntegerField(default=0, help_text="the last line of which is known what became of it")
    carried_out = models.IntegerField(default=0, help_text="lines that were imported")
    repeated = models.IntegerField(default=0, help_text="lines that had been imported before")
    refused = models.IntegerField(default=0, help_text="lines that were not")
    fault = models.TextField(blank=True, default="", help_text="why the file can't be read")
    by = models.TextField()
    began_at = models.DateTimeField(db_default=ClockTimestamp())
    moved_at = models.DateTimeField(db_default=ClockTimestamp())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "import"
        ordering = ["-began_at", "-id"]
        permissions = [("run_import", "Can import files")]
        constraints = [models.UniqueConstraint(fields=["importer", "digest"], name="eventstore_import_once")]
        indexes = [models.Index(fields=["-began_at", "-id"], name="eventstore_import_newest")]

    def __str__(self) -> str:
        return self.name


class RefusedLine(models.Model):
    """A line of a file that was not imported, and all that is wrong with it. Both are JSON, kept as text: it may have
    what JSON of PostgreSQL has not.
    """

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="refused_lines")
    number = models.BigIntegerField(help_text="of the line that it begins in, from 1")
    content = models.TextField()
    faults = models.TextField()

    class Meta:
        verbose_name = "refused line"
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="eventstore_refused_line_once")]

    def __str__(self) -> str:
        return f"line {self.number}"
