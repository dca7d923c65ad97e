"""The page of the projections: where each stands, what is being folded, and the generations there were.

What is done about them are operations, each with the page that asks whether it is meant. The panel keeps asking for
itself.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin, polled
from eventstore.admin.search import Asked, Found, finders
from projections import kept
from projections.models import Difference, Generation
from projections.operations import REBUILD, VERIFY
from projections.rebuild.generations import projection_named
from projections.status import projection_statuses

SHOWN = 50
"""Differences on the page of a generation."""

KINDS = {"missing": "rows that are new", "extra": "rows that would be gone", "differs": "rows that differ"}
"""What a difference means to whoever has to approve it."""


@admin.register(Generation)
class GenerationAdmin(KeysetAdmin):
    """The projections above, the history of their generations below."""

    when_empty = "No projection was ever rebuilt or verified: each has the one generation that it began with."
    change_list_template = "projections/admin/projections.html"
    list_display = [
        "id",
        "projection",
        "purpose",
        "status",
        "label",
        "found",
        "requested_by",
        "started_at",
        "finished_at",
    ]
    list_filter = ["purpose", "status"]
    fields = [
        ("projection", "purpose", "status"),
        ("label", "kept_rows"),
        ("version", "fingerprint", "target"),
        ("requested_by", "started_at", "finished_at"),
        ("throttle", "waits_for"),
        "scope",
        "error",
        "parts_of_it",
        ("found", "approved_by"),
        "what_changes",
        "differing_rows",
    ]

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        panel = polled(site, site.admin_view(self.panel_view))
        rows = site.admin_view(self.csv_view)
        return [
            path("panel/", panel, name="projections_panel"),
            path("<int:generation_id>/rows.csv", rows, name="projections_kept_rows"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = {"title": "Projections", **self._panel(request), **(extra_context or {})}
        return super().changelist_view(request, shown)

    def panel_view(self, request: HttpRequest) -> HttpResponse:
        """The panel alone. When something has begun or ended since the page was made, the whole page is made anew."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        panel = self._panel(request)
        if request.GET.get("building", "") != panel["building"]:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "projections/admin/panel.html", panel)

    def csv_view(self, request: HttpRequest, generation_id: int) -> StreamingHttpResponse:
        """The rows of a generation that is kept, for whoever may see the live ones."""
        generation = Generation.objects.filter(pk=generation_id, status=Generation.Status.KEPT).first()
        if generation is None:
            raise Http404("Nothing is kept here.")
        if not self.has_view_permission(request) or not _may_read(request, generation):
            raise PermissionDenied
        name = f"{generation.projection}-{generation.target}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(kept.as_csv(generation), content_type="text/csv; charset=utf-8", headers=headers)

    @admin.display(description="rows that are kept")
    def kept_rows(self, generation: Generation) -> SafeString | str:
        """How many, and where to have them."""
        if generation.status != Generation.Status.KEPT:
            return "none"
        address = reverse("admin:projections_kept_rows", args=[generation.pk])
        return format_html(
            '{} as of position {} · <a href="{}">as CSV</a>',
            f"{kept.count(generation):,}",
            f"{generation.target:,}",
            address,
        )

    @admin.display(description="found")
    def found(self, generation: Generation) -> str:
        if generation.compared is None:
            return "-"
        differ = "no difference" if not generation.differing else f"{generation.differing:,} that differ"
        return f"{differ} among {generation.compared:,} row{'s' * (generation.compared != 1)}"

    @admin.display(description="what would change")
    def what_changes(self, generation: Generation) -> SafeString | str:
        """How many rows, by kind and by column, and the sums of decimals before and after."""
        found = generation.changes
        rows = [
            *((KINDS[kind], f"{rows:,} rows") for kind, rows in sorted(found.get("kinds", {}).items())),
            *(
                (format_html("<code>{}</code>", name), f"{rows:,} rows")
                for name, rows in sorted(found.get("columns", {}).items())
            ),
            *((_summed(each), f"{each['live']} · {each['fresh']}") for each in found.get("sums", ())),
        ]
        if not rows:
            return "nothing"
        listed = format_html_join("", '<tr><td class="wide">{}</td><td class="number">{}</td></tr>', rows)
        return format_html(
            '<table class="status"><thead><tr><th></th><th class="number">Live, and as its events say</th></tr></thead>'
            "<tbody>{}</tbody></table><p>Both stood at position {}.</p>",
            listed,
            f"{generation.compared_upto or 0:,}",
        )

    @admin.display(description="keys")
    def scope(self, generation: Generation) -> str:
        if generation.keys is not None:
            return ", ".join(generation.keys)
        return "all" if generation.whole else "a share of them"

    @admin.display(description="parts")
    def parts_of_it(self, generation: Generation) -> SafeString:
        lines = (
            (part.shard + 1, part.shards, f"{part.checkpoint:,}", f"{part.processed:,}", part.built_by or "nobody yet")
            for part in generation.parts.all()
        )
        return format_html_join("", "<div>{} of {}: position {}, {} events, folded by {}</div>", lines)

    @admin.display(description="differences")
    def differing_rows(self, generation: Generation) -> SafeString | str:
        """Row by row and column by column: the live value, and the one that the events give."""
        rows = list(generation.differences.all()[: SHOWN + 1])
        if not rows:
            return "none"
        row = '<tr><td class="wide">{}</td><td>{}</td><td class="wide">{}</td></tr>'
        listed = format_html_join("", row, map(_told, rows[:SHOWN]))
        link = reverse("admin:projections_difference_changelist")
        return format_html(
            '<table class="status"><thead><tr><th>Key</th><th></th><th>Live, and as its events say</th></tr></thead>'
            '<tbody>{}</tbody></table><p><a href="{}?generation={}">All of them</a></p>',
            listed,
            link,
            generation.pk,
        )

    def _panel(self, request: HttpRequest) -> dict[str, Any]:
        rows = projection_statuses()
        return {
            "projections": rows,
            "building": ",".join(str(each.generation) for row in rows for each in row.building),
            "here": reverse("admin:projections_generation_changelist"),
            "may_rebuild": request.user.has_perm(REBUILD),
            "may_verify": request.user.has_perm(VERIFY),
        }


@admin.register(Difference)
class DifferenceAdmin(KeysetAdmin):
    """Rows that were not what their events say, as verifications found them."""

    when_empty = "No verification has found a difference."
    list_display = ["key", "kind", "values", "parked", "generation"]
    list_filter = ["kind", "parked"]
    search_fields = ["key"]
    search_help_text = "a key"
    fields = ["generation", "key", "kind", "values", "parked"]

    def matching(self, term: str) -> Q:
        return Q(key=term)

    @admin.display(description="live, and as its events say")
    def values(self, difference: Difference) -> SafeString:
        return _values(difference)


def find_rebuilds(asked: Asked) -> Iterator[Found]:
    """Generations, by their number."""
    if asked.number is not None:
        for each in Generation.objects.filter(pk=asked.number):
            url = reverse("admin:projections_generation_change", args=[each.pk])
            yield Found(f"Generation {each.pk} of {each.projection}", f"{each.purpose}, {each.status}", url)


finders.register("Rebuilds", find_rebuilds, permission="projections.view_generation")


def _may_read(request: HttpRequest, generation: Generation) -> bool:
    meta = projection_named(generation.projection).model._meta
    return bool(request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"))


def _summed(each: dict[str, Any]) -> SafeString:
    of = f", {each['of']}" if each["of"] else ""
    return format_html("sum of <code>{}</code>{}", each["column"], of)


def _told(difference: Difference) -> tuple[str, str, SafeString]:
    why = f"{difference.kind}, for events of it are parked" if difference.parked else difference.kind
    return difference.key, why, _values(difference)


def _values(difference: Difference) -> SafeString:
    columns = sorted(difference.columns.items())
    return format_html_join("", "<div><code>{}</code>: {} · {}</div>", ((name, *both) for name, both in columns))
