"""Writes `SalesOfDay` and `SaleOfConference`."""

from eventstore.events import Meta
from ordering.domain.payment import PaymentAccepted, PaymentRefunded
from ordering.models import ConferenceSales, DailySales, OrderSummary
from projections.errors import RowMissing
from projections.projection import ASYNC, Projection, on


def day_of(event: PaymentAccepted | PaymentRefunded, meta: Meta) -> tuple[str]:
    return (f"{meta.recorded_at.date()} {event.amount.currency}",)


class SalesByDay(Projection[DailySales], name="sales-by-day", version=2, mode=ASYNC):
    model = DailySales

    @on(PaymentAccepted, key=day_of)
    def accepted(self, row: DailySales, event: PaymentAccepted, meta: Meta) -> None:
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.payments += 1
        row.received += event.amount.amount

    @on(PaymentRefunded, key=day_of)
    def refunded(self, row: DailySales, event: PaymentRefunded, meta: Meta) -> None:
        row.day, row.currency = meta.recorded_at.date(), event.amount.currency
        row.refunds += 1
        row.refunded += event.amount.amount


class SalesByConference(
    Projection[ConferenceSales], name="sales-by-conference", version=2, mode=ASYNC, uses=["order-summaries"]
):
    model = ConferenceSales

    @on(PaymentAccepted, key="payment_id", look_up=(OrderSummary, "order_id"))
    def accepted(self, row: ConferenceSales, event: PaymentAccepted, meta: Meta, order: OrderSummary | None) -> None:
        if order is None:
            raise RowMissing
        row.order_id, row.conference_id = event.order_id, order.conference_id
        row.received, row.currency, row.received_at = event.amount.amount, event.amount.currency, meta.recorded_at

    @on(PaymentRefunded, key="payment_id")
    def refunded(self, row: ConferenceSales, event: PaymentRefunded, meta: Meta) -> None:
        row.refunded, row.refunded_at = event.amount.amount, meta.recorded_at
