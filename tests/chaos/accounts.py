"""What the log says, folded in plain Python: neither the domain nor a projection has a part in it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from eventstore.models import StoredEvent

Fields = dict[str, Any]


class Accounts:
    """Conferences, orders, customers and sales of days, as their events leave them; and what can't be true of them.

    Each is a dictionary by key, of fields named as those of the read tables; `placed` is what orders began with, and
    `happened` counts all that happened to them. What is on offer to who waits is no order: `on_offer` are the lines of
    the seats that are reserved for it, by the id of the seats.
    """

    def __init__(self) -> None:
        self.conferences: dict[UUID, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self.orders: dict[UUID, Fields] = defaultdict(dict)
        self.customers: dict[UUID, Fields] = defaultdict(dict)
        self.days: dict[str, Fields] = defaultdict(lambda: Counter(payments=0, received=0, refunds=0, refunded=0))
        self.payments: dict[UUID, list[Fields]] = defaultdict(list)
        self.money: dict[UUID, dict[str, Decimal]] = defaultdict(
            lambda: {"received": Decimal(0), "returned": Decimal(0)}
        )
        self.placed: dict[UUID, Fields] = {}
        self.happened: dict[UUID, Counter[str]] = defaultdict(Counter)
        self.offered: set[UUID] = set()
        self.on_offer: dict[UUID, Fields] = {}
        self.absurd: list[str] = []
        self.events = list(StoredEvent.objects.order_by("position"))
        for event in self.events:
            self._count(event)

    def _count(self, event: StoredEvent) -> None:
        data = event.data
        if event.type == "waitlist.chosen":
            self.offered.add(UUID(data["seats_id"]))
        if (order_id := data.get("order_id")) and event.category != "waitlist" and UUID(order_id) not in self.offered:
            self.happened[UUID(order_id)][event.type] += 1
        match event.category:
            case "conference":
                self._conference(event, data)
            case "customer":
                self._customer(event, data)
            case "order":
                self._order(event, data)
            case "payment":
                self._payment(event, data)
            case "finance":
                self._finance(event, data)

    def _conference(self, event: StoredEvent, data: Fields) -> None:
        seats = self.conferences[event.stream_id]
        match event.type:
            case "seats.added":
                added = data["seat_type"]
                seats[added["code"]].update(capacity=added["capacity"], available=added["capacity"])
            case "seats.reserved":
                self._move(seats, data["lines"], "available", "reserved")
                if UUID(data["order_id"]) in self.offered:
                    self.on_offer[UUID(data["order_id"])] = data
            case "seats.sold":
                self._move(seats, data["lines"], "reserved", "sold")
            case "seats.released":
                before = "sold" if "seats.sold" in self.happened.get(UUID(data["order_id"]), ()) else "reserved"
                self._move(seats, data["lines"], before, "available")
                self.on_offer.pop(UUID(data["order_id"]), None)
        for code, count in seats.items():
            if min(count.values()) < 0 or count["available"] + count["reserved"] + count["sold"] != count["capacity"]:
                self.absurd.append(f"seats of the type {code} at {event.position}: {dict(count)}")

    def _move(self, seats: dict[str, Counter[str]], lines: list[Fields], from_: str, to: str) -> None:
        for line in lines:
            seats[line["seat_type"]].update({from_: -line["quantity"], to: line["quantity"]})

    def _customer(self, event: StoredEvent, data: Fields) -> None:
        known: Fields = {name: data[name] for name in ("name", "email") if name in data}
        self.customers[event.stream_id].update(known, version=event.version, as_of=event.position)

    def _order(self, event: StoredEvent, data: Fields) -> None:
        order = self.orders[event.stream_id]
        order.update(version=event.version, as_of=event.position)
        match event.type:
            case "order.placed":
                order.update(status="placed", payment_status="", total=Decimal(data["total"]["amount"]))
                self.placed[event.stream_id] = data
            case "order.refused" | "order.confirmed" | "order.expired" | "order.cancelled":
                order.update(status=event.type.removeprefix("order."))

    def _payment(self, event: StoredEvent, data: Fields) -> None:
        order_id = UUID(data["order_id"])
        order, payments = self.orders[order_id], self.payments[order_id]
        order.update(as_of=event.position)
        unpaid = [each for each in payments if each["id"] == data["payment_id"] and not each["reference"]]
        match event.type:
            case "payment.requested":
                payments.append({"id": data["payment_id"], "reference": "", "status": "requested", "back": Counter()})
                if order["status"] == "placed":
                    order.update(status="awaiting_payment")
            case "payment.accepted":
                if not unpaid:
                    unpaid = [{"id": data["payment_id"], "back": Counter()}]
                    payments += unpaid
                amount = Decimal(data["amount"]["amount"])
                unpaid[0].update(reference=data["reference"], status="accepted", amount=amount)
            case "payment.pending" | "payment.declined":
                for each in unpaid:
                    each.update(status=event.type.removeprefix("payment."))
        order.update(payment_status=payments[-1]["status"])

    def _finance(self, event: StoredEvent, data: Fields) -> None:
        order_id, amount = UUID(data["order_id"]), Decimal(data["amount"]["amount"])
        order, money = self.orders[order_id], self.money[order_id]
        order.update(as_of=event.position)
        day = self.days[f"{event.recorded_at.date()} {data['amount']['currency']}"]
        match event.type:
            case "finance.payment-received":
                day["payments"] += 1
                day["received"] += amount
                money["received"] += amount
            case "refund.settled":
                day["refunds"] += 1
                day["refunded"] += amount
                money["returned"] += amount
                for each in self.payments[order_id]:
                    if (each["id"], each["reference"]) == (data["payment_id"], data["reference"]):
                        each["back"][data["refund_id"]] = amount
                        if sum(each["back"].values()) >= each["amount"]:
                            each.update(status="refunded")
                order.update(payment_status=self.payments[order_id][-1]["status"])
                if order["status"] == "cancelled" and money["returned"] >= money["received"]:
                    order.update(status="refunded")

    def kept(self, order_id: UUID) -> Decimal:
        """What came in for an order and has not gone back."""
        money = self.money[order_id]
        return money["received"] - money["returned"]

    def broken_promises(self) -> Iterator[str]:
        """What was begun for an order and not brought to its end, or was done twice."""
        for order_id, happened in self.happened.items():
            order, kept = self.orders[order_id], self.kept(order_id)
            twice = [kind for kind, times in happened.items() if times > 1 and kind not in REPEATABLE]
            done = set(happened)
            ended = order["status"] in ("expired", "cancelled", "refunded")
            held = happened["seats.reserved"] - happened["seats.released"]
            confirmed = order["status"] == "confirmed"
            wrong = {
                "has neither got its seats nor been refused them": not done & {"seats.reserved", "seats.refused"},
                "is refused without a reason": ("order.refused" in done)
                != ("seats.refused" in done and "seats.reserved" not in done and not ended),
                "is confirmed, and its seats are not sold": ("order.confirmed" in done) != ("seats.sold" in done),
                "has ended and kept its seats": ended and held != 0,
                "lost its seats": not ended and order["status"] != "refused" and held != 1,
                "was credited with something else than came in": happened["finance.payment-received"]
                != happened["order.payment-credited"],
                "was debited with something else than went back": happened["refund.settled"]
                != happened["order.refund-debited"],
                "is paid and neither confirmed nor refunded": kept != (order["total"] if confirmed else 0),
            }
            faults = [what for what, is_so in wrong.items() if is_so] + [f"has {kind} twice" for kind in twice]
            yield from (f"order {order_id} {fault}: {dict(happened)}" for fault in faults)


REPEATABLE = {
    "payment.accepted",
    "payment.declined",
    "finance.payment-received",
    "order.payment-credited",
    "refund.requested",
    "refund.settled",
    "order.refund-debited",
    "seats.reserved",
    "seats.refused",
    "seats.released",
    "order.status-mail-requested",
}
"""An order may be paid more than once, and may get its seats again when it is paid late."""
