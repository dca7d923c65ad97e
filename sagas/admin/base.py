"""What the lists of sagas and of the ledger have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from eventstore.admin import event_link, polled, pretty, tag
from eventstore.admin.bulk_actions import BulkActionsAdmin
from eventstore.admin.lists import SimpleListFilter
from eventstore.admin.row_actions import RowAction, RowActionsAdmin, row_action
from eventstore.operations.base import Operation
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas.attempts import LastRetry, attempts_of
from sagas.descriptions import titles_of
from sagas.operations import MOST_AT_ONCE, TryNow
from sagas.status import Fault

SHORT = 120


class SagaFilter(SimpleListFilter):
    title = parameter_name = "saga"
    rank = Rank.SAGA

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in registry.names(self.rank)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class ErrorFilter(SimpleListFilter):
    """By the most frequent errors of what needs a hand."""

    title = parameter_name = "error"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.needs_a_hand: Sequence[str] = model_admin.needs_a_hand

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        many: dict[str, int] = {}
        for each in model_admin.faults_of(request):
            many[each.error] = many.get(each.error, 0) + each.rows
        return [(error, f"{error[:80]} ({rows:,})") for error, rows in many.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(error=self.value(), status__in=self.needs_a_hand) if self.value() else queryset


class RowAdmin(BulkActionsAdmin, RowActionsAdmin):
    """Rows that belong to a subscriber, with operations on each that is as it must be for it."""

    owner: ClassVar[str] = "saga"
    """The field that names the subscriber."""

    asks_for: ClassVar[str]
    """The field of the operations that says which row they are about."""

    labels: ClassVar[Mapping[type[Operation], str]] = {}
    """The operations, each with what its button says."""

    needs_a_hand: Sequence[str] = ()
    """The statuses that do."""

    for_all: ClassVar[Mapping[type[Operation], str]] = {}
    """The operations on all rows of one error, or on all that match the filter, each with what its button says."""

    filters: ClassVar[Mapping[str, str]] = {"error": "error"}
    """The filters of the address that these operations know, each by their field for it."""

    def faults(self) -> Sequence[Fault]:
        """What needs a hand, by error."""
        return []

    def faults_of(self, request: HttpRequest) -> Sequence[Fault]:
        """The same, looked up once for a page."""
        found: Sequence[Fault] | None = getattr(request, "faults", None)
        if found is None:
            found = self.faults()
            setattr(request, "faults", found)  # noqa: B010 - a request has no such field of its own
        return found

    def last_retry(self) -> LastRetry | None:
        """What became of what staff had tried again last."""
        return None

    def get_urls(self) -> list[URLPattern]:
        site, name = self.admin_site, f"sagas_{self.opts.model_name}"
        return [
            path("all/<slug:word>/", site.admin_view(self.all_view), name=f"{name}_all"),
            path("retry/", polled(site, site.admin_view(self.retry_view)), name=f"{name}_retry"),
            *super().get_urls(),
        ]

    def retry_view(self, request: HttpRequest) -> HttpResponse:
        """What became of what was tried again last, alone; once that is over the whole page is made anew."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        retry = self.last_retry()
        if retry is None or not retry.open:
            return HttpResponse(headers={"HX-Refresh": "true"})
        return TemplateResponse(request, "sagas/admin/retry.html", {"retry": retry, "opts": self.opts})

    def all_view(self, request: HttpRequest, word: str) -> HttpResponse:
        """An operation on all rows that the filters of the address select, one for each saga or effect that has some;
        confirmed first.
        """
        kind = next((each for each in self.for_all if each.word == word), None)
        if kind is None:
            raise Http404("There is no such thing to do to all of them.")
        if not (self.has_view_permission(request) and kind.is_allowed(request.user)):
            raise PermissionDenied
        chosen = self._chosen(request, kind)
        owners = [each for each in sorted(chosen.values_list(self.owner, flat=True).distinct()) if kind.concerns(each)]
        said = {field: request.GET[name] for name, field in self.filters.items() if request.GET.get(name)}
        back = f"{reverse(f'admin:sagas_{self.opts.model_name}_changelist')}?{_without_error(request)}"
        asked = [kind(**{"target": owner, **said}) for owner in owners]
        about = "all with this error" if "error" in said else "all that match"
        return self.perform_each(request, asked, about=about, back=back) or redirect(back)

    def _chosen(self, request: HttpRequest, kind: type[Operation]) -> QuerySet[Any]:
        """The rows that an operation on all would be about."""
        names = {**self.filters, self.owner: self.owner}
        said = {field: request.GET[name] for name, field in names.items() if request.GET.get(name)}
        chosen: QuerySet[Any] = self.model._default_manager.order_by()
        chosen = chosen.filter(status__in=needed_for_all(kind), **said)
        return kind.among(chosen) if issubclass(kind, TryNow) else chosen

    def may_act(self, request: HttpRequest) -> bool:
        return any(kind.is_allowed(request.user) for kind in self.labels)

    def offers(self, request: HttpRequest, row: Any) -> list[RowAction]:
        target = getattr(row, self.owner)
        return offered(request, self.labels, target, row.status, lambda kind: self.said(kind, row))

    def said(self, kind: type[Operation], row: Any) -> dict[str, Any]:
        """What a button says to its operation."""
        return {self.asks_for: row.pk}

    def perform_on_selected(
        self, request: HttpRequest, selected: QuerySet[Any], kind: type[Operation]
    ) -> HttpResponse | None:
        """An operation for each of the selected that is as it must be for it; of the others it is said."""
        rows = list(selected.order_by("pk").values_list(self.owner, "pk", "status"))
        fitting = [(owner, pk) for owner, pk, status in rows if status in _needed(kind)]
        if fitting and len(fitting) < len(rows):
            statuses = " or ".join(_needed(kind))
            messages.warning(request, f"{len(rows) - len(fitting):,} of the selected are left: not {statuses}.")
        return self.perform_each(request, [kind(**{"target": owner, self.asks_for: pk}) for owner, pk in fitting])

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = {
            "faults": [(each, self._offers_of_fault(request, each)) for each in self.faults_of(request)],
            "matching": self._offers_of_filter(request),
            "retry": self.last_retry(),
            **(extra_context or {}),
        }
        return super().changelist_view(request, shown)

    def _offers_of_fault(self, request: HttpRequest, fault: Fault) -> list[RowAction]:
        return [
            self._for_all(kind, f"{label} with this error", error=fault.error)
            for kind, label in self.for_all.items()
            if fault.status in needed_for_all(kind) and kind.is_allowed(request.user)
        ]

    def _offers_of_filter(self, request: HttpRequest) -> list[RowAction]:
        """What can be done to all that the filter selects, with how many these are; not for a filter that the
        operations don't know.
        """
        known = {*self.filters, self.owner}
        said = {name: str(value) for name, value in request.GET.items() if name in known and value}
        status = request.GET.get("status__exact", "")
        others = set(request.GET) - known - {"status__exact", f"{self.keyset}__lt"}
        offers = []
        for kind, label in self.for_all.items() if said or status else ():
            needed = needed_for_all(kind)
            if (
                others
                or "pending" in needed
                or (status and [status] != list(needed))
                or not kind.is_allowed(request.user)
            ):
                continue
            many = self._chosen(request, kind).values("pk")[:MOST_AT_ONCE].count()
            if many:
                offers.append(self._for_all(kind, f"{label} {many:,} that match", **said))
        return offers

    def _for_all(self, kind: type[Operation], label: str, **said: str) -> RowAction:
        url = reverse(f"admin:sagas_{self.opts.model_name}_all", args=[kind.word])
        return RowAction(label, f"{url}?{urlencode(said)}")

    @admin.display(description="attempts")
    def tries(self, row: Any) -> SafeString:
        """Those in vain, and what staff had tried again."""
        found = attempts_of(self.asks_for, row.pk)
        template = "sagas/admin/tries.html"
        return render_to_string(template, {"tries": found}) if found else SafeString("none in vain")

    @admin.display(description="status")
    def how(self, row: Any) -> SafeString:
        return tag(row.status)

    @admin.display(description="error")
    def shortly(self, row: Any) -> str:
        return str(row.error)[:SHORT]


class OfInstanceAdmin(RowAdmin):
    """What belongs to an instance of a saga. It is found by the instance's key for as long as it is `unfinished`, there
    is no index of what is over; the story of the instance has all of it.
    """

    search_fields = ["key"]
    search_help_text = "the key of an instance, such as the id of an order: what is unfinished of it"
    unfinished: ClassVar[Q]

    def matching(self, term: str) -> Q:
        return Q(self.unfinished, saga__in=registry.names(Rank.SAGA), key=term)

    def prepare(self, rows: Sequence[Any]) -> None:
        prepare_titles(rows)

    @admin.display(description="instance")
    def instance(self, row: Any) -> SafeString:
        return history_link(row.saga, row.key, title_of(row))

    @admin.display(description="data")
    def pretty_data(self, row: Any) -> SafeString:
        return pretty(row.data)


def offered(
    request: HttpRequest,
    labels: Mapping[type[Operation], str],
    target: str,
    status: str,
    said: Callable[[type[Operation]], dict[str, Any]],
) -> list[RowAction]:
    """Those of these operations that make sense in this status and that this user may perform."""
    return [
        row_action(label, kind, target, back=request.get_full_path(), **said(kind))
        for kind, label in labels.items()
        if status in _needed(kind) and kind.concerns(target) and kind.is_allowed(request.user)
    ]


def history_link(saga: str, key: str, title: str = "") -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:sagas_history", args=[saga, key]), title or key)


def prepare_titles(rows: Sequence[Any]) -> None:
    """Look up what the instances of all these rows are called, for `title_of`."""
    for saga in {row.saga for row in rows}:
        of_saga = [row for row in rows if row.saga == saga]
        titles = titles_of(saga, {row.key for row in of_saga})
        for row in of_saga:
            row.title = titles[row.key].text if row.key in titles else row.key


def title_of(row: Any) -> str:
    """What the instance is called that a row belongs to, or is."""
    if not hasattr(row, "title"):
        prepare_titles([row])
    return str(row.title)


def event(position: int | None) -> SafeString | str:
    return event_link(position) if position else "none"


def needed_for_all(kind: type[Operation]) -> tuple[str, ...]:
    """The statuses of the rows that an operation is about which is asked of all."""
    return getattr(kind, "needed_for_all", ()) or _needed(kind)


def _without_error(request: HttpRequest) -> str:
    """The filters of a list, without that of an error, which will soon be nobody's."""
    return urlencode([(name, str(value)) for name, value in request.GET.items() if name != "error"])


def _needed(kind: type[Operation]) -> tuple[str, ...]:
    needed: tuple[str, ...] = getattr(kind, "needed", ())
    return needed
