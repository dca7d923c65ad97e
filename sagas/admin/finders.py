"""What can be found of sagas and of what they send."""

from collections.abc import Iterator

from django.urls import reverse

from eventstore.admin.finders import FOUND
from eventstore.admin.search import Asked, Found, finders
from eventstore.subscriptions.registry import registry
from eventstore.subscriptions.subscriber import Rank
from sagas.models import Delivery, Instance, OutboxCommand


def find_instances(asked: Asked) -> Iterator[Found]:
    """By their key, such as the id of an order."""
    found = Instance.objects.filter(saga__in=registry.names(Rank.SAGA), key=str(asked.id or asked.text))
    for each in found.order_by("saga")[:FOUND]:
        state = "ended" if each.ended else f"under way, last event {each.position:,}"
        yield Found(f"{each.saga} {each.key}", state, reverse("admin:sagas_history", args=[each.saga, each.key]))


def find_commands(asked: Asked) -> Iterator[Found]:
    """By the id of a command that a saga sends."""
    for each in OutboxCommand.objects.filter(command_id=asked.id) if asked.id else []:
        url = reverse("admin:sagas_outboxcommand_change", args=[each.pk])
        yield Found(each.type, f"{each.status}, of {each.saga} {each.key}", url)


def find_deliveries(asked: Asked) -> Iterator[Found]:
    """By the position of their event."""
    if asked.number is None:
        return
    found = Delivery.objects.filter(effect__in=registry.names(Rank.EFFECT), position=asked.number)
    for each in found.order_by("effect", "copy")[:FOUND]:
        url = reverse("admin:sagas_delivery_change", args=[each.pk])
        yield Found(f"{each.effect} for event {each.position:,}", each.status, url)


finders.register("Sagas", find_instances, permission="sagas.view_instance")
finders.register("Commands of sagas", find_commands, permission="sagas.view_outboxcommand")
finders.register("Mails and other effects", find_deliveries, permission="sagas.view_delivery")
