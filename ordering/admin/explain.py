"""Explains a figure: which events made it, what each of them added, and what they come to.

The events are folded once more, one after the other, by the very handlers that made the row; what is written down is
how the figure differs after each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore import store
from eventstore.admin import ReadOnlyAdmin
from eventstore.codec import Recorded
from eventstore.models import StoredEvent
from eventstore.subscriptions.parking import describe
from ordering.admin import timeline
from ordering.admin.derived import projection_of
from ordering.admin.formatting import money
from ordering.admin.words import sentence
from ordering.models import DailySales
from projections.as_of import row_after_each
from projections.models import ReadModel

MOST = 5_000
"""Events that are added up."""

PAGE = 100
"""Events on a page."""


class Figure(NamedTuple):
    """A number of a row: what it is called, what it is, and how it is written."""

    label: str
    value: Callable[[Any], Decimal]
    write: Callable[[Any, Decimal], str]


class Line(NamedTuple):
    """An event that changed a figure, with the sum after it."""

    recorded: Recorded
    added: Decimal
    total: Decimal


class Explanation(NamedTuple):
    """Why a figure is what is `shown`; `left_out` where there are more events than are added up, `error` where one of
    them can't be applied.
    """

    lines: Sequence[Line]
    shown: Decimal
    left_out: bool
    error: str

    @property
    def total(self) -> Decimal:
        return self.lines[-1].total if self.lines else Decimal(0)

    @property
    def agrees(self) -> bool:
        return self.total == self.shown


def explain(row: ReadModel, figure: Figure, events: Iterable[Recorded]) -> Explanation:
    """What each of the events of a row, in the order of the log, has added to a figure of it."""
    lines: list[Line] = []
    total: Decimal = Decimal(0)
    error = ""
    found = list(islice(events, MOST + 1))
    try:
        for recorded, after in row_after_each(projection_of(type(row)), str(row.pk), found[:MOST]):
            now = Decimal(0) if after is None else figure.value(after)
            if now != total:
                lines.append(Line(recorded, now - total, now))
                total = now
    except Exception as failure:
        error = describe(failure)
    return Explanation(lines, figure.value(row), len(found) > MOST, error)


class ExplainedAdmin(ReadOnlyAdmin):
    """Rows with figures that are explained."""

    figures: ClassVar[Mapping[str, Figure]] = {}

    def figure(self, name: str, part: str) -> Figure | None:
        """By its name in addresses, and the part of the row that it is about."""
        return None if part else self.figures.get(name)

    def events_of(self, row: Any) -> Iterable[Recorded]:
        """Those that may have made it, in the order of the log; no more than `MOST` and one are looked at. Raises
        `UnknownHere`.
        """
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.explain_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_explain"
        return [
            path("<path:object_id>/explain/<str:figure>/", view, name=name),
            path("<path:object_id>/explain/<str:figure>/<str:part>/", view, name=name),
            *super().get_urls(),
        ]

    def explained(self, row: Any, name: str, words: str) -> SafeString:
        """A figure, with a link to what explains it."""
        url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_explain", args=[row.pk, name])
        return format_html('{} <a class="why" href="{}">explain</a>', words, url)

    def explain_view(self, request: HttpRequest, object_id: str, figure: str, part: str = "") -> HttpResponse:
        row, asked = self.get_object(request, object_id), self.figure(figure, part)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None or asked is None:
            raise Http404("There is no such figure.")
        found = timeline.readable(request, lambda of: explain(of, asked, self.events_of(of)), row)
        lines = found.lines if found else []
        pages = Paginator(lines, PAGE)
        page = pages.get_page(request.GET.get("page", pages.num_pages))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": f"{row}: {asked.label}",
            "explanation": found,
            "row": row,
            "lines": [
                (each.recorded, sentence(each.recorded), _signed(asked, row, each.added), asked.write(row, each.total))
                for each in page
            ],
            "page": page,
            "total": asked.write(row, found.total) if found else "",
            "shown": asked.write(row, asked.value(row)),
            "difference": _signed(asked, row, found.shown - found.total) if found else "",
            "most": MOST,
            "read_model": projection_of(type(row)).name,
        }
        return TemplateResponse(request, "admin/ordering/explain.html", context)


def of_streams(row: ReadModel, *streams: UUID) -> list[Recorded]:
    """The first events of some streams that the read model of a row wants. Raises `UnknownHere`."""
    types = projection_of(type(row)).types
    found = StoredEvent.objects.filter(stream_id__in=streams, type__in=types)
    keys = ("stream_id", "version") if len(streams) == 1 else ("position",)
    return store.read_these(list(found.order_by(*keys).values_list("position", flat=True)[: MOST + 1]))


def of_day(row: DailySales) -> list[Recorded]:
    """The first events of a day in UTC that change what was sold on it."""
    begins = datetime.combine(row.day, time.min, ZoneInfo("UTC"))
    first, last = (store.position_at(at) for at in (begins - store.SKEW, begins + timedelta(days=1) + store.SKEW))
    types = projection_of(type(row)).types
    found = StoredEvent.objects.filter(type__in=types, position__gt=first, position__lte=last)
    return store.read_these(list(found.order_by("position").values_list("position", flat=True)[: MOST + 1]))


def in_money(label: str, column: str) -> Figure:
    """An amount in the currency of its row."""
    return Figure(label, lambda row: getattr(row, column, None) or Decimal(0), lambda row, of: money(of, row.currency))


def _signed(figure: Figure, row: Any, number: Decimal) -> str:
    return f"{'+' if number > 0 else '−' if number < 0 else ''}{figure.write(row, abs(number))}"
