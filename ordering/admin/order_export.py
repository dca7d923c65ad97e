"""Orders as a CSV file for spreadsheets, page by page: however many there are, one page at a time is in memory."""

import csv
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet

from ordering.domain.values import in_decimals_of
from ordering.models import OrderSummary

PAGE = 1000

COLUMNS: Mapping[str, Callable[[Any], object]] = {
    "Number": lambda order: order.number,
    "Placed (UTC)": lambda order: _moment(order.placed_at),
    "Status": lambda order: order.get_status_display().lower(),
    "Customer": lambda order: order.buyer,
    "Conference": lambda order: order.conference_name,
    "Seats": lambda order: ", ".join(f"{line['quantity']} x {line['seat_type']}" for line in order.lines),
    "Total": lambda order: in_decimals_of(order.currency, order.total),
    "Currency": lambda order: order.currency,
    "Payment": lambda order: order.payment_status,
    "Pay until (UTC)": lambda order: _moment(order.expires_at),
    "Order id": lambda order: order.pk,
}


class _Echo:
    """What a CSV writer writes to; it answers the line instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def pages(orders: QuerySet[OrderSummary]) -> Iterator[str]:
    """The lines of the file, those of a page together, the newest order first.

    The orders have the names of their customer and conference, as the list of the admin has them.
    """
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    rest = orders = orders.order_by("-placed_at", "-order_id")
    while page := list(rest[:PAGE]):
        yield "".join(writer.writerow([harmless(column(order)) for column in COLUMNS.values()]) for order in page)
        last = page[-1]
        # The redundant condition is the one that an index can begin with.
        rest = orders.filter(Q(placed_at__lte=last.placed_at)).filter(
            Q(placed_at__lt=last.placed_at) | Q(order_id__lt=last.pk)
        )


async def pages_async(orders: QuerySet[OrderSummary]) -> AsyncIterator[str]:
    """The same for ASGI, which would gather all that a plain iterator yields before it sends anything."""
    remaining = pages(orders)
    while (page := await sync_to_async(lambda: next(remaining, None))()) is not None:
        yield page


def harmless(value: object) -> str:
    """A cell that a spreadsheet shows and never runs: before what it would take for a formula comes an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
