"""The ledger of side effects."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventstore.admin import event_link
from eventstore.admin.lists import KeysetList, wrong_lookups
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas.admin.base import ErrorFilter, RowAdmin, SagaFilter
from sagas.attempts import LastRetry, last_retry
from sagas.effects.outcomes import EffectOutcome, effect_outcomes
from sagas.effects.preconditions import FAR
from sagas.errors import NoSuchEvent
from sagas.models import Delivery
from sagas.operations import (
    ABANDON_DELIVERY,
    COPY,
    LEDGER,
    AbandonDelivery,
    MarkDelivered,
    Redeliver,
    RetryDelivery,
    SendCopy,
    TryNow,
)
from sagas.status import Fault, failed_deliveries, failing_issues


class EffectFilter(SagaFilter):
    title = parameter_name = "effect"
    rank = Rank.EFFECT


class OfEffectList(KeysetList):
    """The ledger of one effect, by the position of the event, for which there is an index. A page begins after a
    position and the number of a copy.
    """

    bound = "before"

    def place(self, row: Delivery) -> str:
        return f"{row.position}/{row.copy}"

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        found.pop(self.bound, None)
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        found = super().get_queryset(request, exclude_parameters)
        if self.bound not in self.params:
            return found
        position, _, copy = self.params[self.bound].partition("/")
        with wrong_lookups():
            at, number = int(position), int(copy)
            return found.filter(Q(position__lt=at) | Q(position=at, copy__lt=number), position__lte=at)


@admin.register(Delivery)
class DeliveryAdmin(RowAdmin):
    """Newest first; above them what failed and what is in doubt, by error."""

    actions = ["retry_selected", "abandon_selected", "mark_selected_delivered", "redeliver_selected"]
    change_list_template = "sagas/admin/deliveries.html"
    when_empty = "No event has called for a side effect yet."
    owner = "effect"
    asks_for = "delivery"
    needs_a_hand = [Delivery.Status.FAILED, Delivery.Status.IN_DOUBT]
    for_all = {
        RetryDelivery: "Retry all",
        MarkDelivered: "Mark delivered all",
        Redeliver: "Redeliver all",
        AbandonDelivery: "Abandon all",
        TryNow: "Try all now",
    }
    labels = {
        RetryDelivery: "Retry",
        MarkDelivered: "Mark delivered",
        Redeliver: "Redeliver",
        AbandonDelivery: "Abandon",
        SendCopy: "Send a copy",
    }
    list_display = ["id", "effect", "at", "how", "attempts", "waits_for", "next_look", "finished_at", "shortly"]
    list_filter = [EffectFilter, "status", ErrorFilter]
    search_fields = ["position"]
    search_help_text = "the position of an event: what every effect made of it"
    fields = [
        ("effect", "at", "copy"),
        ("how", "attempts", "owner"),
        ("waits_for", "next_look", "lease_until"),
        ("created_at", "finished_at"),
        "error",
        "tries",
        "others",
    ]

    def matching(self, term: str) -> Q:
        return Q(effect__in=registry.names(Rank.EFFECT), position=_position(term))

    def faults(self) -> Sequence[Fault]:
        return failed_deliveries()

    def last_retry(self) -> LastRetry | None:
        return last_retry("delivery")

    def get_ordering(self, request: HttpRequest) -> Any:
        return ["-position", "-copy"] if request.GET.get("effect") else super().get_ordering(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OfEffectList if request.GET.get("effect") else super().get_changelist(request, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        asked = request.GET.get("q", "").strip()
        shown = {"asked": asked, "outcomes": _outcomes(asked), **self._waiting(request), **(extra_context or {})}
        return super().changelist_view(request, shown)

    def _waiting(self, request: HttpRequest) -> dict[str, Any]:
        """What has failed so far and is tried again later, and the button that has it tried at once."""
        issue = next(failing_issues(), None)
        may = TryNow.is_allowed(request.user)
        return {"failing": issue, "try_now": self._for_all(TryNow, "Try all that wait now") if issue and may else None}

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(LEDGER)

    def has_abandon_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ABANDON_DELIVERY)

    def has_copy_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(COPY)

    @admin.action(description="Retry the selected that failed", permissions=["resolve"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, RetryDelivery)

    @admin.action(description="Abandon the selected", permissions=["abandon"])
    def abandon_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, AbandonDelivery)

    @admin.action(description="Mark the selected in doubt delivered", permissions=["resolve"])
    def mark_selected_delivered(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, MarkDelivered)

    @admin.action(description="Redeliver the selected in doubt", permissions=["copy"])
    def redeliver_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, Redeliver)

    @admin.display(description="event")
    def at(self, row: Delivery) -> SafeString:
        return event_link(row.position)

    @admin.display(description="due")
    def next_look(self, row: Delivery) -> Any:
        if row.finished_at or row.status == Delivery.Status.IN_DOUBT:
            return "-"
        return "once that has come so far" if row.due_at == FAR else row.due_at

    @admin.display(description="of the same event")
    def others(self, row: Delivery) -> SafeString:
        url = reverse("admin:sagas_delivery_changelist")
        return format_html('<a href="{}?q={}">What every effect made of it</a>', url, row.position)


def _position(term: str) -> int:
    """What is no position at all finds nothing."""
    return int(term) if term.isdecimal() and len(term) < 19 else -1


def _outcomes(asked: str) -> Sequence[EffectOutcome]:
    """What every effect made of an event, if one is asked for."""
    try:
        return effect_outcomes(_position(asked)) if asked else []
    except NoSuchEvent:
        return []
