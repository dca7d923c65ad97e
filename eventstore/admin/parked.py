"""Parked events, and what becomes of those that somebody selects."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.admin.bulk_actions import BulkActionsAdmin
from eventstore.admin.lists import SimpleListFilter
from eventstore.admin.records import AboutSubscriber, SubscriberFilter
from eventstore.models import ParkedEvent
from eventstore.monitoring.subscriber_detail import parked_errors
from eventstore.operations.base import Operation
from eventstore.operations.subscribers import Discard, Retry
from eventstore.subscriptions.parking import text
from eventstore.subscriptions.registry import registry

Make = Callable[[str, str, tuple[int, ...]], Operation]


class ErrorFilter(SimpleListFilter):
    """By the most frequent errors there are."""

    title = "error"
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = parked_errors(request.GET.get("subscriber") or None)
        return [(each.error, f"{each.error[:80]} ({each.events:,})") for each in found.rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(error=self.value()) if self.value() else queryset


@admin.register(ParkedEvent)
class ParkedEventAdmin(AboutSubscriber, BulkActionsAdmin):
    """What subscribers failed on, and what waits behind it."""

    actions = ["retry_selected", "discard_selected"]
    none_left = "None of these is parked any more."
    when_empty = "No event is parked: every subscriber could apply all that it was fed."
    list_display = ["event", "of", "key", "shortly", "attempts", "next_try", "parked_at"]
    list_display_links = ["parked_at"]
    list_filter = [SubscriberFilter, ErrorFilter]
    search_fields = ["key"]
    search_help_text = "a key"
    fields = [("of", "key", "event"), "error", ("attempts", "next_try", "parked_at"), "where"]

    def matching(self, term: str) -> Q:
        return Q(subscriber__in=[subscriber.name for subscriber in registry], key=text(term))

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Retry.permission)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Discard.permission)

    @admin.action(description="Retry the keys of the selected", permissions=["resolve"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[ParkedEvent]) -> HttpResponse | None:
        def make(subscriber: str, key: str, positions: tuple[int, ...]) -> Operation:
            return Retry(target=subscriber, key=key)

        return self.perform_each(request, _by_key(queryset, make))

    @admin.action(description="Discard the selected", permissions=["discard"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[ParkedEvent]) -> HttpResponse | None:
        def make(subscriber: str, key: str, positions: tuple[int, ...]) -> Operation:
            return Discard(target=subscriber, key=key, positions=positions)

        return self.perform_each(request, _by_key(queryset, make))

    @admin.display(description="error")
    def shortly(self, parked: ParkedEvent) -> str:
        return parked.error[:120] or "waits behind another of its key"

    @admin.display(description="next try")
    def next_try(self, parked: ParkedEvent) -> Any:
        if not parked.error:
            return "with its key"
        return parked.retry_at or "needs attention"

    @admin.display(description="traceback")
    def where(self, parked: ParkedEvent) -> SafeString:
        return format_html('<pre class="data">{}</pre>', parked.traceback)


def _by_key(selected: QuerySet[ParkedEvent], make: Make) -> list[Operation]:
    """An operation for each key among the selected."""
    places = selected.order_by("subscriber", "key", "position").values_list("subscriber", "key", "position")
    return [
        make(subscriber, key, tuple(position for _, _, position in of_key))
        for (subscriber, key), of_key in groupby(places, key=lambda place: place[:2])
    ]
