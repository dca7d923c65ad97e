"""Whether sales really ended, counted in the database: everything that is to come of a sale came of each."""

from collections.abc import Callable

from django.db.models import Count, Model, QuerySet, Sum

from benchmarks.buyers import PATIENCE, QUANTITIES
from benchmarks.clients import Done
from benchmarks.errors import promise
from benchmarks.plain import models as plain
from benchmarks.rounds import Run
from benchmarks.site import until
from eventstore.models import StoredEvent
from ordering.models import ConferenceSales, DailySales, OrderSummary

Counts = dict[str, int]

_SEATS = sum(QUANTITIES.values())
_STEPS = 5
_EVENTS = ("order.placed", "seats.reserved", "payment.requested", "payment.accepted", "order.confirmed", "seats.sold")


def of_ours() -> Counts:
    """Events, what the read models show of them, and what workers made of them since."""
    recorded = StoredEvent.objects.filter(type__in=_EVENTS).order_by("type").values_list("type")
    return {
        **dict.fromkeys(_EVENTS, 0),
        **dict(recorded.annotate(Count("position"))),
        "shown as confirmed": OrderSummary.objects.filter(status=OrderSummary.Status.CONFIRMED).count(),
        "counted by day": _sum(DailySales.objects.all(), "payments"),
        "counted by conference": ConferenceSales.objects.count(),
    }


def of_plain() -> Counts:
    """Rows, and counters."""
    return {
        "placed": plain.Order.objects.count(),
        "accepted": plain.Payment.objects.filter(status=plain.Payment.Status.ACCEPTED).count(),
        "confirmed": plain.Order.objects.filter(status=plain.Order.Status.CONFIRMED).count(),
        "sold": _sum(plain.Seats.objects.all(), "sold") // _SEATS,
        "counted by day": _sum(plain.SalesOfDay.objects.all(), "payments"),
        "to be mailed": plain.Outbox.objects.count(),
        "in the history": plain.OrderHistory.objects.count() // _STEPS,
    }


class Judge:
    """Judges each turn of those who buy. Raises `BenchmarkFailed` unless every sale has ended."""

    def __init__(self) -> None:
        self._ended: dict[Callable[[], Counts], int] = {}

    def __call__(self, run: Run, done: Done) -> None:
        count = of_plain if ".plain." in run.turn.job else of_ours
        until(lambda: len(set(count().values())) == 1, PATIENCE, f"every sale of {run.figure} has ended")
        ended, before, sold = min(count().values()), self._ended.get(count, 0), len(done.seconds)
        promise(ended >= before + sold, f"{sold} sales were made, and {ended - before} have ended.")
        self._ended[count] = ended


def _sum(rows: QuerySet[Model], counter: str) -> int:
    return int(rows.aggregate(sum=Sum(counter))["sum"] or 0)
