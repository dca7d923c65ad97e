"""Who is at work, and what was wrong, as the watch found it."""

from typing import Any

from django.contrib import admin
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from eventstore import presence
from eventstore.admin.lists import KeysetAdmin, ModelAdmin, ReadOnlyAdmin
from eventstore.models import ClockTimestamp, Incident, Pulse


@admin.register(Incident)
class IncidentAdmin(KeysetAdmin):
    """What was wrong, from when to when, and who was told."""

    when_empty = "Nothing has been wrong yet for longer than a moment."
    list_display = ["id", "kind", "about", "text", "began_at", "ended_at"]
    list_filter = [("ended_at", admin.EmptyFieldListFilter)]
    fields = [("kind", "about"), "text", ("began_at", "raised_at"), ("seen_at", "ended_at"), "told"]

    @admin.display(description="told")
    def told(self, incident: Incident) -> SafeString | str:
        lines = [
            (each.channel, "over" if each.ended else "began", each.told_at or f"not yet, {each.attempts} attempts")
            for each in incident.notices.all()
        ]
        return format_html_join("\n", "<div>{}, that it {}: {}</div>", lines) if lines else "nobody yet"


@admin.register(Pulse)
class PulseAdmin(ReadOnlyAdmin):
    """Workers and beat. One that is gone for good is deleted here, and missed no longer."""

    actions = ()
    when_empty = "No worker has started yet."
    list_display = ["name", "kind", "listens_to", "state", "beat_at", "started_at", "process"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return ModelAdmin.has_delete_permission(self, request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        age = ClockTimestamp() - F("beat_at")
        pulses: QuerySet[Any] = super().get_queryset(request).exclude(kind=Pulse.Kind.WATCH).annotate(age=age)
        return pulses

    @admin.display(description="queues")
    def listens_to(self, pulse: Pulse) -> str:
        return ", ".join(pulse.queues)

    @admin.display(description="state")
    def state(self, pulse: Any) -> str:
        return presence.state(pulse.age.total_seconds(), stopped=pulse.stopped_at is not None)
