"""Orders: found, filtered, and read with their history."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from eventstore.admin import KeysetAdmin
from eventstore.panels import history
from ordering.admin.look import ReadTableAdmin
from ordering.admin.words import link, money, tag
from ordering.models import ConferenceOnSale, CustomerProfile, OrderSummary

LISTED = 50


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value.replace("_", " ")) for value in OrderSummary.Status.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OrderSummary]) -> QuerySet[OrderSummary]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class ConferenceFilter(admin.SimpleListFilter):
    """The conferences that start last are offered; any other is reached from its own page."""

    title = "conference"
    parameter_name = "conference_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        latest = ConferenceOnSale.objects.order_by("-starts_at", "-conference_id")[:LISTED]
        return [(str(conference.pk), conference.name) for conference in latest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OrderSummary]) -> QuerySet[OrderSummary]:
        return queryset.filter(conference_id=as_id(self.value())) if self.value() else queryset


@admin.register(OrderSummary)
class OrderAdmin(KeysetAdmin, ReadTableAdmin):
    keyset = "placed_at"
    when_empty = "Nobody has ordered anything yet."
    list_display = ["number", "shown_status", "shown_total", "conference", "customer", "placed_at"]
    list_filter = [StatusFilter, ConferenceFilter, ("placed_at", admin.DateFieldListFilter)]
    search_fields = ["number"]
    search_help_text = "a number, an email address or an id"
    change_form_outer_after_template = "admin/ordering/history.html"
    fields = [
        ("number", "shown_status", "placed_at", "expires_at"),
        ("customer", "conference"),
        ("shown_lines", "shown_total", "payment"),
        "order_id",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderSummary]:
        conference = ConferenceOnSale.objects.filter(pk=OuterRef("conference_id")).values("name")
        customer = CustomerProfile.objects.filter(pk=OuterRef("customer_id")).values("name")
        return super().get_queryset(request).annotate(conference_name=Subquery(conference), buyer=Subquery(customer))

    def matching(self, term: str) -> Q:
        if "@" in term:
            customers = CustomerProfile.objects.filter(email=term).values_list("pk", flat=True)
            return Q(customer_id__in=list(customers[:LISTED]))
        id_ = as_id(term)
        return Q(number=term.upper()) | Q(pk=id_) | Q(customer_id=id_) | Q(conference_id=id_)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"history": history(as_id(object_id)), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="status")
    def shown_status(self, order: OrderSummary) -> SafeString:
        return tag(order.status)

    @admin.display(description="total")
    def shown_total(self, order: OrderSummary) -> str:
        return money(order.total, order.currency)

    @admin.display(description="seats")
    def shown_lines(self, order: OrderSummary) -> SafeString:
        lines = (
            (line["quantity"], line["seat_type"], money(line["unit_price"]["amount"], line["unit_price"]["currency"]))
            for line in order.lines
        )
        return format_html_join(mark_safe("<br>"), "{} × {} at {}", lines)

    @admin.display(description="conference")
    def conference(self, order: Any) -> SafeString:
        return link("conferenceonsale", order.conference_id, order.conference_name)

    @admin.display(description="customer")
    def customer(self, order: Any) -> SafeString:
        return link("customerprofile", order.customer_id, order.buyer)

    @admin.display(description="payment")
    def payment(self, order: OrderSummary) -> SafeString | str:
        if not order.payment_id:
            return "none yet"
        amount = money(order.payment_amount, order.currency)
        return format_html("{} {} <span class='quiet'>{}</span>", tag(order.payment_status), amount, order.payment_id)


def as_id(text: str | None) -> UUID:
    """What is no id at all is the id of nothing."""
    try:
        return UUID(text or "")
    except ValueError:
        return UUID(int=0)
