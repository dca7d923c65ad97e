"""Money that waits for a person: what nobody knows, what was paid above, and refunds that failed, each with what can be
done about it.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString

from eventstore import repository
from eventstore.admin import KeysetAdmin
from ordering.admin import order_search
from ordering.admin.acts import Act, ActsAdmin, as_id
from ordering.admin.formatting import link, money
from ordering.admin.order_acts import OF_FAILED, OF_UNMATCHED, Assign, SendBack
from ordering.admin.statement import StatementsAdmin
from ordering.domain.finance import Account, account_id_of
from ordering.domain.unmatched_payment import UnmatchedPayment
from ordering.models import CustomerProfile, Excess, FailedRefund, OrderSummary, UnmatchedMoney

FOUND = 10
"""Orders that are offered for money that nobody knows."""


class OfOrderAdmin(KeysetAdmin):
    """Rows that belong to an order, told by its number."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        number = OrderSummary.objects.filter(pk=OuterRef("order_id")).values("number")
        return super().get_queryset(request).annotate(number=Subquery(number))

    @admin.display(description="order")
    def order(self, row: Any) -> SafeString | str:
        return link("ordersummary", row.order_id, row.number) if row.order_id else "none"


@admin.register(UnmatchedMoney)
class UnmatchedMoneyAdmin(StatementsAdmin, KeysetAdmin):
    acts = OF_UNMATCHED
    keyset = "received_at"
    when_empty = "No money has come in that nobody knows. Such money is listed here until it is assigned to an order."
    list_display = ["received_at", "provider", "reference", "shown_amount"]
    change_form_template = "admin/ordering/unmatched.html"
    fields = [("provider", "reference"), ("shown_amount", "received_at"), "payment_id"]

    @admin.display(description="amount")
    def shown_amount(self, unmatched: UnmatchedMoney) -> str:
        return money(unmatched.amount, unmatched.currency)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offers the orders that a search finds; at first, for the reference of the money."""
        payment_id = as_id(object_id)
        payment = repository.load(UnmatchedPayment, payment_id)
        asked = request.GET.get("order", "").strip()
        context: dict[str, Any] = {"asked": asked}
        if self.may(request, SendBack):
            context["acts"] = self.offers(request, payment_id, repository.load(Account, account_id_of(payment_id)))
        if payment.exists and self.may(request, Assign):
            context["may_assign"] = True
            context["found"] = [
                (order, self.offers(request, payment_id, payment, str(order.pk)))
                for order in found(asked or payment.reference)
            ]
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def after(self, form: Act) -> HttpResponse:
        if isinstance(form, Assign):
            return redirect("admin:ordering_ordersummary_change", form.order.id)
        return redirect("admin:ordering_unmatchedmoney_changelist")


@admin.register(Excess)
class ExcessAdmin(OfOrderAdmin):
    """What is wholly on its way back waits for nobody, and is not listed. What can be done is on the order's page."""

    keyset = "since"
    when_empty = "No order has more money than it costs. What is not sent back by itself is listed here."
    list_display = ["since", "order", "shown_amount"]
    fields = ["order", ("shown_amount", "since")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Excess]:
        return super().get_queryset(request).filter(amount__gt=0)

    @admin.display(description="too much")
    def shown_amount(self, excess: Excess) -> str:
        return money(excess.amount, excess.currency)


@admin.register(FailedRefund)
class FailedRefundAdmin(ActsAdmin, OfOrderAdmin):
    acts = OF_FAILED
    keyset = "failed_at"
    when_empty = (
        "No refund has failed. One that a provider refuses, or that only staff can make, is listed here until it is "
        "tried again or made by hand."
    )
    list_display = ["failed_at", "order", "shown_amount", "provider", "reason"]
    change_form_template = "admin/ordering/acting.html"
    fields = [
        "order",
        ("shown_amount", "failed_at"),
        "reason",
        ("provider", "reference", "payment_id"),
        ("refund_id", "account_id"),
    ]

    @admin.display(description="amount")
    def shown_amount(self, refund: FailedRefund) -> str:
        return money(refund.amount, refund.currency)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        offers = (
            self.offers(request, row.pk, repository.load(Account, row.account_id), str(row.refund_id)) if row else []
        )
        return super().change_view(request, object_id, form_url, {"acts": offers, **(extra_context or {})})

    def after(self, form: Act) -> HttpResponse:
        order_id: UUID | None = form.row.order_id
        if order_id:
            return redirect("admin:ordering_ordersummary_change", order_id)
        return redirect("admin:ordering_failedrefund_changelist")


def found(text: str) -> QuerySet[Any]:
    """The orders that somebody may mean who writes this, each with its buyer."""
    buyer = CustomerProfile.objects.filter(pk=OuterRef("customer_id")).values("name")
    return OrderSummary.objects.filter(order_search.meant(text)).annotate(buyer=Subquery(buyer))[:FOUND]
