"""The log, newest first."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.admin import event_page, stream_page
from eventstore.admin.lists import KeysetAdmin, polled, pretty, prose
from eventstore.admin.log_filter import LogFilter
from eventstore.admin.log_list import LogList, Tail
from eventstore.browsing.search import LAST
from eventstore.browsing.stream import moment
from eventstore.codec import formers
from eventstore.event_types import description
from eventstore.events import catalogue
from eventstore.models import StoredEvent


@admin.register(StoredEvent)
class StoredEventAdmin(KeysetAdmin):
    """The log, newest first."""

    keyset = "position"
    when_empty = "Nothing has happened yet: the log is empty."
    search_fields = ["position"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        tail = polled(self.admin_site, self.tail_view)
        return [
            path("tail/", tail, name="eventstore_log_tail"),
            path("streams/<uuid:stream_id>/", view(self.stream_view), name="eventstore_stream"),
            path("types/", view(self.types_view), name="eventstore_event_types"),
            path("types/<str:name>/", view(self.type_view), name="eventstore_event_type"),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LogList]:
        return LogList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A page of the log; without what the address has that means nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            shown: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return redirect(f"{request.path}?{ERROR_FLAG}=1")
        return self._page(request, "event_list.html", title="Events", cl=shown, form=shown.form, found=shown.found)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """An event, with what caused it and what it caused."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        position = unquote(object_id)
        number = int(position) if position.isascii() and position.isdecimal() else 0
        event = StoredEvent.objects.filter(pk=min(number, LAST)).defer("sealed").first()
        if event is None:
            raise Http404("There is no such event.")
        context = {
            "title": f"{event.position:,} {event.type}",
            "place": f"{event.position:,}",
            "type_link": _type_link(event.type),
            "data": pretty(event.data),
            "metadata": pretty(event.metadata),
            **event_page.shown(request, event),
        }
        return self._page(request, "event.html", **context)

    def tail_view(self, request: HttpRequest) -> HttpResponse:
        """Rows for the events that came after a position."""
        after = request.GET.get("after", "")
        if not after.isdecimal() or int(after) > LAST:
            raise Http404("That is no position.")
        return self._page(request, "event_tail.html", tail=Tail(LogFilter(request.GET), int(after)))

    def stream_view(self, request: HttpRequest, stream_id: UUID) -> HttpResponse:
        """A stream as it was at a version, or with `part` in the address only what changes with that."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = moment(stream_id, stream_page.asked(request.GET))
        if found is None:
            raise Http404("There is no such stream.")
        template = "stream_moment.html" if "part" in request.GET else "stream.html"
        title = f"{found.category} {found.stream_id}"
        return self._page(request, template, title=title, **stream_page.shown(found))

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


def _type_link(name: str) -> SafeString | str:
    """To what the code says of it, if that knows it."""
    if name not in catalogue and name not in {former.name for former in formers()}:
        return name
    return format_html('<a href="{}">{}</a>', reverse("admin:eventstore_event_type", args=[name]), name)
