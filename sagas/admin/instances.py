"""Sagas: their instances, and the history of each."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin, event_link, tag
from eventstore.admin.lists import SimpleListFilter
from eventstore.admin.row_actions import RowAction
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas.admin.base import SagaFilter, offered, prepare_titles, title_of
from sagas.admin.outbox import OutboxCommandAdmin
from sagas.admin.timers import TimerAdmin, said_of
from sagas.descriptions import Title, titles_of
from sagas.errors import UnknownInstance
from sagas.history import ScheduledTimer, SentCommand, brief, held_up, instance_history, instances, ordered, unfinished
from sagas.models import Instance


class LeftFilter(SimpleListFilter):
    """By what an instance has left to do."""

    title, parameter_name = "what is left to do", "left"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unfinished", "A command to send, or a timer that waits"), ("parked", "Held up by a parked command")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "unfinished":
            return unfinished(queryset)
        return held_up(queryset) if self.value() == "parked" else queryset


@admin.register(Instance)
class InstanceAdmin(KeysetAdmin):
    """Instances of sagas, those that began last first."""

    when_empty = "No saga has begun yet: it does with the first event that starts one."
    list_display = ["name", "saga", "waits", "state_in_brief", "at", "started_at", "moved_at"]
    list_filter = [SagaFilter, LeftFilter]
    search_fields = ["key"]
    search_help_text = "the key of an instance, such as the id of an order"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.instance_view)
        return [path("history/<str:saga>/<path:key>/", view, name="sagas_history"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return instances()

    def matching(self, term: str) -> Q:
        return Q(saga__in=registry.names(Rank.SAGA), key=term)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history of the instance that has this id."""
        id_ = unquote(object_id)
        row = Instance.objects.filter(pk=int(id_) if id_.isdecimal() else 0).first()
        if row is None:
            raise Http404("There is no such instance.")
        return self.instance_view(request, row.saga, row.key)

    def instance_view(self, request: HttpRequest, saga: str, key: str) -> HttpResponse:
        """The last entries, or with `before` in the address what it heard before the event at a position."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        before = request.GET.get("before", "")
        try:
            history = instance_history(saga, key, before=int(before) if before.isdecimal() else None)
        except UnknownInstance as unknown:
            raise Http404(str(unknown)) from unknown
        if before and not before.isdecimal():
            return redirect(request.path)
        title = titles_of(saga, [key]).get(key, Title(f"{saga} {key}"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title.text,
            "about": reverse(f"admin:{title.page}", args=title.args) if title.page else "",
            "history": history,
            "commands": [(each, _offers(request, saga, each)) for each in history.commands],
            "timers": [(each, _offers(request, saga, each)) for each in history.timers],
            "before": before,
            "here": request.path,
        }
        return TemplateResponse(request, "sagas/admin/history.html", context)

    def prepare(self, rows: Sequence[Any]) -> None:
        prepare_titles(rows)

    @admin.display(description="instance")
    def name(self, row: Any) -> str:
        return title_of(row)

    @admin.display(description="waits for")
    def waits(self, row: Any) -> SafeString:
        parked = tag("parked") if row.parked else ""
        rest = (
            f"{row.pending:,} to send" if row.pending else "",
            f"{row.timers:,} timer{'s' * (row.timers != 1)}" if row.timers else "",
            "ended" if row.ended else "",
        )
        words = format_html_join(", ", "{}", ((each,) for each in rest if each))
        return format_html("{} {}", parked, words) if parked else words

    @admin.display(description="state")
    def state_in_brief(self, row: Any) -> str:
        return brief(ordered(row.saga, row.state))[:160]

    @admin.display(description="last event")
    def at(self, row: Instance) -> SafeString:
        return event_link(row.position)


def _offers(request: HttpRequest, saga: str, row: SentCommand | ScheduledTimer) -> list[RowAction]:
    """What this user may do to a command or a timer."""
    if isinstance(row, SentCommand):
        return offered(request, OutboxCommandAdmin.labels, saga, row.status, lambda _: {"command": row.id})
    return offered(request, TimerAdmin.labels, saga, row.status, lambda kind: said_of(kind, row.id, row.due_at))
