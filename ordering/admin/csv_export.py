"""Lists as CSV files for spreadsheets, page by page: however many rows there are, one page at a time is in memory."""

import csv
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from eventstore.admin import KeysetAdmin

PAGE = 1000
"""Rows that are in memory together."""

Columns = Mapping[str, Callable[[Any], object]]
"""By heading: what the cell of a row says."""


class ExportedAdmin(KeysetAdmin):
    """A list with a link "Export as CSV", for those who may see it and have the permission `may_export`.

    The export is of all that the list's filters and search select, whichever page of it is shown; `file` names it.
    """

    change_list_template = "admin/ordering/order_list.html"
    columns: ClassVar[Columns]
    export_permission: ClassVar[str]
    file: ClassVar[str]

    def get_urls(self) -> list[URLPattern]:
        return [
            path("export/", self.admin_site.admin_view(self.export_view), name=self.export_url_name),
            *super().get_urls(),
        ]

    @property
    def export_url_name(self) -> str:
        return f"ordering_{self.opts.model_name}_export"

    def may_export(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(self.export_permission)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {}
        if self.may_export(request):
            asked = request.GET.copy()
            asked.pop(f"{self.keyset}__lt", None)
            context["export_url"] = f"{reverse(f'admin:{self.export_url_name}')}?{asked.urlencode()}"
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.may_export(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"{reverse(f'admin:ordering_{self.opts.model_name}_changelist')}?{ERROR_FLAG}=1")
        LogEntry.objects.create(
            user_id=str(request.user.pk),
            content_type=ContentType.objects.get_for_model(self.model),
            object_repr=str(self.opts.verbose_name_plural),
            action_flag=CHANGE,
            change_message="Exported as CSV.",
        )
        parts = pages(self.columns, rows, keyset=self.keyset, size=PAGE)
        return StreamingHttpResponse(
            pages_async(parts) if isinstance(request, ASGIRequest) else parts,
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{self.file}"'},
        )


def pages(columns: Columns, rows: QuerySet[Any], *, keyset: str, size: int) -> Iterator[str]:
    """The lines of the file, those of a page of `size` rows together, in descending order of a field that has an index
    together with the primary key.
    """
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    rest = rows = rows.order_by(f"-{keyset}", "-pk")
    while page := list(rest[:size]):
        yield "".join(writer.writerow([harmless(column(row)) for column in columns.values()]) for row in page)
        last = page[-1]
        bound = getattr(last, keyset)
        # The redundant condition is the one that an index can begin with.
        rest = rows.filter(Q(**{f"{keyset}__lte": bound})).filter(Q(**{f"{keyset}__lt": bound}) | Q(pk__lt=last.pk))


async def pages_async(parts: Iterator[str]) -> AsyncIterator[str]:
    """The same for ASGI, which would gather all that a plain iterator yields before it sends anything."""
    while (part := await sync_to_async(lambda: next(parts, None))()) is not None:
        yield part


def harmless(value: object) -> str:
    """A cell that a spreadsheet shows and never runs: before what it would take for a formula comes an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def moment(value: datetime | None) -> str:
    """As spreadsheets read it, in UTC."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else ""


class _Echo:
    """What a CSV writer writes to; it answers the line instead of keeping it."""

    def write(self, line: str) -> str:
        return line
