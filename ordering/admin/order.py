"""Orders: found, filtered, exported, read with their whole story, and what staff do about them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from eventstore.admin import tag
from eventstore.admin.row_actions import RowAction
from eventstore.aggregates import Aggregate
from eventstore.codec import Recorded
from ordering.admin import derived, order_search, order_story, timeline
from ordering.admin.acts import Act, ActsAdmin, Offer, as_id
from ordering.admin.business import BusinessAdmin, Told
from ordering.admin.csv_export import ExportedAdmin, moment
from ordering.admin.explain import ExplainedAdmin, in_money
from ordering.admin.formatting import link, money
from ordering.admin.order_acts import ACTS, AskProvider
from ordering.admin.order_story import Story
from ordering.admin.words import mail
from ordering.domain.values import in_decimals_of, payment_id_of
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary
from ordering.providers.paying import ProviderUnavailable
from sagas.admin.base import offered
from sagas.admin.deliveries import DeliveryAdmin
from sagas.admin.timers import TimerAdmin, said_of
from sagas.models import Delivery, Timer

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
        latest = ConferenceSummary.objects.order_by("-starts_at", "-conference_id")[:LISTED]
        return [(str(conference.pk), conference.name) for conference in latest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OrderSummary]) -> QuerySet[OrderSummary]:
        return queryset.filter(conference_id=as_id(self.value())) if self.value() else queryset


@admin.register(OrderSummary)
class OrderAdmin(BusinessAdmin, ExplainedAdmin, ActsAdmin, ExportedAdmin):
    noun, begun = "order", "placed"
    acts = ACTS
    keyset = "placed_at"
    when_empty = "Nobody has ordered anything yet."
    list_display = ["number", "shown_status", "shown_total", "conference", "customer", "placed_at"]
    list_filter = [StatusFilter, ConferenceFilter, ("placed_at", admin.DateFieldListFilter)]
    search_fields = ["number"]
    search_help_text = "a number, a name, an email address, the reference of a payment, or an id"
    change_form_template = "admin/ordering/order.html"
    fields = [
        ("number", "shown_status", "placed_at", "expires_at"),
        ("customer", "conference", "shown_lines"),
        "order_id",
    ]
    figures = {
        "costs": in_money("costs", "total"),
        "received": in_money("received", "received"),
        "returned": in_money("returned", "returned"),
        "due": in_money("still owes", "due"),
    }
    export_permission, file = "ordering.export_orders", "orders.csv"
    columns = {
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderSummary]:
        conference = ConferenceSummary.objects.filter(pk=OuterRef("conference_id")).values("name")
        customer = CustomerProfile.objects.filter(pk=OuterRef("customer_id")).values("name")
        return super().get_queryset(request).annotate(conference_name=Subquery(conference), buyer=Subquery(customer))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderSummary], search_term: str
    ) -> tuple[QuerySet[OrderSummary], bool]:
        """A number and a name may be written in several words, so the whole is looked for."""
        return queryset.filter(order_search.meant(search_term)) if search_term.strip() else queryset, False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With its story, if this program can read all of it."""
        order_id = as_id(object_id)
        story = timeline.readable(request, order_story.read, order_id)
        context = self._told(request, order_id, story) if story and story.order.exists else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def events_of(self, row: OrderSummary) -> Iterable[Recorded]:
        return order_story.read(row.pk).events

    def tell(self, object_id: UUID) -> Told | None:
        story = order_story.read(object_id)
        return told_by(story) if story.order.exists else None

    def _told(self, request: HttpRequest, order_id: UUID, story: Story) -> dict[str, Any]:
        """The story as the page shows it, with a button for all that this user may do."""

        def offers(about: Aggregate, key: str = "") -> list[Offer]:
            return self.offers(request, order_id, about, key)

        told, payment = told_by(story), story.payments.get(payment_id_of(order_id))
        found = derived.all_rows(story.events)
        row = derived.among(found, OrderSummary, order_id)
        return {
            "story": story,
            "title": f"Order {story.order.number}",
            "subtitle": None,
            "standing": self.compared(request, row, told),
            "derived": derived.by_read_model(request, found, request.get_full_path()),
            "sums": order_story.sums(story),
            "acts": [*(offers(payment) if payment else ()), *offers(story.order)],
            "receipts": [(each, offers(story.account, each["key"])) for each in order_story.receipts(story)],
            "refunds": [(each, offers(story.account, each["key"])) for each in order_story.refunds(story)],
            "mails": [(each, mail(each.effect), delivery_offers(request, each)) for each in story.mails],
            "timers": [(each, timer_offers(request, each)) for each in story.timers],
            "timeline": told.entries,
            "left_out": max(0, len(story.events) - timeline.SHOWN),
        }

    def acted(self, request: HttpRequest, form: Act) -> bool:
        return self._asked(request, form) if isinstance(form, AskProvider) else super().acted(request, form)

    def _asked(self, request: HttpRequest, form: AskProvider) -> bool:
        try:
            recorded = form.ask()
        except ProviderUnavailable as error:
            form.add_error(None, f"{error} ({error.code})")
            return False
        self.log_change(request, form.row, "Asked the payment provider.")
        if recorded:
            messages.success(request, form.done)
        else:
            messages.info(request, "The provider knows nothing new.")
        return True

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


def told_by(story: Story) -> Told:
    order = story.order
    return Told(order.number, order_story.entries(story), story.events, order.status.replace("_", " "))


def delivery_offers(request: HttpRequest, row: Delivery) -> list[RowAction]:
    """What this user may do about a mail: have it tried again, or sent once more."""
    return offered(request, DeliveryAdmin.labels, row.effect, row.status, lambda _: {"delivery": row.pk})


def timer_offers(request: HttpRequest, row: Timer) -> list[RowAction]:
    return offered(request, TimerAdmin.labels, row.saga, row.status, lambda kind: said_of(kind, row.pk, row.due_at))
