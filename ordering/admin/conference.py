"""Conferences: how many seats are left, and the two things that staff do about them, which are commands.

Both are views of their own, for Django's change form is atomic and a command needs a transaction of its own.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.paginator import InfinitePaginator

from eventstore.admin import ReadOnlyAdmin
from eventstore.commands import dispatch
from eventstore.context import acting, new_id
from eventstore.errors import ConcurrencyConflict, DomainError, StreamExists
from eventstore.monitoring.status import stream_history
from ordering.admin.formatting import money, seats
from ordering.admin.order import as_id
from ordering.admin.schedule import ConferenceForm, SeatTypeForm, SeatTypes
from ordering.domain.conference import AddSeats, ScheduleConference
from ordering.models import ConferenceSales, ConferenceSummary, OrderSummary

SHOWN = 10
READABLE_WITHIN = 2.0


@admin.register(ConferenceSummary)
class ConferenceAdmin(ReadOnlyAdmin):
    """Who may add a conference may schedule one; who may change one may add seats to it."""

    paginator = InfinitePaginator
    when_empty = "No conference is scheduled yet."
    list_display = ["name", "starts_at", "opens_at", "closes_at", "left"]
    search_fields = ["conference_id"]
    search_help_text = "the id of a conference"
    change_form_outer_before_template = "admin/ordering/conference_acts.html"
    change_form_outer_after_template = "admin/ordering/conference.html"
    fields = [("name", "starts_at", "opens_at", "closes_at"), "seat_bars", "sales", "conference_id"]

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
                for each in ConferenceSales.objects.sums(conference.pk)
            ],
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ordering.add_conferencesummary")

    def may_add_seats(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ordering.change_conferencesummary")

    def matching(self, term: str) -> Any:
        return super().matching(str(as_id(term)))

    def get_urls(self) -> list[URLPattern]:
        seats_url = path(
            "<uuid:conference_id>/seats/", self.admin_site.admin_view(self.seats_view), name="ordering_add_seats"
        )
        return [seats_url, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A form that schedules a conference. Not Django's: that one would save a row."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ConferenceForm(request.POST or None, initial={"conference_id": new_id(), "currency": "EUR"})
        seat_types = SeatTypes(request.POST or None, prefix="seats")
        if request.method == "POST" and all([form.is_valid(), seat_types.is_valid()]):
            command = form.command(seat_types.cleaned_data)
            if self._carried_out(request, command, form, f"{command.name} is scheduled."):
                return self._shown(request, command.conference_id)
        context = {"title": "Schedule a conference", "form": form, "seat_types": seat_types}
        return self._page(request, "admin/ordering/schedule.html", context)

    def seats_view(self, request: HttpRequest, conference_id: UUID) -> HttpResponse:
        if not self.may_add_seats(request):
            raise PermissionDenied
        conference = ConferenceSummary.objects.filter(pk=conference_id).first()
        if conference is None:
            raise Http404("This conference is not readable.")
        form = SeatTypeForm(request.POST or None, prefix="seats")
        if request.method == "POST" and form.is_valid():
            currency = next(iter(conference.seat_types.values()))["price"]["currency"]
            command = AddSeats(conference_id=conference_id, seat_type=form.seat_type(currency))
            if self._carried_out(request, command, form, f"{form.cleaned_data['capacity']} seats were added."):
                return self._shown(request, conference_id)
        context = {"title": f"Add seats to {conference.name}", "form": form, "conference": conference}
        return self._page(request, "admin/ordering/add_seats.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        conference_id = as_id(object_id)
        context = {
            "orders": OrderSummary.objects.filter(conference_id=conference_id)[:SHOWN],
            "orders_of": f"conference_id={conference_id}",
            "history": stream_history(conference_id, SHOWN),
            "may_add_seats": self.may_add_seats(request),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="seats left")
    def left(self, conference: ConferenceSummary) -> SafeString:
        types = conference.seat_types.values()
        return seats({key: sum(each[key] for each in types) for key in ("capacity", "available")})

    @admin.display(description="seats")
    def seat_bars(self, conference: ConferenceSummary) -> SafeString:
        rows = (
            (each["name"], code, money(each["price"]["amount"], each["price"]["currency"]), seats(each))
            for code, each in sorted(conference.seat_types.items())
        )
        return format_html_join("", '<div class="seat-type"><b>{}</b> <code>{}</code> {}{}</div>', rows)

    def _carried_out(self, request: HttpRequest, command: Any, form: Any, done: str) -> bool:
        """Send the command. What refuses it is said at the form."""
        try:
            with acting(actor=f"staff:{request.user.pk}"):
                dispatch(command)
        except StreamExists:
            messages.info(request, "This conference was scheduled already.")
        except (DomainError, ConcurrencyConflict) as refusal:
            form.add_error(form.about(refusal.code), f"{refusal} ({refusal.code})")
            return False
        else:
            row = ConferenceSummary(conference_id=command.conference_id, name=getattr(command, "name", ""))
            record: Callable[..., Any] = (
                self.log_addition if isinstance(command, ScheduleConference) else self.log_change
            )
            record(request, row, f"Sent {command.stored}.")
            messages.success(request, done)
        return True

    def _shown(self, request: HttpRequest, conference_id: UUID) -> HttpResponse:
        """The conference, as soon as it can be read."""
        until = time.monotonic() + READABLE_WITHIN
        while not ConferenceSummary.objects.filter(pk=conference_id).exists():
            if time.monotonic() > until:
                messages.warning(request, "It is on its way and will be listed here in a moment.")
                return redirect("admin:ordering_conferencesummary_changelist")
            time.sleep(0.05)
        return redirect("admin:ordering_conferencesummary_change", conference_id)

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        site = self.admin_site.each_context(request)
        return TemplateResponse(request, template, {**site, **context})
