"""Where webhooks go, and what became of each."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin, event_link, tag
from eventstore.admin.lists import SimpleListFilter
from sagas.models import WebhookDelivery, WebhookEndpoint
from sagas.webhooks.endpoints import state_of

SHORT = 60


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(KeysetAdmin):
    """The newest first."""

    keyset = "created_at"
    when_empty = "No other system is told of events by webhooks yet."
    list_display = ["shortly", "wanted", "how", "owner", "description", "failing_since", "created_at"]
    list_filter = ["enabled"]
    search_fields = ["url"]
    search_help_text = "a part of the URL, or the owner's e-mail"
    fields = [
        ("url", "how"),
        ("owner", "description"),
        "wanted",
        ("failures", "failing_since", "paused_until"),
        ("switched_off_at", "switched_off_for"),
        ("former_until", "begins_after"),
        ("created_by", "created_at"),
        "sent",
    ]

    def matching(self, term: str) -> Q:
        return Q(url__icontains=term) | Q(owner__iexact=term)

    @admin.display(description="URL")
    def shortly(self, row: WebhookEndpoint) -> str:
        return row.url if len(row.url) <= SHORT else f"{row.url[:SHORT]}…"

    @admin.display(description="event types")
    def wanted(self, row: WebhookEndpoint) -> str:
        return ", ".join(row.types) or "all"

    @admin.display(description="state")
    def how(self, row: WebhookEndpoint) -> SafeString:
        return tag(state_of(row))

    @admin.display(description="deliveries")
    def sent(self, row: WebhookEndpoint) -> SafeString:
        url = reverse("admin:sagas_webhookdelivery_changelist")
        return format_html('<a href="{}?endpoint={}">What became of each</a>', url, row.pk)


class EndpointFilter(SimpleListFilter):
    title = parameter_name = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), url[:SHORT]) for pk, url in WebhookEndpoint.objects.values_list("pk", "url")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(endpoint=self.value()) if self.value() else queryset


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(KeysetAdmin):
    """The newest first."""

    when_empty = "Nothing was recorded yet that an endpoint wants to be told of."
    list_display = ["id", "to", "type", "at", "how", "attempts", "due_at", "finished_at"]
    list_filter = [EndpointFilter, "status"]
    list_select_related = ["endpoint"]
    search_fields = ["position"]
    search_help_text = "the position of an event, or the id of its stream"
    fields = [
        ("to", "type", "at"),
        ("stream_id", "part"),
        ("how", "attempts", "resent"),
        ("due_at", "lease_until", "owner"),
        ("created_at", "tried_since", "finished_at"),
        "log_of_attempts",
    ]

    def matching(self, term: str) -> Q:
        if term.isdecimal() and len(term) < 19:
            return Q(position=term)
        return Q(stream_id=term)

    @admin.display(description="endpoint")
    def to(self, row: WebhookDelivery) -> SafeString:
        url = reverse("admin:sagas_webhookendpoint_change", args=[row.endpoint_id])
        return format_html('<a href="{}">{}</a>', url, row.endpoint.url[:SHORT])

    @admin.display(description="event")
    def at(self, row: WebhookDelivery) -> SafeString:
        return event_link(row.position)

    @admin.display(description="status")
    def how(self, row: WebhookDelivery) -> SafeString:
        return tag(row.status)

    @admin.display(description="requests")
    def log_of_attempts(self, row: WebhookDelivery) -> SafeString | str:
        told = (
            (f"{each.at:%Y-%m-%d %H:%M:%S}", each.code or each.error, f"{each.seconds:.2f} s", each.answer)
            for each in row.log.all()
        )
        line = '<div class="wide"><strong>{}</strong> · {} · {} <pre class="data">{}</pre></div>'
        return format_html_join("", line, told) or "none yet"
