"""What the lists of sagas and of the ledger have in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.admin import event_link, pretty, tag
from eventstore.admin.bulk_actions import BulkActionsAdmin
from eventstore.admin.lists import SimpleListFilter
from eventstore.admin.row_actions import RowAction, RowActionsAdmin, row_action
from eventstore.operations.base import Operation
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
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
        for each in model_admin.faults():
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

    def faults(self) -> Sequence[Fault]:
        """What needs a hand, by error."""
        return []

    def fault_labels(self, status: str) -> Mapping[type[Operation], str]:
        """The operations on all that has one error and this status."""
        return {}

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
        faults = [(each, self._offers_of_fault(request, each)) for each in self.faults()]
        return super().changelist_view(request, {"faults": faults, **(extra_context or {})})

    def _offers_of_fault(self, request: HttpRequest, fault: Fault) -> list[RowAction]:
        said = {"error": fault.error}
        return offered(request, self.fault_labels(fault.status), fault.subscriber, fault.status, lambda _: said)

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

    @admin.display(description="key")
    def instance(self, row: Any) -> SafeString:
        return history_link(row.saga, row.key)

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


def history_link(saga: str, key: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:sagas_history", args=[saga, key]), key)


def event(position: int | None) -> SafeString | str:
    return event_link(position) if position else "none"


def _needed(kind: type[Operation]) -> tuple[str, ...]:
    needed: tuple[str, ...] = getattr(kind, "needed", ())
    return needed
