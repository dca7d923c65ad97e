"""Orders as a CSV file for spreadsheets."""

from collections.abc import AsyncIterator, Iterator

from django.db.models import QuerySet

from ordering.admin import csv_export
from ordering.admin.csv_export import Columns, moment
from ordering.domain.values import in_decimals_of
from ordering.models import OrderSummary

PAGE = csv_export.PAGE

COLUMNS: Columns = {
    "Number": lambda order: order.number,
    "Placed (UTC)": lambda order: moment(order.placed_at),
    "Status": lambda order: order.get_status_display().lower(),
    "Customer": lambda order: order.buyer,
    "Conference": lambda order: order.conference_name,
    "Seats": lambda order: ", ".join(f"{line['quantity']} x {line['seat_type']}" for line in order.lines),
    "Total": lambda order: in_decimals_of(order.currency, order.total),
    "Currency": lambda order: order.currency,
    "Payment": lambda order: order.payment_status,
    "Pay until (UTC)": lambda order: moment(order.expires_at),
    "Order id": lambda order: order.pk,
}


def pages(orders: QuerySet[OrderSummary]) -> Iterator[str]:
    """The lines of the file, those of a page together, the newest order first.

    The orders have the names of their customer and conference, as the list of the admin has them.
    """
    return csv_export.pages(COLUMNS, orders, keyset="placed_at", size=PAGE)


def pages_async(orders: QuerySet[OrderSummary]) -> AsyncIterator[str]:
    """The same for ASGI."""
    return csv_export.pages_async(pages(orders))
