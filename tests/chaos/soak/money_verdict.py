"""What must hold of money and of the seats that it is for, by the log and in plain Python: neither the domain nor a
projection has a part in it, but for the books that are judged.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Sum

from eventstore import store
from eventstore.models import StoredEvent
from ordering.effects.refund import ask_provider
from ordering.models import Excess, FailedRefund, JournalEntry, OrderSummary, UnmatchedMoney
from tests.chaos.soak.money import FAVOUR
from tests.crash.aftermath import EVERYTHING

Faults = Iterator[str]
ENDINGS = {f"order.{status}": status for status in ("refused", "confirmed", "expired", "cancelled")}


class Ledger:
    """Of each order its status, what it costs, what it holds and what staff gave back of it; the seats that it has;
    what it will cost, and the seats that it is to have then, while it owes money for a change; and what is held of
    money that nobody knows. All in one currency, as orders of a soak are.
    """

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self.status: dict[UUID, str] = {}
        self.total: dict[UUID, Decimal] = {}
        self.fee: dict[UUID, Decimal] = defaultdict(Decimal)
        self.favours: dict[UUID, Decimal] = defaultdict(Decimal)
        self.wanted: dict[UUID, Counter[str]] = {}
        self.owed: dict[UUID, tuple[Decimal, Counter[str]]] = {}
        self.conference: dict[UUID, UUID] = {}
        self.seats: dict[UUID, Counter[str]] = {}
        self.capacity: dict[UUID, Counter[str]] = defaultdict(Counter)
        self.held: dict[UUID | None, Decimal] = defaultdict(Decimal)
        self.received = self.returned = Decimal(0)
        self.refunds: dict[str, Any] = {}
        self.oversold: list[str] = []
        for event in events:
            self._fold(event)

    def _fold(self, event: StoredEvent) -> None:
        match event.category:
            case "order":
                self._order(event)
            case "conference":
                self._conference(event)
            case "finance":
                self._finance(event)

    def _order(self, event: StoredEvent) -> None:
        order_id, data = event.stream_id, event.data
        match event.type:
            case "order.placed" | "order.quantities-changed":
                self.total[order_id] = Decimal(data["total"]["amount"])
                self.wanted[order_id] = counted(data["lines"])
                self.owed.pop(order_id, None)
                if event.type == "order.placed":
                    self.status[order_id], self.conference[order_id] = "waiting", UUID(data["conference_id"])
            case "order.quantity-change-owed":
                self.owed[order_id] = Decimal(data["total"]["amount"]), counted(data["lines"])
            case "order.quantity-change-lapsed":
                self.owed.pop(order_id, None)
            case "order.refused" | "order.confirmed" | "order.expired" | "order.cancelled":
                self.status[order_id] = ENDINGS[event.type]
                self.owed.pop(order_id, None)
                if data.get("fee"):
                    self.fee[order_id] = Decimal(data["fee"]["amount"])

    def _conference(self, event: StoredEvent) -> None:
        data = event.data
        match event.type:
            case "seats.added":
                self.capacity[event.stream_id][data["seat_type"]["code"]] = data["seat_type"]["capacity"]
            case "seats.reserved" | "seats.changed":
                self.seats[UUID(data["order_id"])] = counted(data["lines"])
                self.conference[UUID(data["order_id"])] = event.stream_id
                self._look(event)
            case "seats.released":
                self.seats.pop(UUID(data["order_id"]), None)

    def _look(self, event: StoredEvent) -> None:
        taken = Counter[str]()
        for order_id, seats in self.seats.items():
            if self.conference[order_id] == event.stream_id:
                taken.update(seats)
        if taken - self.capacity[event.stream_id]:
            self.oversold.append(f"{event} leaves {dict(taken)} taken of {dict(self.capacity[event.stream_id])}")

    def _finance(self, event: StoredEvent) -> None:
        data = event.data
        owner = UUID(data["order_id"]) if data.get("order_id") else None
        amount = Decimal(data["amount"]["amount"])
        match event.type:
            case "finance.payment-received":
                self.received += amount
                self.held[owner] += amount
            case "finance.payment-moved-in":
                self.held[owner] += amount
            case "finance.payment-moved-out":
                self.held[None] -= amount
            case "refund.requested":
                self.refunds[data["refund_id"]] = data
            case "refund.settled":
                self.returned += amount
                self.held[owner] -= amount
                if owner and self.refunds[data["refund_id"]]["reason"] == FAVOUR:
                    self.favours[owner] += amount
            case "refund.reversed":
                self.returned -= amount
                self.held[owner] += amount
                if owner and self.refunds[data["refund_id"]]["reason"] == FAVOUR:
                    self.favours[owner] -= amount


def judges(events: Sequence[StoredEvent]) -> dict[str, Callable[[], Faults]]:
    ledger = Ledger(events)
    return {
        "every order has the money that it costs, or keeps": lambda: orders(ledger),
        "received is confirmed, returned, held and unmatched": lambda: sums(ledger),
        "the trial balance is zero, and no refund is under way": books,
        "each refund was asked for once, and settled once more than it came back": lambda: refunds(events),
        "orders have the seats that they are to have, and no more than there are": lambda: seats(ledger),
        "no refund is left that failed, and no excess": left,
    }


def orders(ledger: Ledger) -> Faults:
    for order_id, status in ledger.status.items():
        held, favour = ledger.held[order_id], ledger.favours[order_id]
        costs, later = ledger.total[order_id], ledger.owed.get(order_id, (Decimal(0), None))[0]
        expected = {
            "waiting": held if held < costs else Decimal(-1),
            "confirmed": held if costs - favour < held < later else costs - favour,
            "cancelled": ledger.fee[order_id],
        }.get(status, Decimal(0))
        if held != expected:
            yield (
                f"order {order_id} is {status}, costs {ledger.total[order_id]}, keeps a fee of {ledger.fee[order_id]}, "
                f"was given back {favour} as a favour, and holds {held}"
            )


def sums(ledger: Ledger) -> Faults:
    held = sum((ledger.held[order_id] for order_id in ledger.status), Decimal(0))
    unmatched = ledger.held[None]
    if ledger.received != ledger.returned + held + unmatched:
        yield f"{ledger.received} received, {ledger.returned} returned, {held} held, {unmatched} unmatched"
    figures = {
        "received": (OrderSummary.objects.aggregate(sum=Sum("received"))["sum"], held + ledger.returned),
        "unmatched": (UnmatchedMoney.objects.aggregate(sum=Sum("amount", default=0))["sum"], unmatched),
        "held": (balance(JournalEntry.Account.PROVIDER), held + unmatched),
        "confirmed": (-balance(JournalEntry.Account.REVENUE), confirmed(ledger)),
        "fees": (-balance(JournalEntry.Account.FEES), sum(ledger.fee.values(), Decimal(0))),
    }
    for what, (shown, counted) in figures.items():
        if shown != counted:
            yield f"{what} is {shown}, and the log says {counted}"


def confirmed(ledger: Ledger) -> Decimal:
    return sum((ledger.total[each] for each, status in ledger.status.items() if status == "confirmed"), Decimal(0))


def balance(account: JournalEntry.Account) -> Decimal:
    sums = JournalEntry.objects.filter(account=account).aggregate(
        debit=Sum("debit", default=0), credit=Sum("credit", default=0)
    )
    return Decimal(sums["debit"] - sums["credit"])


def books() -> Faults:
    by_currency: Counter[str] = Counter()
    for row in JournalEntry.objects.balances():
        by_currency[row["currency"]] += row["balance"]
        if row["account"] in (JournalEntry.Account.REFUNDS, JournalEntry.Account.MOVING) and row["balance"]:
            yield f"{row['balance']} {row['currency']} {row['account']}"
    yield from (f"debits and credits differ by {off} {currency}" for currency, off in by_currency.items() if off)


def refunds(events: Sequence[StoredEvent]) -> Faults:
    """Each attempt has one key, under which the sandbox names what it has given back."""
    answers = Counter((e.data["refund_id"], e.data["attempt"]) for e in events if e.type == "refund.answered")
    settled = Counter(e.data["refund_id"] for e in events if e.type == "refund.settled")
    settled.subtract(e.data["refund_id"] for e in events if e.type == "refund.reversed")
    by_provider = {e.data["refund_reference"] for e in events if e.type == "refund.settled" and not e.data["by_hand"]}
    names: set[str] = set()
    asked: set[str] = set()
    for recorded in store.read(0, store.head(), ["refund.requested"], EVERYTHING):
        event: Any = recorded.event
        refund_id, key = str(event.refund_id), ask_provider.idempotency_key(recorded)
        if (times := answers.pop((refund_id, event.attempt), 0)) != 1:
            yield f"attempt {event.attempt} at refund {refund_id} was answered {times} times"
        names.add(f"SANDBOX-{key.hex[-12:].upper()}")
        asked.add(refund_id)
    yield from (f"an answer {answer} to what nobody asked" for answer in answers)
    reduced = {e.data["refund_id"]: Decimal(e.data["amount"]["amount"]) for e in events if e.type == "refund.reduced"}
    for refund_id in asked:
        if settled[refund_id] != (0 if reduced.get(refund_id) == 0 else 1):
            yield f"refund {refund_id} settled {settled[refund_id]} times"
    yield from (f"{name} settled under a key of no attempt" for name in by_provider - names)


def seats(ledger: Ledger) -> Faults:
    yield from ledger.oversold
    for order_id, status in ledger.status.items():
        expected = ledger.wanted[order_id] if status in ("waiting", "confirmed") else Counter[str]()
        if order_id in ledger.owed:
            expected |= ledger.owed[order_id][1]
        if (has := ledger.seats.get(order_id, Counter[str]())) != expected:
            yield f"order {order_id} is {status}, has {dict(has)} and is to have {dict(expected)}"


def left() -> Faults:
    yield from (f"{row} of order {row.order_id} failed: {row.reason}" for row in FailedRefund.objects.all())
    yield from (f"{row} of order {row.order_id} is too much" for row in Excess.objects.exclude(amount=0))


def counted(lines: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter({line["seat_type"]: line["quantity"] for line in lines})
