"""Orders: found, filtered, exported, read with their history, and the one thing that staff do about them, a command.

That is a view of its own, for Django's change form is atomic and a command needs a transaction of its own.
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from eventstore.admin import KeysetAdmin, tag
from eventstore.commands import dispatch
from eventstore.context import acting, new_id
from eventstore.errors import ConcurrencyConflict, DomainError
from eventstore.monitoring.status import stream_history
from ordering.admin import order_export
from ordering.admin.formatting import link, money
from ordering.domain.order import RequestStatusMail
from ordering.domain.values import order_numbers_meant
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary

LISTED = 50
REQUEST_STATUS_MAIL = "ordering.request_status_mail"
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


class OnceForm(forms.Form):
    """The id of a command, made before it is sent: a form that is sent twice is carried out once."""

    command_id = forms.UUIDField()


@admin.register(OrderSummary)
class OrderAdmin(KeysetAdmin):
    keyset = "placed_at"
    when_empty = "Nobody has ordered anything yet."
    list_display = ["number", "shown_status", "shown_total", "conference", "customer", "placed_at"]
    list_filter = [StatusFilter, ConferenceFilter, ("placed_at", admin.DateFieldListFilter)]
    search_fields = ["number"]
    search_help_text = "a number, an email address or an id"
    change_list_template = "admin/ordering/order_list.html"
    change_form_outer_before_template = "admin/ordering/order_acts.html"
    change_form_outer_after_template = "admin/ordering/history.html"
    fields = [
        ("number", "shown_status", "placed_at", "expires_at"),
        ("customer", "conference"),
        ("shown_lines", "shown_total", "payment"),
        "order_id",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderSummary]:
        conference = ConferenceSummary.objects.filter(pk=OuterRef("conference_id")).values("name")
        customer = CustomerProfile.objects.filter(pk=OuterRef("customer_id")).values("name")
        return super().get_queryset(request).annotate(conference_name=Subquery(conference), buyer=Subquery(customer))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderSummary], search_term: str
    ) -> tuple[QuerySet[OrderSummary], bool]:
        """A number may be written in several words, so the whole is tried first."""
        if numbers := order_numbers_meant(search_term):
            return queryset.filter(number__in=numbers), False
        return super().get_search_results(request, queryset, search_term)

    def matching(self, term: str) -> Q:
        if "@" in term:
            customers = CustomerProfile.objects.filter(email=term).values_list("pk", flat=True)
            return Q(customer_id__in=list(customers[:LISTED]))
        id_ = as_id(term)
        return Q(number__in=order_numbers_meant(term)) | Q(pk=id_) | Q(customer_id=id_) | Q(conference_id=id_)

    def get_urls(self) -> list[URLPattern]:
        mail_url = path(
            "<uuid:order_id>/status-mail/",
            self.admin_site.admin_view(self.status_mail_view),
            name="ordering_status_mail",
        )
        export_url = path("export/", self.admin_site.admin_view(self.export_view), name="ordering_export_orders")
        return [mail_url, export_url, *super().get_urls()]

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

    def status_mail_view(self, request: HttpRequest, order_id: UUID) -> HttpResponse:
        """Asks whether it is meant; the answer sends the command."""
        if not request.user.has_perm(REQUEST_STATUS_MAIL):
            raise PermissionDenied
        order = get_object_or_404(OrderSummary, pk=order_id)
        back = reverse("admin:ordering_ordersummary_change", args=[order_id])
        form = OnceForm(request.POST)
        if request.method == "POST" and form.is_valid():
            self._ask_for_mail(request, order, form.cleaned_data["command_id"])
            return redirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Send a status mail: {order.number}",
            "verb": "Send it",
            "previews": [
                "The customer gets a mail that says how this order stands. The order's history keeps who asked."
            ],
            "hidden": [("command_id", new_id())],
            "back": back,
        }
        return TemplateResponse(request, "eventstore/admin/confirm.html", context)

    def _ask_for_mail(self, request: HttpRequest, order: OrderSummary, command_id: UUID) -> None:
        command = RequestStatusMail(order_id=order.pk)
        try:
            with acting(actor=f"staff:{request.user.pk}"):
                receipt = dispatch(command, command_id=command_id)
        except (DomainError, ConcurrencyConflict) as refusal:
            messages.error(request, f"{refusal} ({refusal.code})")
            return
        if receipt.repeated:
            messages.info(request, "This mail was asked for already.")
            return
        self.log_change(request, order, f"Sent {command.stored}.")
        messages.success(request, f"A mail about {order.number} is on its way to the customer.")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "history": stream_history(as_id(object_id)),
            "may_request_mail": request.user.has_perm(REQUEST_STATUS_MAIL),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

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
