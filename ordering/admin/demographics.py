"""When customers were born: how many of them, and never who."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from eventstore.admin import ReadOnlyAdmin
from ordering.models import BirthYear


@admin.register(BirthYear)
class DemographicsAdmin(ReadOnlyAdmin):
    """One page; a single row has none of its own."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        decades = list(BirthYear.objects.by_decade())
        total = sum(each["customers"] for each in decades)
        shown = [{**each, "share": 100 * each["customers"] / total} for each in decades]
        context = {"opts": self.opts, "title": "Demographics", "decades": shown, "total": total}
        shell = self.admin_site.each_context(request)
        return TemplateResponse(request, "admin/ordering/demographics.html", {**shell, **context})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.changelist_view(request)
