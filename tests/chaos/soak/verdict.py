"""What must hold when everything has come to rest, whatever was killed. Each judge answers what is wrong."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from eventstore import store
from eventstore.models import DiscardedEvent, Incident, ParkedEvent, SkippedRange, StoredEvent, SubscriberRow
from eventstore.subscriptions import gaps
from eventstore.subscriptions.registry import registry
from ordering.models import ConferenceSummary, CustomerProfile, DailySales, OrderSummary, UnmatchedMoney
from ordering.processes.sale import Sale
from projections.projection import Projection
from projections.rebuild import builder, generations
from sagas.models import Delivery, Instance, OutboxCommand
from tests.chaos import rest
from tests.chaos.accounts import Accounts
from tests.chaos.soak import money_verdict
from tests.chaos.soak.buyers import Note
from tests.chaos.stories import contradictions, stories
from tests.crash import aftermath
from tests.integration.processes import MailServer

Faults = Iterator[str]

LEADS_TO = {
    "registered": "customer.registered",
    "changed": "customer.registered",
    "ordered": "order.placed",
    "accepted": "payment.accepted",
    "declined": "payment.declined",
    "cancelled": "order.cancelled",
    "mail": "order.status-mail-requested",
    "unmatched": "payment.unmatched",
    "quantities": "order.quantity-change-requested",
}
"""An event that the stream must have, by what was answered."""


def unrest() -> list[str]:
    """What still goes on, or is told to staff."""
    return [*rest.unrest(), *aftermath.unrest()]


def judge(notes: Sequence[Note], mails: MailServer, *, money: bool) -> dict[str, list[str]]:
    """What is wrong, by what should hold."""
    events = list(StoredEvent.objects.order_by("position"))
    judges: dict[str, Callable[[], Faults]] = {
        "what was answered is in the log": lambda: answered(notes, events),
        "what was answered can be read": lambda: readable(notes),
        "streams have no holes": lambda: holes(events),
        "people bought": lambda: nothing_sold(notes),
        **(money_verdict.judges(events) if money else of_plain_sales()),
        "every command was carried out once": aftermath.done_otherwise_than_once,
        "every saga tells its whole story": lambda: untold(events),
        "every delivery is in the ledger, and told once": deliveries,
        "every mail arrived; one that came again has the same Message-ID": lambda: mailed(mails),
        "`projections verify` finds nothing": differences,
        "nothing is parked, skipped, discarded or missing": missed,
        "no incident is open": lambda: (f"{each}: {each.text}" for each in Incident.objects.filter(ended_at=None)),
    }
    return {what: list(found()) for what, found in judges.items()}


def of_plain_sales() -> dict[str, Callable[[], Faults]]:
    """Of sales in which an order is paid in full or not at all, and keeps its seats until it ends."""
    accounts = Accounts()
    return {
        "every order came to its end, and once": lambda: iter([*accounts.broken_promises(), *accounts.absurd]),
        "seats sold are those of confirmed orders, and no more than there are": lambda: seats(accounts),
        "read rows are a fold of the log": lambda: folds(accounts),
    }


def nothing_sold(notes: Sequence[Note]) -> Faults:
    if not any(note.what == "accepted" for note in notes):
        yield "nobody paid"


def answered(notes: Sequence[Note], events: Sequence[StoredEvent]) -> Faults:
    log = {event.position for event in events}
    streams: dict[UUID, list[StoredEvent]] = {}
    for event in events:
        streams.setdefault(event.stream_id, []).append(event)
    for note in notes:
        kinds = {each.type for each in streams.get(note.stream_id, ()) if each.position <= note.position}
        if note.position not in log:
            yield f"{note} names a position without an event"
        elif LEADS_TO[note.what] not in kinds:
            yield f"{note} left only {kinds} up to there"


def readable(notes: Sequence[Note]) -> Faults:
    customers = set(CustomerProfile.objects.values_list("pk", flat=True))
    orders = set(OrderSummary.objects.values_list("pk", flat=True))
    of_orders = OrderSummary.objects.values_list("payments", flat=True)
    payments = {UUID(each["id"]) for payments in of_orders for each in payments}
    unmatched = set(UnmatchedMoney.objects.values_list("pk", flat=True))
    there = customers | orders | payments | unmatched
    yield from (f"{note} can't be read" for note in notes if note.stream_id not in there)


def holes(events: Sequence[StoredEvent]) -> Faults:
    versions: dict[UUID, int] = {}
    for event in events:
        if event.version != versions.get(event.stream_id, 0) + 1:
            yield f"{event} has version {event.version} after {versions.get(event.stream_id, 0)}"
        versions[event.stream_id] = event.version


def seats(accounts: Accounts) -> Faults:
    confirmed: Counter[tuple[str, str]] = Counter()
    for order_id, order in accounts.orders.items():
        if order["status"] == "confirmed":
            placed = accounts.placed[order_id]
            for line in placed["lines"]:
                confirmed[placed["conference_id"], line["seat_type"]] += line["quantity"]
    for conference, types in accounts.conferences.items():
        for code, count in types.items():
            if not count["sold"] == confirmed[str(conference), code] <= count["capacity"]:
                yield f"{conference} sold {dict(count)} of {code}; {confirmed[str(conference), code]} are confirmed"


def folds(accounts: Accounts) -> Faults:
    shown = {
        row.pk: {
            code: {"capacity": each["capacity"], "available": each["available"]}
            for code, each in row.seat_types.items()
        }
        for row in ConferenceSummary.objects.all()
    }
    counted = {
        conference: {code: {name: count[name] for name in ("capacity", "available")} for code, count in types.items()}
        for conference, types in accounts.conferences.items()
    }
    order_fields = ("status", "payment_status", "total", "version", "as_of")
    pairs: dict[str, tuple[dict[Any, Any], dict[Any, Any]]] = {
        "orders": (rest.rows(OrderSummary, *order_fields), accounts.orders),
        "customers": (rest.rows(CustomerProfile, "name", "email", "version", "as_of"), accounts.customers),
        "days": (rest.rows(DailySales, "payments", "received", "refunds", "refunded"), accounts.days),
        "conferences": (shown, counted),
    }
    for what, (rows, folded) in pairs.items():
        for key in {*rows, *folded}:
            if rows.get(key) != folded.get(key):
                yield f"{what} {key} is {rows.get(key)}, and the log says {folded.get(key)}"


def untold(events: Sequence[StoredEvent]) -> Faults:
    yield from (fault for story in stories(Sale(), events) for fault in contradictions(story))
    told = set(Instance.objects.filter(saga=Sale.name).values_list("key", flat=True))
    orders = [event.stream_id for event in events if event.type == "order.placed"]
    yield from (f"order {order_id} has no sale" for order_id in orders if str(order_id) not in told)
    for row in OutboxCommand.objects.exclude(status__in=["done", "refused"]):
        yield f"{row} is {row.status}: {row.error}"


def deliveries() -> Faults:
    yield from aftermath.ledger_misses()
    yield from aftermath.told_otherwise_than_once()
    yield from (f"{row} is {row.status}: {row.error}" for row in Delivery.objects.exclude(status="done"))


def mailed(mails: MailServer) -> Faults:
    """A mail whose sender was killed may come twice, but is then the same one."""
    expected = aftermath.mails_expected()
    contents: dict[str, tuple[str, str]] = {}
    for mail in mails.received:
        if mail["Subject"].startswith(settings.EMAIL_SUBJECT_PREFIX):
            continue  # to staff
        key, what = str(mail["Message-ID"]), (mail["To"], mail["Subject"])
        if contents.setdefault(key, what) != what:
            yield f"{key} is {contents[key]} and {what}"
    yield from (f"{expected[key]} {key} never arrived" for key in expected.keys() - contents)
    yield from (f"{key} arrived, {contents[key]}, and nothing led to it" for key in contents.keys() - expected)


def differences() -> Faults:
    for subscriber in registry:
        if isinstance(subscriber, Projection):
            verified = builder.complete(generations.verify(subscriber.name, requested_by="soak"))
            if verified.status != "verified" or verified.error:
                yield f"{subscriber.name} is {verified.status}: {verified.error}"
            yield from (
                f"{subscriber.name} {each.key} differs in {each.columns}" for each in verified.differences.all()
            )


def missed() -> Faults:
    head = store.head()
    for subscriber in registry:
        yield from (f"{subscriber.name} misses {each}" for each in gaps.gaps(subscriber.name).ranges)
    for row in SubscriberRow.objects.all():
        if (row.status, row.checkpoint) != ("running", head):
            yield f"{row} is {row.status} at {row.checkpoint} of {head}"
    for kind in (ParkedEvent, DiscardedEvent, SkippedRange):
        yield from (f"{kind.__name__}: {row}" for row in kind.objects.all())
