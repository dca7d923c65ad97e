"""The page of the projections: where each stands, its rebuild with progress, and the generations there were.

The buttons are views of their own, because Django's change form is atomic and a rebuild begins in transactions of its
own. A page that has htmx refreshes itself; without it, it is refreshed by hand.
"""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from eventstore import store
from eventstore.admin import KeysetAdmin, polled
from projections import generations, panels, tasks
from projections.errors import NotRebuilding, RebuildRunning, UnknownProjection
from projections.models import Generation

MAY_REBUILD = "projections.rebuild_projection"
PAGE = "admin:projections_generation_changelist"


@admin.register(Generation)
class GenerationAdmin(KeysetAdmin):
    """The projections above, the history of their generations below."""

    when_empty = "No projection was ever rebuilt: each has the one generation that it began with."
    change_list_template = "projections/admin/projections.html"
    list_display = ["id", "projection", "version", "status", "processed", "requested_by", "started_at", "finished_at"]
    list_filter = ["status"]
    fields = [
        ("projection", "version", "status"),
        ("checkpoint", "target", "processed"),
        ("requested_by", "built_by", "waits_for"),
        ("started_at", "finished_at"),
        "error",
    ]

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("panel/", polled(site, site.admin_view(self.panel_view)), name="projections_panel"),
            path("rebuild/<str:name>/", site.admin_view(self.rebuild_view), name="projections_rebuild"),
            path("cancel/<str:name>/", site.admin_view(require_POST(self.cancel_view)), name="projections_cancel"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = {"title": "Projections", **self._panel(request), **(extra_context or {})}
        return super().changelist_view(request, shown)

    def panel_view(self, request: HttpRequest) -> HttpResponse:
        """The panel alone. When a rebuild has begun or ended since the page was made, the whole page is made anew."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        panel = self._panel(request)
        if request.GET.get("building", "") != panel["building"]:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "projections/admin/panel.html", panel)

    def rebuild_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Says what a rebuild will touch, and begins it when that is confirmed."""
        projection = self._permitted(request, name)
        if request.method == "POST":
            return self._rebuild(request, name)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Rebuild {name}",
            "projection": projection,
            "table": projection.model._meta.db_table,
            "head": store.head(),
            "types": sorted(projection.types),
        }
        return TemplateResponse(request, "projections/admin/rebuild.html", context)

    def cancel_view(self, request: HttpRequest, name: str) -> HttpResponse:
        self._permitted(request, name)
        generation = Generation.objects.filter(projection=name, status=Generation.Status.BUILDING).first()
        try:
            generations.cancel(name)
        except NotRebuilding as refusal:
            messages.warning(request, str(refusal))
        else:
            self._record(request, generation, "Asked for the rebuild to be cancelled.")
            messages.success(request, f"The rebuild of {name} stops after the batch it is at.")
        return redirect(PAGE)

    def _rebuild(self, request: HttpRequest, name: str) -> HttpResponseRedirect:
        try:
            generation = generations.begin(name, requested_by=request.user.get_username())
        except RebuildRunning as refusal:
            messages.error(request, str(refusal))
        else:
            tasks.ring(generation)
            self._record(request, generation, "Asked for a rebuild.")
            messages.success(request, f"The rebuild of {name} has begun. The live table serves readers meanwhile.")
        return redirect(PAGE)

    def _permitted(self, request: HttpRequest, name: str) -> Any:
        if not request.user.has_perm(MAY_REBUILD):
            raise PermissionDenied
        try:
            return generations.projection_named(name)
        except UnknownProjection as unknown:
            raise Http404(str(unknown)) from unknown

    def _record(self, request: HttpRequest, generation: Model | None, what: str) -> None:
        if generation is not None:
            self.log_change(request, generation, what)

    def _panel(self, request: HttpRequest) -> dict[str, Any]:
        rows = panels.projections()
        return {
            "projections": rows,
            "building": ",".join(str(row.rebuild.generation) for row in rows if row.rebuild),
            "may_rebuild": request.user.has_perm(MAY_REBUILD),
        }
