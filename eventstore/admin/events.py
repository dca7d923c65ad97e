"""The log, newest first."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.admin import people
from eventstore.admin.lists import KeysetAdmin, SimpleListFilter, pretty, prose
from eventstore.codec import formers, stored_names
from eventstore.commands import routes
from eventstore.event_types import description
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
        names = frozenset().union(*map(stored_names, kinds[0].evolvers)) if kinds else frozenset[str]()
        return queryset.filter(type__in=names) if kinds else queryset


class TypeFilter(SimpleListFilter):
    """By the types that the code declares, so that nobody has to look through the log for them."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = {event.stored for event in catalogue} | {former.name for former in formers()}
        return [(name, name) for name in sorted(names)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(StoredEvent)
class StoredEventAdmin(KeysetAdmin):
    """The log, newest first."""

    keyset = "position"
    change_list_template = "eventstore/admin/event_list.html"
    when_empty = "Nothing has happened yet: the log is empty."
    list_display = ["position", "type", "stream", "version", "recorded_at", "who"]
    list_filter = [TypeFilter, CategoryFilter]
    search_fields = ["position"]
    search_help_text = "a position, or the id of a stream"
    fieldsets = [
        (
            None,
            {"fields": [("event_type", "schema_version", "recorded_at", "who"), ("position", "stream", "version")]},
        ),
        ("Data", {"fields": ["pretty_data", "personal"]}),
        ("Tracing", {"fields": ["correlation", ("event_id", "causation_id"), "pretty_metadata"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("types/", view(self.types_view), name="eventstore_event_types"),
            path("types/<str:name>/", view(self.type_view), name="eventstore_event_type"),
            *super().get_urls(),
        ]

    def types_view(self, request: HttpRequest) -> HttpResponse:
        """Every event that the code declares."""
        return self._page(request, "event_types.html", title="Event types", types=description.describe())

    def type_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """One of them, with the values that it says."""
        shown = next((each for each in description.describe() if each.name == name), None)
        if shown is None:
            raise Http404(f"No event is declared as {name!r}.")
        context = {
            "title": name,
            "type": shown,
            "meaning": prose(shown.meaning),
            "fields": [(field, prose(field.meaning)) for field in shown.fields],
            "meanings": any(field.meaning for field in shown.fields),
            "versions": [
                (version, prose(version.says), [pretty(data) for data in version.examples])
                for version in reversed(shown.versions)
            ],
        }
        return self._page(request, "event_type.html", **context)

    def _page(self, request: HttpRequest, template: str, **shown: Any) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {**self.admin_site.each_context(request), "opts": self.opts, **shown}
        return TemplateResponse(request, f"eventstore/admin/{template}", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("sealed")

    def matching(self, term: str) -> Q:
        return Q(position=int(term)) if term.isdecimal() and len(term) < 19 else Q(stream_id=_uuid(term))

    @admin.display(description="type")
    def event_type(self, event: StoredEvent) -> SafeString | str:
        """With what the code says of it, if that knows it."""
        if event.type not in catalogue and event.type not in {former.name for former in formers()}:
            return event.type
        return format_html('<a href="{}">{}</a>', reverse("admin:eventstore_event_type", args=[event.type]), event.type)

    def prepare(self, rows: Sequence[Any]) -> None:
        people.prepare(rows, "actor")

    @admin.display(description="actor")
    def who(self, event: StoredEvent) -> str:
        return people.name_of(event, "actor")

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
