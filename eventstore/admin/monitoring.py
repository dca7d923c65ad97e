"""The workers, consumers in other systems, and the incidents there were."""

from typing import Any

from django.contrib import admin
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import people
from eventstore.admin.bulk_actions import BulkActionsAdmin
from eventstore.admin.lists import ModelAdmin, ReadOnlyAdmin, pretty
from eventstore.models import ClockTimestamp, Consumer, Incident, WorkerHeartbeat
from eventstore.monitoring import clock_skew
from eventstore.monitoring.health import sources
from eventstore.monitoring.workers import worker_state
from eventstore.operations.incidents import Resolve


@admin.register(Incident)
class IncidentAdmin(BulkActionsAdmin):
    """What was wrong, from when to when, and who was told. What somebody has found is over when staff resolve it, if it
    is not set right before.
    """

    actions = ("resolve_selected",)
    none_left = "None of these is for staff to resolve: they are over, or will be when what they say is."
    when_empty = "Nothing has been wrong yet for longer than a moment."
    list_display = ["id", "kind", "about", "text", "began_at", "ended_at"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter)]
    fields = [("kind", "about"), "text", ("began_at", "raised_at"), ("seen_at", "ended_at"), "notified"]

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Resolve.permission)

    @admin.action(description="Resolve the selected", permissions=["resolve"])
    def resolve_selected(self, request: HttpRequest, queryset: QuerySet[Incident]) -> HttpResponse | None:
        found = queryset.filter(ended_at=None, kind__in=sources.findings).order_by("id").values_list("pk", flat=True)
        return self.perform_each(request, [Resolve(target=str(pk)) for pk in found])

    @admin.display(description="notified")
    def notified(self, incident: Incident) -> SafeString | str:
        lines = [
            (each.notifier, "over" if each.ended else "began", each.sent_at or f"not yet, {each.attempts} attempts")
            for each in incident.notifications.all()
        ]
        return format_html_join("\n", "<div>{}, that it {}: {}</div>", lines) if lines else "nobody yet"


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    """Workers, beat, and machines of the site. One that is gone for good is deleted here, and missed no longer."""

    actions = ()
    when_empty = "No worker has started yet."
    list_display = ["name", "kind", "listens_to", "state", "stuck", "beat_at", "clock", "started_at", "process"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return ModelAdmin.has_delete_permission(self, request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        age = ClockTimestamp() - F("beat_at")
        heartbeats: QuerySet[Any] = (
            super().get_queryset(request).exclude(kind=WorkerHeartbeat.Kind.HEALTH_CHECK).annotate(age=age)
        )
        return heartbeats

    @admin.display(description="queues")
    def listens_to(self, heartbeat: WorkerHeartbeat) -> str:
        return ", ".join(heartbeat.queues)

    @admin.display(description="clock")
    def clock(self, heartbeat: WorkerHeartbeat) -> str:
        return "" if heartbeat.skew is None else clock_skew.in_words(heartbeat.skew)

    @admin.display(description="state")
    def state(self, heartbeat: Any) -> str:
        return worker_state(heartbeat.age.total_seconds(), stopped=heartbeat.stopped_at is not None)


@admin.register(Consumer)
class ConsumerAdmin(ReadOnlyAdmin):
    """Consumers of the feed in other systems, as they report. One that is deleted is missed no longer, and its name is
    free for whoever reports it next.
    """

    actions = ()
    when_empty = "No consumer of the feed has reported where it is yet."
    list_display = ["name", "reported_by", "position", "reported_at", "moved_at"]
    fields = [("name", "reported_by"), ("position", "epoch"), ("reported_at", "moved_at"), "pretty_errors"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return ModelAdmin.has_delete_permission(self, request, obj)

    @admin.display(description="reported by")
    def reported_by(self, consumer: Consumer) -> str:
        return people.name_of(consumer, "by")

    @admin.display(description="errors")
    def pretty_errors(self, consumer: Consumer) -> SafeString:
        return pretty(consumer.errors)
