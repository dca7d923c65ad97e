"""Writes `SalesOfDay`."""

from eventstore.events import Meta
from ordering.domain.payment import PaymentAccepted, PaymentRefunded
from ordering.models import SalesOfDay
from projections.projection import ASYNC, Projection, on


def day_of(event: PaymentAccepted | PaymentRefunded, meta: Meta) -> tuple[str]:
    return (f"{meta.recorded_at.date()} {event.amount.currency}",)


class SalesByDay(Projection[SalesOfDay], name="sales-by-day", version=1, mode=ASYNC):
    model = SalesOfDay

    @on(PaymentAccepted, key=day_of)
    def accepted(self, row: SalesOfDay, event: PaymentAccepted, meta: Meta) -> None:
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.payments += 1
        row.received += event.amount.amount

    @on(PaymentRefunded, key=day_of)
    def refunded(self, row: SalesOfDay, event: PaymentRefunded, meta: Meta) -> None:
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.refunds += 1
        row.refunded += event.amount.amount
