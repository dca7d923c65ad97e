"""What is left when everything has come to rest: each command carried out once, each story told to its end, each mail
sent, and nothing that waits.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from eventstore import repository, store
from eventstore.codec import Recorded
from eventstore.models import CommandRecord, ParkedEvent, StoredEvent, SubscriberRow
from eventstore.subscriptions import gaps
from eventstore.subscriptions.registry import registry
from ordering.domain.finance import RefundRequested, RefundSettled
from ordering.domain.order import Order, Status
from ordering.domain.order_changes import QuantitiesChanged
from ordering.domain.payment import PaymentRequested
from sagas.effects.effect import Effect
from sagas.models import Delivery, Instance, OutboxCommand, Timer, Transition
from sagas.saga import Saga
from tests.integration.processes import MailServer

EVERYTHING = 1_000_000
"""Events at most: more than any test appends."""


def unrest() -> list[str]:
    """What is still going on, or stuck."""
    head = store.head()
    unsent = OutboxCommand.objects.exclude(status__in=["done", "refused"])
    undone = Delivery.objects.exclude(status__in=["done", "in doubt"])
    return [
        *(f"{row} stands at {row.checkpoint} of {head}" for row in SubscriberRow.objects.filter(checkpoint__lt=head)),
        *(f"{row} is {row.status}: {row.last_error}" for row in SubscriberRow.objects.exclude(status="running")),
        *(f"{row} is due" for row in Timer.objects.filter(status="waiting", due_at__lte=Now())),
        *(f"{row} is {row.status}: {row.error}" for row in unsent),
        *(f"{row} is {row.status}: {row.error}" for row in undone),
        *(f"{row} is parked: {row.error}" for row in ParkedEvent.objects.all()),
        *(f"{each.name} has a gap" for each in registry if gaps.gaps(each.name).ranges),
    ]


def done_otherwise_than_once() -> Iterator[str]:
    """Commands that were not carried out exactly once, as the log tells it; and events that none of them appended.

    What effects tell is no command's doing: see `told_otherwise_than_once`.
    """
    caused: dict[Any, list[int]] = {}
    for event in StoredEvent.objects.exclude(category="effect").order_by("position"):
        caused.setdefault(event.causation_id, []).append(event.position)
    recorded = CommandRecord.objects.exclude(last_position=None)
    records = {record.pk: (record.first_position, record.last_position) for record in recorded}
    for command_id in records.keys() | caused.keys():
        positions = caused.get(command_id, [0])
        if records.get(command_id) != (positions[0], positions[-1]):
            yield f"command {command_id} appended {positions}, and its record says {records.get(command_id)}"
    for sent in OutboxCommand.objects.filter(status__in=["done", "refused"]):
        if not CommandRecord.objects.filter(pk=sent.command_id, last_position=sent.result).exists():
            yield f"{sent} is {sent.status} at {sent.result}, and the log doesn't say so"


def told_otherwise_than_once() -> Iterator[str]:
    """Mails that were sent, as the ledger has it, and of which the log doesn't tell so, or not once."""
    told = Counter(recorded.stream_id for recorded in store.read(0, store.head(), ["mail.sent"], EVERYTHING))
    for row in Delivery.objects.filter(status="done", effect__startswith="mail."):
        effect, asked = registry[row.effect], store.read_one(row.position)
        assert isinstance(effect, Effect)
        if told.pop(effect.idempotency_key(asked), 0) != (not says_nothing(asked)):
            yield f"{row} is not told once"
    yield from (f"{stream} is told and not in the ledger" for stream in told)


def untold() -> Iterator[str]:
    """Events that an instance heard of and its story doesn't tell, or the other way round; and steps without a row."""
    for saga in registry:
        if isinstance(saga, Saga):
            heard, begun = set[tuple[Any, int]](), set[Any]()
            for recorded in store.read(0, store.head(), saga.types, EVERYTHING):
                begun |= {key for key in saga.keys(recorded) if saga.begins(str(key), recorded)}
                heard |= {(key, recorded.position) for key in saga.keys(recorded) if key in begun}
            told = set(Transition.objects.filter(saga=saga.name).values_list("key", "position"))
            yield from (f"{saga.name} {key} at {position}" for key, position in heard ^ told)
            last = Instance.objects.filter(saga=saga.name).values_list("key", "position")
            yield from (f"{saga.name} {key} stands at {at}" for key, at in last if at != max(told_of(told, key)))
    steps = [step for transition in Transition.objects.all() for step in transition.steps if "command_id" in step]
    followed = Counter(UUID(step["command_id"]) for step in steps)
    rows = [
        *OutboxCommand.objects.values_list("command_id"),
        *Timer.objects.exclude(status="fired").values_list("command_id"),
    ]
    if followed != Counter(command_id for (command_id,) in rows):
        yield f"steps lead to {followed}, and there are {rows}"


def told_of(told: set[tuple[str, int]], key: str) -> list[int]:
    return [position for of, position in told if of == key]


def says_nothing(asked: Recorded) -> bool:
    """Nobody is asked to pay for an order, or a change of one, that had ended by then, and who waits to pay is not told
    of a change beside. Of a refund is told once, and only to whom the money belongs.
    """
    match asked.event:
        case PaymentRequested(order_id=order_id):
            return not _order_then(order_id, asked).awaits_payment
        case QuantitiesChanged(order_id=order_id):
            return _order_then(order_id, asked).status is not Status.CONFIRMED
        case RefundRequested() as refund:
            return refund.order_id is None or refund.attempt > 1 or refund.made_there
        case RefundSettled(order_id=None):
            return True
    return False


def _order_then(order_id: UUID, asked: Recorded) -> Order:
    return repository.get_before(Order, order_id, lambda each: each.position > asked.position)


def mails_expected() -> dict[str, str]:
    """The effect that sends it, by the Message-ID of each mail."""
    return {
        f"<{effect.idempotency_key(recorded)}@{settings.MAIL_DOMAIN}>": effect.name
        for effect in registry
        if isinstance(effect, Effect) and effect.name.startswith("mail.")
        for recorded in store.read(0, store.head(), effect.types, EVERYTHING)
        if effect.keys(recorded) and not says_nothing(recorded)
    }


def mails_arrived(server: MailServer) -> Counter[str]:
    """How often, by Message-ID."""
    return Counter(str(message["Message-ID"]) for message in server.received)


def ledger_misses() -> Iterator[str]:
    """Events of an effect that have no row, or rows without an event."""
    for effect in registry:
        if isinstance(effect, Effect):
            read = store.read(0, store.head(), effect.types, EVERYTHING)
            wanted = {recorded.position for recorded in read if effect.keys(recorded)}
            there = set(Delivery.objects.filter(effect=effect.name).values_list("position", flat=True))
            yield from (f"{effect.name} at {position}" for position in wanted ^ there)
