"""What was received and given back, day by day."""

from django.contrib import admin

from eventstore.admin import KeysetAdmin
from ordering.admin.look import ReadTableAdmin
from ordering.admin.words import money
from ordering.models import SalesOfDay


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
