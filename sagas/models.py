"""What sagas remember: their instances and the history of each, the commands they send, the timers they set, and the
ledger of effects. And where webhooks go, with what became of each.
"""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from eventstore.context import new_id
from eventstore.models import ClockTimestamp

LONGEST_URL = 500


class Instance(models.Model):
    """One run of a saga: its state after the events that it has heard of."""

    saga = models.TextField()
    key = models.TextField()
    state = models.JSONField()
    version = models.IntegerField()
    ended = models.BooleanField(default=False)
    position = models.BigIntegerField(help_text="the highest of an event that it has heard of")
    history_begins_after = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="up to here its history was not kept, and every event counts as heard",
    )
    started_at = models.DateTimeField(db_default=Now())
    moved_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "saga instance"
        constraints = [models.UniqueConstraint(fields=["saga", "key"], name="sagas_instance_key")]

    def __str__(self) -> str:
        return f"{self.saga} {self.key}"


class Transition(models.Model):
    """One entry of an instance's history: which event led to which state, and what was to follow."""

    saga = models.TextField()
    key = models.TextField()
    position = models.BigIntegerField(help_text="of the event")
    type = models.TextField(help_text="of the event")
    version = models.IntegerField(help_text="of the rules that it was judged by")
    state = models.JSONField()
    ended = models.BooleanField()
    steps = models.JSONField(help_text="commands that were sent, timers that were set and cancelled, the end")
    at = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["saga", "key", "position"], name="sagas_transition_once")]

    def __str__(self) -> str:
        return f"{self.saga} {self.key} at {self.position}"


class OutboxCommand(models.Model):
    """A command that a saga decided to send. Those of one instance go in order, one at a time.

    One that is *unanswered* was refused by a rule, and its saga doesn't say what follows then; once staff have resolved
    that it is *refused*.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        REFUSED = "refused"
        UNANSWERED = "unanswered"
        PARKED = "parked"
        ABANDONED = "abandoned"

    saga = models.TextField()
    key = models.TextField()
    command_id = models.UUIDField(unique=True)
    type = models.TextField()
    data = models.JSONField()
    status = models.TextField(choices=Status, default=Status.PENDING, db_default=Status.PENDING)
    attempts = models.IntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(db_default=Now())
    root = models.UUIDField(help_text="the command that began the chain")
    hops = models.IntegerField()
    correlation_id = models.UUIDField()
    causation_id = models.UUIDField(help_text="the event that it follows from")
    actor = models.TextField()
    result = models.BigIntegerField(null=True, blank=True, help_text="the last position that it appended")
    error = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "sagas_outbox"
        verbose_name = "outbox command"
        permissions = [
            ("resolve_command", "Can retry commands of sagas and resolve refusals"),
            ("abandon_command", "Can abandon commands of sagas"),
        ]
        indexes = [
            models.Index(
                fields=["saga", "key", "id"],
                condition=Q(status__in=["pending", "parked"]),
                name="sagas_outbox_unfinished",
            ),
            models.Index(fields=["root"], name="sagas_outbox_root"),
            models.Index(
                fields=["status", "id"],
                condition=Q(status__in=["refused", "abandoned"]),
                name="sagas_outbox_refused",
            ),
            models.Index(
                fields=["status", "id"],
                condition=Q(status__in=["parked", "unanswered"]),
                name="sagas_outbox_troubled",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.saga} {self.key}"


class Timer(models.Model):
    """A command that a saga wants sent at a time. Insert-only for sagas: arming it again inserts another."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        FIRED = "fired"
        CANCELLED = "cancelled"

    saga = models.TextField()
    key = models.TextField()
    name = models.TextField()
    due_at = models.DateTimeField()
    hops = models.IntegerField(default=0, db_default=0, help_text="of its command: 0 where that begins a chain anew")
    command_id = models.UUIDField(unique=True)
    type = models.TextField()
    data = models.JSONField()
    status = models.TextField(choices=Status, default=Status.WAITING, db_default=Status.WAITING)
    correlation_id = models.UUIDField()
    causation_id = models.UUIDField()
    actor = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    fired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("resolve_timer", "Can move and cancel timers")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(status="waiting"), name="sagas_timer_next"),
            models.Index(fields=["saga", "key"], condition=Q(status="waiting"), name="sagas_timer_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.saga} {self.key}"


class Delivery(models.Model):
    """The ledger: what became of one event in the hands of one effect."""

    class Status(models.TextChoices):
        PENDING = "pending"
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        IN_DOUBT = "in doubt"
        ABANDONED = "abandoned"

    class WaitReason(models.TextChoices):
        CHECKPOINT = "checkpoint"  # of a read model that has not come so far
        PARKED_KEY = "parked key"  # of a read model that has passed the event
        SEND_WINDOW = "send window"

    effect = models.TextField()
    position = models.BigIntegerField()
    copy = models.IntegerField(default=0, db_default=0, help_text="counts how often staff had it done once more")
    status = models.TextField(choices=Status, default=Status.PENDING, db_default=Status.PENDING)
    attempts = models.IntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    owner = models.TextField(blank=True, default="", db_default="", help_text="host and process that acted last")
    waits_for = models.TextField(blank=True, default="", db_default="")
    wait_reason = models.TextField(
        choices=WaitReason, blank=True, default="", db_default="", help_text="of which kind that is, while it waits"
    )
    error = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = [
            ("resolve_delivery", "Can retry deliveries, and say what became of those in doubt"),
            ("abandon_delivery", "Can abandon deliveries"),
            ("copy_delivery", "Can have what was delivered delivered once more"),
        ]
        constraints = [models.UniqueConstraint(fields=["effect", "position", "copy"], name="sagas_delivery_once")]
        indexes = [
            models.Index(
                fields=["effect", "due_at", "position"],
                condition=Q(status__in=["pending", "waiting", "running"]),
                name="sagas_delivery_due",
            ),
            models.Index(fields=["effect", "status"], condition=~Q(status="done"), name="sagas_delivery_not_done"),
        ]

    def __str__(self) -> str:
        return f"{self.effect} of {self.position}"


class Attempt(models.Model):
    """An attempt at a command or a delivery that failed; or, with a `batch`, that staff had it tried again. What was
    noted stays, whatever becomes of the row later.
    """

    command = models.ForeignKey(OutboxCommand, models.CASCADE, null=True, related_name="+", db_index=False)
    delivery = models.ForeignKey(Delivery, models.CASCADE, null=True, related_name="+", db_index=False)
    number = models.IntegerField(default=0, db_default=0, help_text="since staff had it tried again last, from 1")
    at = models.DateTimeField(db_default=ClockTimestamp())
    error = models.TextField(blank=True, default="", db_default="")
    batch = models.UUIDField(null=True, help_text="of what staff had tried again in one go")
    by = models.TextField(blank=True, default="", db_default="", help_text="who of the staff")

    class Meta:
        indexes = [
            models.Index(fields=["command", "id"], condition=~Q(command=None), name="sagas_attempt_command"),
            models.Index(fields=["delivery", "id"], condition=~Q(delivery=None), name="sagas_attempt_delivery"),
            models.Index(fields=["batch"], condition=~Q(batch=None), name="sagas_attempt_batch"),
        ]

    def __str__(self) -> str:
        return self.error or f"again, by {self.by}"


class RateLimit(models.Model):
    """From when on an effect with a rate may act again."""

    effect = models.TextField(primary_key=True)
    free_at = models.DateTimeField()

    class Meta:
        db_table = "sagas_rate_limit"

    def __str__(self) -> str:
        return self.effect


class RehearsalRun(models.Model):
    """A rehearsal of a saga that somebody asked a worker for, how far it has got, and what came of it."""

    saga = models.TextField()
    since_position = models.BigIntegerField(null=True, blank=True)
    since_time = models.DateTimeField(null=True, blank=True)
    done = models.BigIntegerField(default=0, help_text="positions that were read")
    total = models.BigIntegerField(default=0, help_text="positions to be read; 0 until that is known")
    instances = models.BigIntegerField(null=True, blank=True, help_text="instances that were compared")
    differing = models.BigIntegerField(null=True, blank=True, help_text="instances that would go another way")
    found = models.JSONField(default=dict, blank=True, help_text="all that came of it: see `sagas.rehearsal.Rehearsal`")
    error = models.TextField(blank=True, default="", help_text="why it can't be told")
    rehearsed_by = models.TextField(blank=True, default="", help_text="host and process that reads")
    requested_by = models.TextField(blank=True, default="")
    requested_at = models.DateTimeField(db_default=ClockTimestamp())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "sagas_rehearsal"
        verbose_name = "rehearsal"
        ordering = ["-id"]
        permissions = [("rehearse_saga", "Can have sagas rehearsed")]
        indexes = [
            models.Index(fields=["saga", "-id"], name="sagas_rehearsal_latest"),
            models.Index(fields=["id"], condition=Q(finished_at=None), name="sagas_rehearsal_unfinished"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["saga"], condition=Q(finished_at=None), name="sagas_rehearsal_one"),
        ]

    def __str__(self) -> str:
        return f"{self.saga} {self.pk}"


class WebhookEndpoint(models.Model):
    """An address of another system that is told of events. While it is switched off nothing new is kept for it, and
    what was kept waits.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    url = models.URLField("URL", max_length=LONGEST_URL)
    types: Any = models.JSONField("event types", default=list, blank=True, help_text="all where none is named")
    description = models.CharField(max_length=500, blank=True, default="")
    owner = models.EmailField("owner's e-mail", help_text="who is told when it is switched off")
    enabled = models.BooleanField(default=True, db_default=True)
    secret = models.BinaryField(editable=False, help_text="sealed")
    secret_unseen = models.BooleanField(default=True, db_default=True, editable=False)
    former_secret = models.BinaryField(null=True, editable=False, help_text="sealed, until it is valid no more")
    former_until = models.DateTimeField("former secret until", null=True, editable=False)
    begins_after = models.BigIntegerField(editable=False, help_text="of events up to this position it is not told")
    failures = models.IntegerField(default=0, db_default=0, editable=False, help_text="without a success since")
    failing_since = models.DateTimeField(null=True, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False, help_text="nothing is sent to it before")
    switched_off_at = models.DateTimeField(null=True, editable=False, help_text="by itself, not by staff")
    switched_off_for = models.TextField("why", default="", db_default="", editable=False)
    mail_due_at = models.DateTimeField(null=True, editable=False, help_text="to its owner, who is to be told of that")
    created_by = models.TextField(default="", db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "sagas_webhook_endpoint"
        ordering = ["created_at", "id"]
        permissions = [("test_webhookendpoint", "Can send test messages to webhook endpoints")]
        indexes = [
            models.Index(fields=["created_at", "id"], name="sagas_webhook_endpoint_list"),
            models.Index(fields=["mail_due_at"], condition=~Q(mail_due_at=None), name="sagas_webhook_endpoint_mail"),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """What became of one event on its way to one endpoint."""

    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    position = models.BigIntegerField()
    part = models.IntegerField(
        default=0, db_default=0, help_text="which of the events that the stored one is read as, from 0"
    )
    stream_id = models.UUIDField()
    type = models.TextField()
    status = models.TextField(choices=Status, default=Status.PENDING, db_default=Status.PENDING)
    attempts = models.IntegerField(default=0, db_default=0)
    resent = models.BooleanField(
        default=False, db_default=False, help_text="by staff, so neither it nor later ones of its stream wait"
    )
    due_at = models.DateTimeField(db_default=Now())
    tried_since = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    owner = models.TextField(blank=True, default="", db_default="", help_text="host and process that acted last")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "sagas_webhook_delivery"
        verbose_name_plural = "webhook deliveries"
        ordering = ["-created_at", "-id"]
        permissions = [("resend_webhookdelivery", "Can have webhooks sent again")]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "position", "part"], name="sagas_webhook_delivery_once")
        ]
        indexes = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="sagas_webhook_delivery_list"),
            models.Index(
                fields=["endpoint", "due_at", "id"],
                condition=Q(status__in=["pending", "running"]),
                name="sagas_webhook_delivery_due",
            ),
            models.Index(
                fields=["endpoint", "stream_id", "id"],
                condition=Q(status__in=["pending", "running"]),
                name="sagas_webhook_delivery_order",
            ),
            models.Index(
                fields=["endpoint", "lease_until"], condition=Q(status="running"), name="sagas_webhook_delivery_busy"
            ),
            models.Index(fields=["finished_at"], condition=~Q(finished_at=None), name="sagas_webhook_delivery_old"),
        ]

    def __str__(self) -> str:
        return f"{self.type} at {self.position}"


class WebhookAttempt(models.Model):
    """One request, and what was answered."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log")
    at = models.DateTimeField(db_default=ClockTimestamp())
    seconds = models.FloatField(help_text="until it was answered, or given up")
    code = models.IntegerField(null=True, blank=True, help_text="of HTTP, if it was answered")
    error = models.TextField(blank=True, default="", db_default="")
    answer = models.TextField(blank=True, default="", db_default="", help_text="how its body begins")

    class Meta:
        db_table = "sagas_webhook_attempt"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.code or self.error} for {self.delivery_id}"
