"""The log in Django's admin, and what every read-only list of a growing table needs.

Plain admin classes: they work with django.contrib.admin alone. A project that dresses its admin otherwise registers
subclasses of these in its own base class.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.commands import routes
from eventstore.events import catalogue
from eventstore.models import ParkedEvent, StoredEvent, SubscriberRow
from eventstore.subscribers import registry

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    SimpleListFilter = admin.SimpleListFilter
else:
    ModelAdmin = admin.ModelAdmin
    SimpleListFilter = admin.SimpleListFilter

TRACED = 10_000
"""How many positions before and after an event are searched for its correlation, which has no index."""


class ReadOnlyAdmin(ModelAdmin):
    """Shows, and changes nothing: what is stored is changed by commands and by the actions of operators."""

    actions = None
    list_per_page = 25
    change_form_template = "eventstore/admin/read_only.html"
    when_empty = "Nothing is here yet."
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def matching(self, term: str) -> Q:
        """What a search for one term finds, by indexed fields. Needs `search_fields`, which shows the box."""
        return Q(pk=term)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        terms = search_term.split()
        return queryset.filter(*(self.matching(term) for term in terms)), False


class KeysetList(ChangeList):
    """One page of a list that is never counted and never skipped through: the next begins where this one ends."""

    model_admin: Any
    older: str = ""
    newest: str = ""

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        page = list(self.queryset[: size + 1])
        shown = page[:size]
        bound = f"{self.model_admin.keyset}__lt"
        if len(page) > size:
            last = getattr(shown[-1], self.model_admin.keyset)
            self.older = self.get_query_string({bound: last.isoformat() if hasattr(last, "isoformat") else last})
        if bound in self.params or bound in self.filter_params:
            self.newest = self.get_query_string(remove=[bound])
        self.result_list, self.result_count = shown, len(shown)
        self.full_result_count = len(shown)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = False
        self.paginator = self.model_admin.get_paginator(request, shown, size)


class KeysetAdmin(ReadOnlyAdmin):
    """A list in descending order of `keyset`, which is as good as unique and has an index."""

    keyset = "id"
    change_list_template = "eventstore/admin/keyset_list.html"

    def get_ordering(self, request: HttpRequest) -> Any:
        return [f"-{self.keyset}"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetList


def polled(site: admin.AdminSite, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view for a part of a page that is asked for again and again.

    Whoever was logged out meanwhile would find the login form in the middle of the page; the whole page is loaded anew.
    """

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not site.has_permission(request):
            return HttpResponse(headers={"HX-Refresh": "true"})
        return view(request, *args, **kwargs)

    return guarded


def pretty(value: object) -> SafeString:
    """JSON to be read by people."""
    return format_html(
        '<pre class="data">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    )


def event_link(position: int) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:eventstore_storedevent_change", args=[position]), position)


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


@admin.register(ParkedEvent)
class ParkedEventAdmin(KeysetAdmin):
    """What subscribers failed on, and what waits behind it."""

    when_empty = "No event is parked: every subscriber could apply all that it was fed."
    list_display = ["at", "subscriber", "key", "shortly", "parked_at"]
    list_filter = ["subscriber"]
    search_fields = ["key"]
    search_help_text = "a key"
    fields = ["subscriber", "key", "at", "error", "where", "parked_at"]

    def matching(self, term: str) -> Q:
        return Q(subscriber__in=[subscriber.name for subscriber in registry], key=term)

    @admin.display(description="event")
    def at(self, parked: ParkedEvent) -> SafeString:
        return event_link(parked.position)

    @admin.display(description="error")
    def shortly(self, parked: ParkedEvent) -> str:
        return parked.error[:120] or "waits behind another of its key"

    @admin.display(description="traceback")
    def where(self, parked: ParkedEvent) -> SafeString:
        return format_html('<pre class="data">{}</pre>', parked.traceback)


@admin.register(SubscriberRow)
class SubscriberAdmin(ReadOnlyAdmin):
    """Where everybody is who follows the log."""

    when_empty = "Nobody follows the log yet."
    list_display = ["name", "status", "mode", "version", "checkpoint", "processed", "failures", "moved_at"]
    list_filter = ["status", "mode"]


def _uuid(term: str) -> UUID:
    """What is no id at all finds nothing."""
    try:
        return UUID(term)
    except ValueError:
        return UUID(int=0)
