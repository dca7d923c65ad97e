"""The log, newest first."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.admin.lists import KeysetAdmin, SimpleListFilter, pretty
from eventstore.commands import routes
from eventstore.events import catalogue
from eventstore.models import StoredEvent

TRACED = 10_000
"""How many positions before and after an event are searched for its correlation, which has no index."""


class CategoryFilter(SimpleListFilter):
    """By the event types of an aggregate: the types have an index, the category has none."""

    title = "category"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(category, category) for category in sorted({kind.category for kind, _ in routes.listed})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kinds = [kind for kind, _ in routes.listed if kind.category == self.value()]
        return queryset.filter(type__in={event.stored for event in kinds[0].evolvers}) if kinds else queryset


class TypeFilter(SimpleListFilter):
    """By the types that the code declares, so that nobody has to look through the log for them."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted({event.stored for event in catalogue})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(StoredEvent)
class StoredEventAdmin(KeysetAdmin):
    """The log, newest first."""

    keyset = "position"
    when_empty = "Nothing has happened yet: the log is empty."
    list_display = ["position", "type", "stream", "version", "recorded_at", "actor"]
    list_filter = [TypeFilter, CategoryFilter]
    search_fields = ["position"]
    search_help_text = "a position, or the id of a stream"
    fieldsets = [
        (None, {"fields": [("type", "schema_version", "recorded_at", "actor"), ("position", "stream", "version")]}),
        ("Data", {"fields": ["pretty_data", "personal"]}),
        ("Tracing", {"fields": ["correlation", ("event_id", "causation_id"), "pretty_metadata"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("sealed")

    def matching(self, term: str) -> Q:
        return Q(position=int(term)) if term.isdecimal() and len(term) < 19 else Q(stream_id=_uuid(term))

    @admin.display(description="stream")
    def stream(self, event: StoredEvent) -> SafeString:
        link = reverse("admin:eventstore_storedevent_changelist")
        return format_html('<a href="{}?stream_id={}">{}</a>', link, event.stream_id, event.stream_id)

    @admin.display(description="data")
    def pretty_data(self, event: StoredEvent) -> SafeString:
        return pretty(event.data)

    @admin.display(description="metadata")
    def pretty_metadata(self, event: StoredEvent) -> SafeString:
        return pretty(event.metadata)

    @admin.display(description="personal data")
    def personal(self, event: StoredEvent) -> str:
        return f"sealed, of {event.subject_id}" if event.subject_id else "none"

    @admin.display(description="correlation")
    def correlation(self, event: StoredEvent) -> SafeString:
        return format_html(
            '{} · <a href="{}?correlation_id={}&position__gte={}&position__lte={}">all that belongs to it</a>',
            event.correlation_id,
            reverse("admin:eventstore_storedevent_changelist"),
            event.correlation_id,
            event.position - TRACED,
            event.position + TRACED,
        )


def _uuid(term: str) -> UUID:
    """What is no id at all finds nothing."""
    try:
        return UUID(term)
    except ValueError:
        return UUID(int=0)
