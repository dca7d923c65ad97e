"""The story of an order across all streams that tell of it: its own, its payments', its account's, what the conference
made of it, its mails, and what its sagas met with. A bounded number of statements reads it, however long it is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from eventstore import repository, store
from eventstore.codec import Recorded
from eventstore.models import StoredEvent
from eventstore.subscriptions.registry import registry
from ordering.admin import timeline
from ordering.admin.timeline import BY_ITSELF, Entry
from ordering.admin.words import because, mail, say, sentence
from ordering.domain.finance import (
    Account,
    PaymentMovedIn,
    PaymentReceived,
    RefundFailed,
    RefundRequested,
    RefundReversed,
    RefundSettled,
    RefundStatus,
    account_id_of,
    receipt_key,
)
from ordering.domain.order import Order, OrderCancelled, Status
from ordering.domain.order_changes import OwedChange
from ordering.domain.payment import Payment, PaymentAccepted, PaymentRefunded
from ordering.domain.seats import SeatsRefused, SeatsReleased, SeatsReserved, SeatsSold
from ordering.domain.values import Money, payment_id_of
from ordering.processes import sale
from ordering.processes.booking import Booking
from ordering.processes.sale import Sale
from sagas.effects.effect import Copy, Effect, delivering
from sagas.models import Delivery, Instance, OutboxCommand, Timer, Transition
from sagas.refusal import refusal_stream

SEATS = {SeatsReserved: "reserved", SeatsRefused: "refused", SeatsReleased: "given back", SeatsSold: "sold"}
NOT_THROUGH = [OutboxCommand.Status.PENDING, OutboxCommand.Status.PARKED]
IN_VAIN = [Delivery.Status.FAILED, Delivery.Status.IN_DOUBT, Delivery.Status.ABANDONED]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of an order, in the order of the log. `steps` has what its sale made of the event at a
    position, `commands` those of its sagas that are not through.
    """

    order: Order
    account: Account
    payments: Mapping[UUID, Payment]
    events: Sequence[Recorded]
    steps: Mapping[int, Sequence[Mapping[str, Any]]]
    deliveries: Sequence[Delivery]
    timers: Sequence[Timer]
    commands: Sequence[OutboxCommand]
    sagas: Sequence[Instance]

    @property
    def seats(self) -> str:
        """What has become of its seats, in a word; empty before anybody was asked for them."""
        words = [SEATS[type(each.event)] for each in self.events if type(each.event) in SEATS]
        return words[-1] if words else ""

    @property
    def mails(self) -> Sequence[Delivery]:
        return [each for each in self.deliveries if each.effect.startswith("mail.")]


class Sums(NamedTuple):
    """The money of an order in its own currency, each a sum of facts."""

    costs: Money
    received: Money
    returned: Money
    under_way: Money
    failed: Money
    status: Status
    change: OwedChange | None

    @property
    def holds(self) -> Money:
        return self.received - self.returned

    @property
    def balance(self) -> tuple[str, Money]:
        """What follows from them, as a name and an amount."""
        if self.status not in (Status.PLACED, Status.CONFIRMED):
            return "Still holds", self.holds
        if self.change:
            return "Still owes for a change", max(self.change.needs - self.received, self.costs * 0)
        if self.holds < self.costs:
            return ("Still owes" if self.status is Status.PLACED else "Less than it costs"), self.costs - self.holds
        return (
            ("Holds too much", self.holds - self.costs) if self.costs < self.holds else ("Still owes", self.costs * 0)
        )


def read(order_id: UUID) -> Story:
    """What the log and the sagas tell of an order."""
    key = str(order_id)
    told = Transition.objects.filter(saga=Sale.name, key=key).order_by("id").values_list("position", "steps")
    steps = dict(told)
    ids = [step["command_id"] for each in steps.values() for step in each if "command_id" in step]
    sent = OutboxCommand.objects.filter(command_id__in=ids).values_list("result", flat=True)

    first = payment_id_of(order_id)
    refusals = {refusal_stream(Sale.name, key), refusal_stream(Booking.name, str(first))}
    streams = {order_id, account_id_of(order_id), first, *refusals}
    events = _events(streams, {*steps, *(position for position in sent if position)})
    paid = {id_ for each in events.values() if (id_ := getattr(each.event, "payment_id", None))}
    later = {stream for id_ in paid for stream in (id_, refusal_stream(Booking.name, str(id_)))} - streams
    events |= _events(later)
    deliveries = _deliveries(events.values())
    events |= _events({_stream_of(each, events[each.position]) for each in deliveries})

    keys = [key, *(str(id_) for id_ in paid)]
    in_order = [events[position] for position in sorted(events)]
    return Story(
        order=_folded(Order(order_id), in_order),
        account=_folded(Account(account_id_of(order_id)), in_order),
        payments={
            id_: _folded(Payment(id_), in_order)
            for id_ in dict.fromkeys(each.stream_id for each in in_order if each.category == Payment.category)
        },
        events=in_order,
        steps=steps,
        deliveries=deliveries,
        sagas=list(Instance.objects.filter(saga__in=[Sale.name, Booking.name], key__in=keys).order_by("-saga", "id")),
        timers=list(Timer.objects.filter(command_id__in=ids).order_by("due_at", "id")),
        commands=list(
            OutboxCommand.objects.filter(
                saga__in=[Sale.name, Booking.name], key__in=keys, status__in=NOT_THROUGH
            ).order_by("id")
        ),
    )


def sums(story: Story) -> Sums:
    """Money in other currencies than the order's doesn't count."""
    total = story.order.total
    received = returned = under_way = failed = total * 0
    for recorded in story.events:
        match recorded.event:
            case PaymentAccepted(amount=amount, provider="") | PaymentMovedIn(amount=amount):
                received += _counted(amount, total)
            case PaymentReceived(amount=amount, brought_forward=False):
                received += _counted(amount, total)
            case PaymentRefunded(amount=amount) | RefundSettled(amount=amount):
                returned += _counted(amount, total)
            case RefundReversed(amount=amount):
                returned -= _counted(amount, total)
    for refund in story.account.refunds.values():
        under_way += _counted(refund.amount, total) * (refund.status is RefundStatus.REQUESTED)
        failed += _counted(refund.amount, total) * (refund.status is RefundStatus.FAILED)
    return Sums(total, received, returned, under_way, failed, story.order.status, story.order.owed)


def receipts(story: Story) -> Iterator[dict[str, Any]]:
    """What came in, the first with the key 1, and so on; then what was asked for and has not come."""
    account, arrived = story.account, _arrivals(story)
    for number, (key, receipt) in enumerate(account.receipts.items(), 1):
        of_it = [refund for refund in account.refunds.values() if refund.receipt == key]
        came = arrived[key]
        yield {
            "key": str(number),
            "provider": receipt.provider,
            "reference": receipt.reference,
            "amount": receipt.amount,
            "at": came.recorded_at,
            "status": "assigned" if isinstance(came.event, PaymentMovedIn) else "accepted",
            "returned": _total(of_it, RefundStatus.SETTLED, receipt.amount),
            "under_way": _total(of_it, RefundStatus.REQUESTED, receipt.amount),
        }
    for payment in story.payments.values():
        asked = next(each for each in story.events if each.stream_id == payment.id)
        before_finance = {name: each for name, each in payment.unbooked.items() if name not in _references(account)}
        for reference, amount in before_finance.items():
            yield _asked(payment, asked) | {"reference": reference, "amount": amount}
        if not payment.receipts:
            yield _asked(payment, asked)


def refunds(story: Story) -> Iterator[dict[str, Any]]:
    """What was to go back: why, who asked for it, and the reason why it has not, where there is one."""
    who = _who(story)
    asked: dict[UUID, Recorded] = {}
    failures: dict[UUID, str] = {}
    for recorded in story.events:
        match recorded.event:
            case RefundRequested(refund_id=refund_id):
                asked[refund_id] = recorded
            case RefundFailed(refund_id=refund_id, reason=reason) | RefundReversed(refund_id=refund_id, reason=reason):
                failures[refund_id] = reason
    errors = {each.position: each.error for each in story.deliveries}
    for refund_id, refund in story.account.refunds.items():
        error = ""
        if refund.status in (RefundStatus.FAILED, RefundStatus.CLOSED):
            error = failures[refund_id]
        elif refund.status is RefundStatus.REQUESTED:
            error = errors.get(asked[refund_id].position, "")
        yield {
            "key": str(refund_id),
            "reference": story.account.receipts[refund.receipt].reference,
            "amount": refund.amount,
            "reason": _why(story, asked[refund_id], refund.reason, who),
            "who": who[asked[refund_id].actor],
            "status": refund.status,
            "at": asked[refund_id].recorded_at,
            "error": error,
        }


def entries(story: Story) -> list[Entry]:
    """The last entries, the newest at the end. Who did it is told by name."""
    events = story.events[-timeline.SHOWN :]
    first = events[0].position if events else 0
    who = _who(story)
    told = [
        Entry(
            _words(story, each, who),
            each.recorded_at,
            who[each.actor],
            each.type,
            each.position,
            [_step(step) for step in story.steps.get(each.position, ())],
        )
        for each in events
    ]
    told += [
        Entry(
            f"The mail “{mail(each.effect)}” {each.status.replace('_', ' ')}: {each.error}",
            each.finished_at or each.created_at,
            BY_ITSELF,
            each.effect,
            each.position,
            delivery=each.pk,
        )
        for each in story.mails
        if each.status in IN_VAIN and each.position >= first
    ]
    return sorted(told, key=lambda entry: (entry.position, entry.delivery or 0))


def _who(story: Story) -> dict[str, str]:
    """By actor: what those are called who did something about the order."""
    return timeline.names({each.actor for each in story.events})


def _words(story: Story, recorded: Recorded, who: Mapping[str, str]) -> str:
    """What an event says; of what is to go back also what that was caused by."""
    event = recorded.event
    if not isinstance(event, RefundRequested):
        return sentence(recorded)
    return say(msgspec.structs.replace(event, reason=_why(story, recorded, event.reason, who)))


def _why(story: Story, asked: Recorded, reason: str, who: Mapping[str, str]) -> str:
    """Why money was to go back, where the reason of the sale says half of it: who has cancelled the order and why, or
    how often it was paid.
    """
    before = [each for each in story.events if each.position < asked.position]
    if reason == sale.CANCELLED:
        for each in reversed(before):
            if isinstance(each.event, OrderCancelled):
                by = "" if who[each.actor] in ("", BY_ITSELF) else f" by {who[each.actor]}"
                return f"The order was cancelled{by}{because(each.event.reason)}"
    if reason == sale.TOO_MUCH:
        times = sum(isinstance(each.event, PaymentReceived | PaymentMovedIn) for each in before)
        return f"{reason} It was paid {times} times." if times > 1 else reason
    return reason


def _events(streams: Collection[UUID], positions: Collection[int] = ()) -> dict[int, Recorded]:
    """By position: those of some streams, and those at some positions."""
    if not streams:
        return {}
    found = StoredEvent.objects.filter(stream_id__in=streams).values_list("position", flat=True)
    return {each.position: each for each in store.read_these([*{*found, *positions}])}


def _deliveries(events: Iterable[Recorded]) -> list[Delivery]:
    """What every effect made of these events."""
    types = {name: effect.name for effect in registry if isinstance(effect, Effect) for name in effect.types}
    positions = [each.position for each in events if each.type in types]
    found = Delivery.objects.filter(effect__in=set(types.values()), position__in=positions)
    return list(found.order_by("position", "effect", "copy"))


def _stream_of(row: Delivery, recorded: Recorded) -> UUID:
    """Where the effect tells what it did."""
    effect = registry[row.effect]
    assert isinstance(effect, Effect)
    with delivering(Copy(row.copy, row.created_at) if row.copy else None):
        return effect.idempotency_key(recorded)


def _folded(aggregate: Any, events: Iterable[Recorded]) -> Any:
    return repository.evolve(aggregate, [each for each in events if each.stream_id == aggregate.id])


def _counted(amount: Money, total: Money) -> Money:
    return amount if amount.currency == total.currency else total * 0


def _total(refunds: Iterable[Any], status: RefundStatus, like: Money) -> Money:
    return Money(sum((each.amount.amount for each in refunds if each.status is status), Decimal(0)), like.currency)


def _arrivals(story: Story) -> dict[str, Recorded]:
    """By receipt: the event that brought it."""
    return {
        receipt_key(each.event): each
        for each in story.events
        if each.stream_id == story.account.id and isinstance(each.event, PaymentReceived | PaymentMovedIn)
    }


def _references(account: Account) -> set[str]:
    return {receipt.reference for receipt in account.receipts.values()}


def _asked(payment: Payment, asked: Recorded) -> dict[str, Any]:
    return {
        "key": "",
        "provider": payment.provider,
        "reference": "",
        "amount": payment.amount,
        "at": asked.recorded_at,
        "status": str(payment.status),
    }


def _step(step: Mapping[str, Any]) -> str:
    match step["step"]:
        case "send":
            return str(step["command"])
        case "timer":
            return f"{step['command']} at {datetime.fromisoformat(step['due_at']):%-d %b %Y %H:%M}"
        case "cancel":
            return f"the timer {step['timer']} is cancelled"
    return "the end"
