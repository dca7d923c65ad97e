"""What was received and given back, day by day and for each conference."""

from django.contrib import admin
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin
from ordering.admin.look import ReadTableAdmin
from ordering.admin.order import ConferenceFilter
from ordering.admin.words import link, money
from ordering.models import SaleOfConference, SalesOfDay


@admin.register(SalesOfDay)
class SalesAdmin(KeysetAdmin, ReadTableAdmin):
    keyset = "key"  # the day comes first in it
    when_empty = "No payment has come in yet."
    list_display = ["day", "currency", "payments", "shown_received", "refunds", "shown_refunded"]
    list_filter = ["currency"]
    fields = [("day", "currency"), ("payments", "shown_received"), ("refunds", "shown_refunded")]

    @admin.display(description="received")
    def shown_received(self, sales: SalesOfDay) -> str:
        return money(sales.received, sales.currency)

    @admin.display(description="refunded")
    def shown_refunded(self, sales: SalesOfDay) -> str:
        return money(sales.refunded, sales.currency)


@admin.register(SaleOfConference)
class SaleOfConferenceAdmin(KeysetAdmin, ReadTableAdmin):
    keyset = "received_at"
    when_empty = "No payment has come in yet."
    list_display = ["received_at", "conference", "shown_received", "shown_refunded"]
    list_filter = [ConferenceFilter]
    fields = ["conference", "order", ("shown_received", "received_at"), ("shown_refunded", "refunded_at")]

    @admin.display(description="conference")
    def conference(self, sale: SaleOfConference) -> SafeString:
        return link("conferenceonsale", sale.conference_id, None)

    @admin.display(description="order")
    def order(self, sale: SaleOfConference) -> SafeString:
        return link("ordersummary", sale.order_id, None)

    @admin.display(description="received")
    def shown_received(self, sale: SaleOfConference) -> str:
        return money(sale.received, sale.currency)

    @admin.display(description="refunded")
    def shown_refunded(self, sale: SaleOfConference) -> str:
        return money(sale.refunded, sale.currency)
