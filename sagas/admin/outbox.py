"""The commands that sagas send."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from sagas.admin.base import ErrorFilter, OfInstanceAdmin, SagaFilter, event
from sagas.attempts import LastRetry, last_retry
from sagas.models import OutboxCommand
from sagas.operations import ABANDON_COMMAND, COMMANDS, AbandonCommand, ResolveRefusal, RetryCommand
from sagas.status import Fault, troubled_commands


@admin.register(OutboxCommand)
class OutboxCommandAdmin(OfInstanceAdmin):
    """Newest first; above them those that are parked or unanswered, by error."""

    actions = ["retry_selected", "abandon_selected", "resolve_selected"]
    change_list_template = "sagas/admin/commands.html"
    when_empty = "No saga has sent a command yet."
    unfinished = Q(status__in=["pending", "parked"])
    asks_for = "command"
    needs_a_hand = [OutboxCommand.Status.PARKED, OutboxCommand.Status.UNANSWERED]
    for_all = {RetryCommand: "Retry all", ResolveRefusal: "Resolve all"}
    labels = {RetryCommand: "Retry", AbandonCommand: "Abandon", ResolveRefusal: "Resolve"}
    list_display = ["id", "type", "saga", "instance", "how", "attempts", "created_at", "finished_at", "shortly"]
    list_filter = ["status", SagaFilter, ErrorFilter]
    fields = [
        ("type", "saga", "instance"),
        ("how", "attempts", "led_to"),
        "error",
        "tries",
        "pretty_data",
        ("created_at", "due_at", "finished_at"),
        ("command_id", "root"),
        ("correlation_id", "causation_id"),
        ("actor", "hops"),
    ]

    def faults(self) -> Sequence[Fault]:
        return troubled_commands()

    def last_retry(self) -> LastRetry | None:
        return last_retry("command")

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(COMMANDS)

    def has_abandon_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ABANDON_COMMAND)

    @admin.action(description="Retry the selected", permissions=["resolve"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, RetryCommand)

    @admin.action(description="Abandon the selected", permissions=["abandon"])
    def abandon_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, AbandonCommand)

    @admin.action(description="Resolve the selected refusals", permissions=["resolve"])
    def resolve_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self.perform_on_selected(request, queryset, ResolveRefusal)

    @admin.display(description="last event it appended")
    def led_to(self, row: OutboxCommand) -> SafeString | str:
        return event(row.result)
