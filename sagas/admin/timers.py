"""The timers that sagas set."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from eventstore.admin.lists import KeysetList, SimpleListFilter
from eventstore.operations.base import Operation
from sagas.admin.base import OfInstanceAdmin, SagaFilter
from sagas.models import Timer
from sagas.operations import CancelTimer, MoveTimer

WAITING = Timer.Status.WAITING


class StatusFilter(SimpleListFilter):
    """Those that wait, unless somebody wants to see others."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(each.value, str(each.label)) for each in Timer.Status]

    def value(self) -> str:
        return super().value() or WAITING

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value())

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        _all, *each = super().choices(changelist)
        yield from each


class DueList(KeysetList):
    """The next that is due first. Many may be due at one time, so a page begins after a time and an id."""

    first_page, next_page = "Next due", "Later"
    bound = "after"

    def place(self, row: Timer) -> str:
        return f"{row.due_at.isoformat()}/{row.pk}"

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        found.pop(self.bound, None)
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        found = super().get_queryset(request, exclude_parameters)
        if self.bound not in self.params:
            return found
        time, _, id_ = self.params[self.bound].rpartition("/")
        try:
            due_at, pk = datetime.fromisoformat(time), int(id_)
        except ValueError as error:
            raise IncorrectLookupParameters(str(error)) from error
        return found.filter(Q(due_at__gt=due_at) | Q(due_at=due_at, pk__gt=pk), due_at__gte=due_at)


@admin.register(Timer)
class TimerAdmin(OfInstanceAdmin):
    """Those that wait, by the time when they are due; those that are over, newest first."""

    when_empty = "No timer of a saga waits."
    unfinished = Q(status=WAITING)
    asks_for = "timer"
    labels = {MoveTimer: "Move", CancelTimer: "Cancel"}
    list_display = ["id", "name", "saga", "instance", "type", "how", "due_at", "fired_at"]
    list_filter = [StatusFilter, SagaFilter]
    fields = [
        ("name", "saga", "instance"),
        ("how", "due_at", "fired_at", "created_at"),
        ("type", "actor"),
        "pretty_data",
        "command_id",
        ("correlation_id", "causation_id"),
    ]

    def said(self, kind: type[Operation], row: Timer) -> dict[str, Any]:
        return said_of(kind, row.pk, row.due_at)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return DueList if _of_those_that_wait(request) else KeysetList

    def get_ordering(self, request: HttpRequest) -> Any:
        return ["due_at", "id"] if _of_those_that_wait(request) else super().get_ordering(request)


def said_of(kind: type[Operation], id_: int, due_at: datetime) -> dict[str, Any]:
    """What the button of a timer says. To move one, one is asked for the time, beginning with the one that it has."""
    if kind is not MoveTimer:
        return {"timer": id_}
    return {"timer": id_, "due_at": f"{timezone.localtime(due_at):%Y-%m-%dT%H:%M:%S}", "change": ""}


def _of_those_that_wait(request: HttpRequest) -> bool:
    return request.GET.get(StatusFilter.parameter_name, WAITING) == WAITING
