"""Orders: found, filtered, exported, read with their whole story, and what staff do about them."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from eventstore.admin import KeysetAdmin, tag
from eventstore.admin.row_actions import RowAction
from eventstore.aggregates import Aggregate
from eventstore.errors import UnknownHere
from ordering.admin import order_export, order_search, order_story
from ordering.admin.acts import ActsAdmin, Offer, as_id
from ordering.admin.formatting import link, money
from ordering.admin.order_acts import ACTS
from ordering.admin.order_story import Story
from ordering.admin.words import mail
from ordering.domain.values import payment_id_of
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary
from sagas.admin.base import offered
from sagas.admin.deliveries import DeliveryAdmin
from sagas.admin.timers import TimerAdmin, said_of
from sagas.models import Delivery, Timer

LISTED = 50
EXPORT_ORDERS = "ordering.export_orders"


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
        latest = ConferenceSummary.objects.order_by("-starts_at", "-conference_id")[:LISTED]
        return [(str(conference.pk), conference.name) for conference in latest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OrderSummary]) -> QuerySet[OrderSummary]:
        return queryset.filter(conference_id=as_id(self.value())) if self.value() else queryset


@admin.register(OrderSummary)
class OrderAdmin(ActsAdmin, KeysetAdmin):
    acts = ACTS
    keyset = "placed_at"
    when_empty = "Nobody has ordered anything yet."
    list_display = ["number", "shown_status", "shown_total", "conference", "customer", "placed_at"]
    list_filter = [StatusFilter, ConferenceFilter, ("placed_at", admin.DateFieldListFilter)]
    search_fields = ["number"]
    search_help_text = "a number, a name, an email address, the reference of a payment, or an id"
    change_list_template = "admin/ordering/order_list.html"
    change_form_template = "admin/ordering/order.html"
    fields = [
        ("number", "shown_status", "placed_at", "expires_at"),
        ("customer", "conference", "shown_lines"),
        "order_id",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderSummary]:
        conference = ConferenceSummary.objects.filter(pk=OuterRef("conference_id")).values("name")
        customer = CustomerProfile.objects.filter(pk=OuterRef("customer_id")).values("name")
        return super().get_queryset(request).annotate(conference_name=Subquery(conference), buyer=Subquery(customer))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderSummary], search_term: str
    ) -> tuple[QuerySet[OrderSummary], bool]:
        """A number and a name may be written in several words, so the whole is looked for."""
        return queryset.filter(order_search.meant(search_term)) if search_term.strip() else queryset, False

    def get_urls(self) -> list[URLPattern]:
        export_url = path("export/", self.admin_site.admin_view(self.export_view), name="ordering_export_orders")
        return [export_url, *super().get_urls()]

    def may_export(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(EXPORT_ORDERS)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The export is of all that the list's filters and search select, whichever page of it is shown."""
        context = {}
        if self.may_export(request):
            asked = request.GET.copy()
            asked.pop(f"{self.keyset}__lt", None)
            context["export_url"] = f"{reverse('admin:ordering_export_orders')}?{asked.urlencode()}"
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.may_export(request):
            raise PermissionDenied
        try:
            orders = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"{reverse('admin:ordering_ordersummary_changelist')}?{ERROR_FLAG}=1")
        self.log_change(request, OrderSummary(number="orders"), "Exported as CSV.")
        return StreamingHttpResponse(
            order_export.pages_async(orders) if isinstance(request, ASGIRequest) else order_export.pages(orders),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="orders.csv"'},
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With its story, unless a newer version of this program has told some of it."""
        order_id, context = as_id(object_id), {}
        try:
            story = order_story.read(order_id)
        except UnknownHere:
            messages.warning(request, "A newer version of this program has recorded what this one can't read.")
        else:
            context = self._told(request, order_id, story) if story.order.exists else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def _told(self, request: HttpRequest, order_id: UUID, story: Story) -> dict[str, Any]:
        """The story as the page shows it, with a button for all that this user may do."""

        def offers(about: Aggregate, key: str = "") -> list[Offer]:
            return self.offers(request, order_id, about, key)

        payment = story.payments.get(payment_id_of(order_id))
        return {
            "story": story,
            "sums": order_story.sums(story),
            "acts": [*(offers(payment) if payment else ()), *offers(story.order)],
            "receipts": [(each, offers(story.account, each["key"])) for each in order_story.receipts(story)],
            "refunds": [(each, offers(story.account, each["key"])) for each in order_story.refunds(story)],
            "mails": [(each, mail(each.effect), delivery_offers(request, each)) for each in story.mails],
            "timers": [(each, timer_offers(request, each)) for each in story.timers],
            "timeline": order_story.timeline(story),
            "left_out": max(0, len(story.events) - order_story.SHOWN),
        }

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
        return link("conferencesummary", order.conference_id, order.conference_name)

    @admin.display(description="customer")
    def customer(self, order: Any) -> SafeString:
        return link("customerprofile", order.customer_id, order.buyer)


def delivery_offers(request: HttpRequest, row: Delivery) -> list[RowAction]:
    """What this user may do about a mail: have it tried again, or sent once more."""
    return offered(request, DeliveryAdmin.labels, row.effect, row.status, lambda _: {"delivery": row.pk})


def timer_offers(request: HttpRequest, row: Timer) -> list[RowAction]:
    return offered(request, TimerAdmin.labels, row.saga, row.status, lambda kind: said_of(kind, row.pk, row.due_at))
