"""Who follows the log: all of them on one page, and a page for each."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from eventstore.admin import search
from eventstore.admin.lists import ReadOnlyAdmin
from eventstore.admin.operation_view import OperationView
from eventstore.errors import UnknownSubscriber
from eventstore.models import SubscriberRow
from eventstore.monitoring.consumers import consumer_statuses
from eventstore.monitoring.status import subscriber_statuses, unstarted
from eventstore.monitoring.subscriber_detail import SHOWN, subscriber_detail
from eventstore.operations.base import Operation, operations
from eventstore.operations.subscribers import Discard, Retry


@admin.register(SubscriberRow)
class SubscriberAdmin(ReadOnlyAdmin):
    """Where everybody is who follows the log, and what can be done about each."""

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        operating = site.admin_view(OperationView.as_view(site=site))
        return [
            path("search/", site.admin_view(search.page), name="eventstore_search"),
            path("of/<str:name>/", site.admin_view(self.page_view), name="eventstore_subscriber"),
            path("operate/<str:operation>/<str:subscriber>/", operating, name="eventstore_operation"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._must_see(request)
        found = subscriber_statuses()
        consumers = consumer_statuses() if request.user.has_perm("eventstore.view_consumer") else []
        context = {
            "title": "Subscribers",
            "subscribers": found,
            "unstarted": unstarted(found),
            "consumers": consumers,
        }
        return self._page(request, "eventstore/admin/subscriber_list.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of the subscriber that a row belongs to."""
        row = SubscriberRow.objects.filter(pk=unquote(object_id)).first()
        return self.page_view(request, row.subscriber if row else unquote(object_id))

    def page_view(self, request: HttpRequest, name: str) -> HttpResponse:
        self._must_see(request)
        try:
            found = subscriber_detail(name)
        except UnknownSubscriber as unknown:
            raise Http404(str(unknown)) from unknown
        may = request.user.has_perm
        context = {
            "title": name,
            "name": name,
            "about": found,
            "each": found.status,
            "offers": [(kind.word, kind.verb) for kind in _offered(name) if kind.is_allowed(request.user)],
            "may_retry": may(Retry.permission),
            "may_discard": may(Discard.permission),
            "shown": SHOWN,
            "here": request.path,
        }
        return self._page(request, "eventstore/admin/subscriber.html", context)

    def _must_see(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shown = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, template, shown)


def _offered(name: str) -> list[type[Operation]]:
    """The operations that make sense now. One that this code doesn't know can only be retired."""
    rows = list(SubscriberRow.objects.filter(subscriber=name))
    return [kind for kind in operations if kind.concerns(name) and kind.offered(rows)]
