"""What people did to the running system, what they left out of it, and what handlers found odd: read-only lists."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from eventstore.admin.lists import KeysetAdmin, SimpleListFilter, event_link, pretty, subscriber_link, target_link
from eventstore.models import DiscardedEvent, HandlerWarning, OperatorAction, SkippedRange
from eventstore.operations.base import operations
from eventstore.operations.identity import LOG
from eventstore.subscriptions.registry import registry


class OperationFilter(SimpleListFilter):
    title = "operation"
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.name, kind.verb) for kind in operations]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(operation=self.value()) if self.value() else queryset


class TargetFilter(SimpleListFilter):
    """By the subscribers of this code and the log, so that nobody has to look through the table for them."""

    title = "subscriber"
    parameter_name = "target"
    others: Sequence[str] = [LOG]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in (*(subscriber.name for subscriber in registry), *self.others)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class SubscriberFilter(TargetFilter):
    parameter_name = "subscriber"
    others = ()


@admin.register(OperatorAction)
class OperatorActionAdmin(KeysetAdmin):
    """What was done, also what was asked for and refused."""

    when_empty = "Nobody has operated on anything yet."
    list_display = ["at", "what", "on", "by", "reason", "came_to"]
    list_filter = [OperationFilter, TargetFilter, "refused"]
    fields = [("what", "on", "at", "by"), "pretty_details", "reason", "came_to"]

    @admin.display(description="operation")
    def what(self, action: OperatorAction) -> str:
        return operations.verb(action.operation)

    @admin.display(description="target")
    def on(self, action: OperatorAction) -> SafeString | str:
        return target_link(action.operation, action.target)

    @admin.display(description="outcome")
    def came_to(self, action: OperatorAction) -> str:
        return f"refused: {action.outcome}" if action.refused else action.outcome

    @admin.display(description="details")
    def pretty_details(self, action: OperatorAction) -> SafeString:
        return pretty(action.details)


class AboutSubscriber(KeysetAdmin):
    """Rows that belong to a subscriber."""

    list_filter = [SubscriberFilter]

    @admin.display(description="subscriber")
    def of(self, row: Any) -> SafeString:
        return subscriber_link(row.subscriber)

    @admin.display(description="event")
    def event(self, row: Any) -> SafeString:
        return event_link(row.position)


@admin.register(DiscardedEvent)
class DiscardedEventAdmin(AboutSubscriber):
    when_empty = "No event was discarded."
    list_display = ["at", "event", "of", "key", "reason", "by"]
    fields = [("of", "key", "event"), "error", ("reason", "by", "at")]


@admin.register(SkippedRange)
class SkippedRangeAdmin(AboutSubscriber):
    when_empty = "Nothing was skipped, or a rebuild has closed the gap."
    list_display = ["at", "of", "after", "upto", "reason", "by"]
    fields = ["of", ("after", "upto"), ("reason", "by", "at")]


@admin.register(HandlerWarning)
class HandlerWarningAdmin(AboutSubscriber):
    when_empty = "No handler has found anything odd about an event."
    list_display = ["at", "event", "of", "text"]
    fields = [("of", "event", "at"), "text"]
