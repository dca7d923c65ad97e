"""Customers, each with the orders that they placed last, and what they wait for."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from eventstore.admin import KeysetAdmin
from ordering.admin import customer_story, order_search, timeline, waitlist
from ordering.admin.acts import as_id
from ordering.admin.business import BusinessAdmin, Told, of_stream
from ordering.domain.customer import CustomerRegistered, CustomerRenamed
from ordering.models import CustomerProfile, OrderSummary

SHOWN = 25


@admin.register(CustomerProfile)
class CustomerAdmin(BusinessAdmin, KeysetAdmin):
    noun, begun = "customer", "registered"
    keyset = "registered_at"
    when_empty = "Nobody has registered yet."
    list_display = ["name", "email", "email_confirmed", "registered_at"]
    search_fields = ["email"]
    search_help_text = "an email address or an id"
    change_form_template = "admin/ordering/customer.html"
    fields = [("name", "email", "birth_date"), ("shown_address", "email_confirmed", "registered_at"), "customer_id"]

    def tell(self, object_id: UUID) -> Told | None:
        return of_stream(object_id, customer_story.read(object_id), (CustomerRegistered, CustomerRenamed))

    def matching(self, term: str) -> Q:
        return order_search.mailbox(term) if "@" in term else Q(pk=as_id(term))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        customer_id = as_id(object_id)
        orders = OrderSummary.objects.filter(customer_id=customer_id)[:SHOWN]
        context: dict[str, Any] = {
            "title": "Customer",
            "orders": orders,
            "orders_of": f"customer_id={customer_id}",
            "entries": waitlist.entries().filter(customer_id=customer_id)[:SHOWN],
        }
        if (told := timeline.readable(request, self.tell, customer_id)) is not None:
            context |= {**timeline.shown(told.entries), "standing": self.standing(request, customer_id, told)}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="address")
    def shown_address(self, customer: CustomerProfile) -> str:
        address = customer.address
        if not address:
            return "none"
        return f"{address['street']}, {address['postal_code']} {address['city']}, {address['country']}"
