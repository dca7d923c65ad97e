"""Money that waits for a person: what nobody knows, what was paid above, and refunds that failed."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from eventstore.admin import KeysetAdmin
from ordering.admin.formatting import link, money
from ordering.models import Excess, FailedRefund, UnmatchedMoney


@admin.register(UnmatchedMoney)
class UnmatchedMoneyAdmin(KeysetAdmin):
    keyset = "received_at"
    when_empty = "No money has come in that nobody knows. Such money is listed here until it is assigned to an order."
    list_display = ["received_at", "provider", "reference", "shown_amount"]
    fields = [("provider", "reference"), ("shown_amount", "received_at"), "payment_id"]

    @admin.display(description="amount")
    def shown_amount(self, unmatched: UnmatchedMoney) -> str:
        return money(unmatched.amount, unmatched.currency)


@admin.register(Excess)
class ExcessAdmin(KeysetAdmin):
    """What is wholly on its way back waits for nobody, and is not listed."""

    keyset = "since"
    when_empty = "No order has more money than it costs. What is not sent back by itself is listed here."
    list_display = ["since", "order", "shown_amount"]
    fields = ["order", ("shown_amount", "since")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Excess]:
        return super().get_queryset(request).filter(amount__gt=0)

    @admin.display(description="order")
    def order(self, excess: Excess) -> SafeString:
        return link("ordersummary", excess.order_id, None)

    @admin.display(description="too much")
    def shown_amount(self, excess: Excess) -> str:
        return money(excess.amount, excess.currency)


@admin.register(FailedRefund)
class FailedRefundAdmin(KeysetAdmin):
    keyset = "failed_at"
    when_empty = (
        "No refund has failed. One that a provider refuses is listed here until it is tried again or made by hand."
    )
    list_display = ["failed_at", "order", "shown_amount", "provider", "reason"]
    fields = [
        "order",
        ("shown_amount", "failed_at"),
        "reason",
        ("provider", "reference", "payment_id"),
        ("refund_id", "account_id"),
    ]

    @admin.display(description="order")
    def order(self, refund: FailedRefund) -> SafeString | str:
        return link("ordersummary", refund.order_id, None) if refund.order_id else "none"

    @admin.display(description="amount")
    def shown_amount(self, refund: FailedRefund) -> str:
        return money(refund.amount, refund.currency)
