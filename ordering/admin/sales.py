"""What was received and given back, day by day and for each conference."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin
from eventstore.codec import Recorded
from ordering.admin.csv_export import ExportedAdmin, moment
from ordering.admin.explain import ExplainedAdmin, in_money, of_day, of_streams
from ordering.admin.formatting import link, money
from ordering.admin.order import ConferenceFilter
from ordering.domain.finance import account_id_of
from ordering.domain.values import in_decimals_of
from ordering.models import ConferenceSales, ConferenceSummary, DailySales, OrderSummary


@admin.register(DailySales)
class DailySalesAdmin(ExplainedAdmin, KeysetAdmin):
    keyset = "key"  # the day comes first in it
    when_empty = "No payment has come in yet."
    list_display = ["day", "currency", "payments", "shown_received", "refunds", "shown_refunded"]
    list_filter = ["currency"]
    fields = [("day", "currency"), ("payments", "why_received"), ("refunds", "why_refunded")]
    figures = {"received": in_money("received", "received"), "refunded": in_money("refunded", "refunded")}

    def events_of(self, row: DailySales) -> Iterable[Recorded]:
        return of_day(row)

    @admin.display(description="received")
    def why_received(self, sales: DailySales) -> SafeString:
        return self.explained(sales, "received", self.shown_received(sales))

    @admin.display(description="refunded")
    def why_refunded(self, sales: DailySales) -> SafeString:
        return self.explained(sales, "refunded", self.shown_refunded(sales))

    @admin.display(description="received")
    def shown_received(self, sales: DailySales) -> str:
        return money(sales.received, sales.currency)

    @admin.display(description="refunded")
    def shown_refunded(self, sales: DailySales) -> str:
        return money(sales.refunded, sales.currency)


@admin.register(ConferenceSales)
class ConferenceSalesAdmin(ExplainedAdmin, ExportedAdmin):
    keyset = "received_at"
    when_empty = "No payment has come in yet."
    list_display = ["order", "conference", "shown_received", "shown_refunded", "received_at"]
    list_filter = [ConferenceFilter]
    list_display_links = ["shown_received"]
    fields = ["conference", "order", ("why_received", "received_at"), ("why_refunded", "refunded_at")]
    figures = {"received": in_money("received", "received"), "refunded": in_money("refunded", "refunded")}
    export_permission, file = "ordering.export_payments", "payments.csv"
    columns = {
        "Received (UTC)": lambda sale: moment(sale.received_at),
        "Conference id": lambda sale: sale.conference_id,
        "Order id": lambda sale: sale.order_id,
        "Payment id": lambda sale: sale.payment_id,
        "Received": lambda sale: in_decimals_of(sale.currency, sale.received),
        "Refunded": lambda sale: in_decimals_of(sale.currency, sale.refunded),
        "Currency": lambda sale: sale.currency,
        "Refunded (UTC)": lambda sale: moment(sale.refunded_at),
        "Provider": lambda sale: _all(provider for provider, _ in sale.receipts),
        "Reference": lambda sale: _all(reference for _, reference in sale.receipts),
    }

    def events_of(self, row: ConferenceSales) -> Iterable[Recorded]:
        return of_streams(row, row.payment_id, account_id_of(row.order_id))

    @admin.display(description="received")
    def why_received(self, sale: ConferenceSales) -> SafeString:
        return self.explained(sale, "received", self.shown_received(sale))

    @admin.display(description="refunded")
    def why_refunded(self, sale: ConferenceSales) -> SafeString:
        return self.explained(sale, "refunded", self.shown_refunded(sale))

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConferenceSales]:
        conference = ConferenceSummary.objects.filter(pk=OuterRef("conference_id")).values("name")
        order = OrderSummary.objects.filter(pk=OuterRef("order_id")).values("number")
        return super().get_queryset(request).annotate(conference_name=Subquery(conference), number=Subquery(order))

    @admin.display(description="conference")
    def conference(self, sale: Any) -> SafeString:
        return link("conferencesummary", sale.conference_id, sale.conference_name)

    @admin.display(description="order")
    def order(self, sale: Any) -> SafeString:
        return link("ordersummary", sale.order_id, sale.number)

    @admin.display(description="received")
    def shown_received(self, sale: ConferenceSales) -> str:
        return money(sale.received, sale.currency)

    @admin.display(description="refunded")
    def shown_refunded(self, sale: ConferenceSales) -> str:
        return money(sale.refunded, sale.currency)


def _all(names: Iterable[str]) -> str:
    """Several, where a payment was paid twice."""
    return ", ".join(dict.fromkeys(filter(None, names)))
