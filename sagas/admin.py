"""Sagas, what they send and wait for, and the ledger of side effects: read-only lists, newest first."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin, event_link, pretty
from eventstore.subscribers import Rank, registry
from sagas.models import Delivery, Instance, Outgoing, Timer


class ProcessAdmin(KeysetAdmin):
    """What belongs to an instance of a saga is found by the instance's key, for as long as it is `unfinished`: there is
    no index of what is over.
    """

    search_fields = ["key"]
    search_help_text = "the key of an instance, such as the id of an order: what is unfinished of it"
    unfinished = Q()

    def matching(self, term: str) -> Q:
        sagas = [subscriber.name for subscriber in registry if subscriber.rank is Rank.SAGA]
        return Q(self.unfinished, saga__in=sagas, key=term)

    @admin.display(description="data")
    def pretty_data(self, row: Any) -> SafeString:
        return pretty(row.data)


@admin.register(Instance)
class InstanceAdmin(ProcessAdmin):
    when_empty = "No saga has begun yet: it does with the first event that starts one."
    search_help_text = "the key of an instance, such as the id of an order"
    list_display = ["id", "saga", "key", "ended", "at", "started_at", "moved_at"]
    fields = [("saga", "key", "version"), ("ended", "at", "started_at", "moved_at"), "pretty_state"]

    @admin.display(description="last event")
    def at(self, row: Instance) -> SafeString:
        return event_link(row.position)

    @admin.display(description="state")
    def pretty_state(self, row: Instance) -> SafeString:
        return pretty(row.state)


@admin.register(Outgoing)
class OutgoingAdmin(ProcessAdmin):
    when_empty = "No saga has sent a command yet."
    unfinished = Q(status__in=["pending", "parked"])
    list_display = ["id", "type", "saga", "key", "status", "attempts", "created_at", "finished_at"]
    list_filter = ["status"]
    fields = [
        ("type", "saga", "key"),
        ("status", "attempts", "led_to"),
        "error",
        "pretty_data",
        ("created_at", "due_at", "finished_at"),
        ("command_id", "root"),
        ("correlation_id", "causation_id"),
        ("actor", "hops"),
    ]

    @admin.display(description="last event it appended")
    def led_to(self, row: Outgoing) -> SafeString | str:
        return event_link(row.result) if row.result else "none"


@admin.register(Timer)
class TimerAdmin(ProcessAdmin):
    when_empty = "No saga has set a timer yet."
    unfinished = Q(status="waiting")
    list_display = ["id", "name", "saga", "key", "type", "status", "due_at"]
    list_filter = ["status"]
    fields = [
        ("name", "saga", "key"),
        ("status", "due_at", "created_at"),
        ("type", "actor"),
        "pretty_data",
        "command_id",
        ("correlation_id", "causation_id"),
    ]


@admin.register(Delivery)
class DeliveryAdmin(KeysetAdmin):
    """The ledger."""

    when_empty = "No event has called for a side effect yet."
    list_display = ["id", "effect", "at", "status", "attempts", "waits_for", "due_at", "finished_at", "shortly"]
    list_filter = ["status"]
    search_fields = ["position"]
    search_help_text = "the position of an event"
    fields = [
        ("effect", "at", "status"),
        ("attempts", "owner", "waits_for"),
        ("due_at", "lease_until"),
        ("created_at", "finished_at"),
        "error",
    ]

    def matching(self, term: str) -> Q:
        effects = [subscriber.name for subscriber in registry if subscriber.rank is Rank.EFFECT]
        position = int(term) if term.isdecimal() and len(term) < 19 else -1
        return Q(effect__in=effects, position=position)

    @admin.display(description="event")
    def at(self, row: Delivery) -> SafeString:
        return event_link(row.position)

    @admin.display(description="error")
    def shortly(self, row: Model) -> str:
        return str(getattr(row, "error", ""))[:120]
