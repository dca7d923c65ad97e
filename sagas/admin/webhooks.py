"""Where webhooks go, and what became of each."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache

from eventstore.admin import event_link, tag
from eventstore.admin.bulk_actions import BulkActionsAdmin
from eventstore.admin.lists import SimpleListFilter
from eventstore.admin.row_actions import RowAction, RowActionsAdmin, row_action
from eventstore.errors import EventstoreError
from eventstore.operations.base import Operation
from sagas.models import WebhookDelivery, WebhookEndpoint
from sagas.webhooks import endpoints
from sagas.webhooks.endpoints import state_of
from sagas.webhooks.operations import (
    CHANGE,
    ENDPOINTS,
    RESEND,
    AddEndpoint,
    ChangeEndpoint,
    DeleteEndpoint,
    ResendWebhook,
    RotateSecret,
    SendTest,
    SwitchEndpointOff,
    SwitchEndpointOn,
)

SHORT = 60


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(RowActionsAdmin):
    """The newest first."""

    keyset = "created_at"
    when_empty = "No other system is told of events by webhooks yet."
    change_list_template = "sagas/admin/webhook_endpoints.html"
    change_form_template = "sagas/admin/webhook_endpoint.html"
    labels: ClassVar[Mapping[type[Operation], str]] = {
        ChangeEndpoint: "Change",
        SwitchEndpointOn: "Switch on",
        SwitchEndpointOff: "Switch off",
        SendTest: "Send a test",
        RotateSecret: "New secret",
        DeleteEndpoint: "Delete",
    }
    list_display = ["shortly", "wanted", "how", "owner", "description", "failing_since", "created_at"]
    list_filter = ["enabled"]
    search_fields = ["url"]
    search_help_text = "a part of the URL, or the owner's e-mail"
    fields = [
        "address",
        "how",
        ("owner", "description"),
        "wanted",
        ("failures", "failing_since", "paused_until"),
        ("switched_off_at", "switched_off_for"),
        ("former_until", "begins_after"),
        ("created_by", "created_at"),
        "sent",
    ]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(never_cache(self.secret_view))
        return [path("<uuid:endpoint_id>/secret/", view, name="sagas_webhook_secret"), *super().get_urls()]

    def matching(self, term: str) -> Q:
        return Q(url__icontains=term) | Q(owner__iexact=term)

    def may_act(self, request: HttpRequest) -> bool:
        """There are too many for a row of the list; they stand on its page."""
        return False

    def offers(self, request: HttpRequest, row: WebhookEndpoint) -> list[RowAction]:
        senseless = SwitchEndpointOn if row.enabled else SwitchEndpointOff
        back = request.get_full_path()
        return [
            row_action(label, kind, str(row.pk), back=back, **_said(kind, row))
            for kind, label in self.labels.items()
            if kind is not senseless and kind.is_allowed(request.user)
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        add = row_action(AddEndpoint.verb, AddEndpoint, ENDPOINTS, back=request.get_full_path())
        shown = {"add": add if AddEndpoint.is_allowed(request.user) else None, **(extra_context or {})}
        return super().changelist_view(request, shown)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        unseen = row is not None and row.secret_unseen and request.user.has_perm(CHANGE)
        url = reverse("admin:sagas_webhook_secret", args=[row.pk]) if row is not None and unseen else ""
        return super().change_view(request, object_id, form_url, {"secret_url": url, **(extra_context or {})})

    def secret_view(self, request: HttpRequest, endpoint_id: Any) -> HttpResponse:
        """Shows a secret that nobody has been shown, once, to who asks for it by a button."""
        if not request.user.has_perm(CHANGE):
            raise PermissionDenied
        row = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
        secret, refusal = None, ""
        if request.method == "POST":
            try:
                secret = endpoints.show_secret(row)
            except EventstoreError as refused:
                refusal = str(refused)
        context = {
            **self.admin_site.each_context(request),
            "title": "The secret of an endpoint",
            "endpoint": row,
            "secret": secret,
            "refusal": refusal,
            "unseen": row.secret_unseen and request.method != "POST",
            "back": reverse("admin:sagas_webhookendpoint_change", args=[row.pk]),
        }
        return TemplateResponse(request, "sagas/admin/webhook_secret.html", context)

    @admin.display(description="URL")
    def shortly(self, row: WebhookEndpoint) -> str:
        return row.url if len(row.url) <= SHORT else f"{row.url[:SHORT]}…"

    @admin.display(description="URL")
    def address(self, row: WebhookEndpoint) -> str:
        return row.url

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
class WebhookDeliveryAdmin(BulkActionsAdmin, RowActionsAdmin):
    """The newest first."""

    actions = ["resend_selected"]
    none_left = "None of these can be sent again: they are being sent."
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

    def may_act(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RESEND)

    def offers(self, request: HttpRequest, row: WebhookDelivery) -> list[RowAction]:
        if not self.may_act(request) or row.status not in ResendWebhook.needed:
            return []
        target, back = str(row.endpoint_id), request.get_full_path()
        return [row_action(ResendWebhook.verb, ResendWebhook, target, back=back, delivery=row.pk)]

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return self.may_act(request)

    @admin.action(description="Send the selected again", permissions=["resend"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        rows = queryset.filter(status__in=ResendWebhook.needed).order_by("pk").values_list("endpoint_id", "pk")
        return self.perform_each(request, [ResendWebhook(target=str(to), delivery=pk) for to, pk in rows])

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


def _said(kind: type[Operation], row: WebhookEndpoint) -> dict[str, str]:
    """What a button says to its operation: a form is shown with what there is."""
    if kind is not ChangeEndpoint:
        return {}
    said = {"url": row.url, "owner": row.owner, "types": ", ".join(row.types), "description": row.description}
    return {**said, "change": ""}
