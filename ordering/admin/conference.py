"""Conferences: how many seats are left, and what staff do about them, each a form that becomes a command."""

import time
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import tag
from eventstore.codec import Recorded
from eventstore.context import new_id
from eventstore.errors import StreamExists
from ordering.admin import conference_story, timeline
from ordering.admin.acts import ActsAdmin, as_id
from ordering.admin.business import BusinessAdmin, Told, of_stream
from ordering.admin.conference_acts import ACTS, CANCEL_CONFERENCE, ConferenceAct
from ordering.admin.explain import ExplainedAdmin, Figure, of_streams
from ordering.admin.formatting import cancellation_rule, in_zone, money, payment_terms, seats
from ordering.admin.schedule import ConferenceForm, SeatTypes
from ordering.admin.seating import Seating, waited_for
from ordering.admin.words import via
from ordering.domain.conference_changes import ConferenceRenamed, time_zones
from ordering.domain.scheduling import ConferenceScheduled
from ordering.models import ConferenceSummary, FailedRefund, OrderSummary
from ordering.models.conference import counted

SHOWN = 10
READABLE_WITHIN = 2.0
SEATS = {"capacity": "all seats", "taken": "sold and reserved", "held": "held", "available": "free"}
"""The figures of a seat type that are explained, by their names in its row."""

CANCELLED = ConferenceSummary.Status.CANCELLED
PROPOSED = {"currency": "EUR", "time_zone": "UTC"}


@admin.register(ConferenceSummary)
class ConferenceAdmin(BusinessAdmin, ExplainedAdmin, ActsAdmin):
    """Who may add a conference may schedule one; who may change one may do all else about it.

    Cancelling one, with all its orders, has a permission of its own.
    """

    noun, begun = "conference", "scheduled"
    acts = ACTS
    when_empty = "No conference is scheduled yet."
    list_display = ["name", "shown_status", "starts", "place", "sales_open", "sales_close", "left"]
    search_fields = ["conference_id"]
    search_help_text = "the id of a conference"
    change_form_template = "admin/ordering/conference.html"
    fields = [
        ("name", "shown_status"),
        ("starts", "place"),
        ("sales_open", "sales_close"),
        ("to_be_paid", "paid_by"),
        ("cancellable", "customer_limit"),
        "sales",
        "conference_id",
    ]

    @admin.display(description="status")
    def shown_status(self, conference: ConferenceSummary) -> SafeString:
        return tag(conference.status)

    @admin.display(description="starts")
    def starts(self, conference: ConferenceSummary) -> str:
        return in_zone(conference.starts_at, conference.time_zone)

    @admin.display(description="sales open")
    def sales_open(self, conference: ConferenceSummary) -> str:
        return in_zone(conference.opens_at, conference.time_zone)

    @admin.display(description="sales close")
    def sales_close(self, conference: ConferenceSummary) -> str:
        return in_zone(conference.closes_at, conference.time_zone)

    @admin.display(description="orders are to be paid")
    def to_be_paid(self, conference: ConferenceSummary) -> str:
        return payment_terms(conference.terms_of_payment)

    @admin.display(description="orders are paid by")
    def paid_by(self, conference: ConferenceSummary) -> str:
        return ", ".join(map(via, conference.providers or [settings.PAYMENT_PROVIDER]))

    @admin.display(description="customers may cancel")
    def cancellable(self, conference: ConferenceSummary) -> str:
        return cancellation_rule(conference.cancellation_rule, conference.time_zone)

    @admin.display(description="one customer may have")
    def customer_limit(self, conference: ConferenceSummary) -> str:
        most = conference.max_per_customer
        return "any number of seats" if most is None else f"at most {most:,} seats"

    @admin.display(description="sales")
    def sales(self, conference: ConferenceSummary) -> SafeString:
        return format_html_join(
            "; ",
            "{} received in {} payments, {} refunded in {}",
            [
                (
                    *(money(each["total_received"], each["currency"]), each["payments"]),
                    *(money(each["total_refunded"], each["currency"]), each["refunds"]),
                )
                for each in conference.sums
            ],
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ordering.add_conferencesummary")

    def may_act(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ConferenceAct.permission)

    def figure(self, name: str, part: str) -> Figure | None:
        """Seats of the type that is the part."""
        if name not in SEATS or not part:
            return None
        return Figure(f"{part}, {SEATS[name]}", partial(seats_of, part, name), lambda _, of: f"{of:,} seats")

    def events_of(self, row: ConferenceSummary) -> Iterable[Recorded]:
        return of_streams(row, row.pk)

    def tell(self, object_id: UUID) -> Told | None:
        return of_stream(object_id, conference_story.read(object_id), (ConferenceScheduled, ConferenceRenamed))

    def matching(self, term: str) -> Any:
        return super().matching(str(as_id(term)))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A form that schedules a conference. Not Django's: that one would save a row."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ConferenceForm(request.POST or None, initial=PROPOSED | {"conference_id": new_id()})
        seat_types = SeatTypes(request.POST or None, prefix="seats")
        if request.method == "POST" and all([form.is_valid(), seat_types.is_valid()]):
            command = form.command(seat_types.cleaned_data)
            row = ConferenceSummary(conference_id=command.conference_id, name=command.name)
            done = f"{command.name} is scheduled."
            if self.carry_out(request, form, lambda: command, about=row, done=done, record=self.log_addition):
                return self._shown(request, command.conference_id)
            if form.has_error(NON_FIELD_ERRORS, StreamExists.code):
                messages.info(request, "This conference was scheduled already.")
                return self._shown(request, command.conference_id)
        context = {
            "title": "Schedule a conference",
            "form": form,
            "seat_types": seat_types,
            "time_zones": sorted(time_zones()),
        }
        return self.page(request, "admin/ordering/schedule.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        conference_id = as_id(object_id)
        conference = ConferenceSummary.objects.filter(pk=conference_id).first()
        context = {
            "title": "Conference",
            "orders": OrderSummary.objects.filter(conference_id=conference_id)[:SHOWN],
            "orders_of": f"conference_id={conference_id}",
            "may_act": self.may_act(request) and conference and conference.status != CANCELLED,
            "may_cancel": request.user.has_perm(CANCEL_CONFERENCE) and conference and conference.status != CANCELLED,
            "waitlist": waited_for(conference) if conference else [],
            **(Seating(conference).shown() if conference else {}),
        }
        if (told := timeline.readable(request, self.tell, conference_id)) is not None:
            context |= {**timeline.shown(told.entries), "standing": self.standing(request, conference_id, told)}
        if conference and conference.status == CANCELLED:
            context["cancellation"] = cancellation(conference)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="seats left")
    def left(self, conference: ConferenceSummary) -> SafeString:
        types = conference.seat_types.values()
        return seats({key: sum(each[key] for each in types) for key in ("capacity", "available")})

    def _shown(self, request: HttpRequest, conference_id: UUID) -> HttpResponse:
        """The conference, as soon as it can be read."""
        until = time.monotonic() + READABLE_WITHIN
        while not ConferenceSummary.objects.filter(pk=conference_id).exists():
            if time.monotonic() > until:
                messages.warning(request, "It is on its way and will be listed here in a moment.")
                return redirect("admin:ordering_conferencesummary_changelist")
            time.sleep(0.05)
        return redirect("admin:ordering_conferencesummary_change", conference_id)


def seats_of(code: str, count: str, conference: ConferenceSummary) -> Decimal:
    """How many seats of a type are counted so; none before there is such a type."""
    return Decimal(counted(conference.seat_types[code])[count] if code in conference.seat_types else 0)


def cancellation(conference: ConferenceSummary) -> dict[str, Any]:
    """How far the orders of a cancelled conference are: how many still stand, and whose refunds have failed."""
    orders = OrderSummary.objects.filter(conference_id=conference.pk)
    return {
        "standing": OrderSummary.objects.standing(conference.pk)["orders"],
        "of": orders.count(),
        "failed": FailedRefund.objects.filter(order_id__in=orders.values("pk")).count(),
    }
