"""Conferences: how many seats are left, and what staff do about them, each a form that becomes a command.

The forms have views of their own, for Django's change form is atomic and a command needs a transaction of its own.
"""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from eventstore.admin import ReadOnlyAdmin, tag
from eventstore.commands import dispatch
from eventstore.context import acting, new_id
from eventstore.errors import ConcurrencyConflict, DomainError, StreamExists
from eventstore.monitoring.status import stream_history
from ordering.admin.conference_acts import ACTS, Act
from ordering.admin.formatting import cancellation_rule, in_zone, money, payment_terms, seats
from ordering.admin.order import as_id
from ordering.admin.schedule import ConferenceForm, RuleForm, SeatTypes
from ordering.admin.seating import Seating
from ordering.domain.conference import ScheduleConference
from ordering.domain.conference_changes import ConferenceChange, time_zones
from ordering.domain.errors import ConferenceChanged
from ordering.models import ConferenceSales, ConferenceSummary, OrderSummary

SHOWN = 10
READABLE_WITHIN = 2.0
CANCELLED = ConferenceSummary.Status.CANCELLED
PROPOSED = {"currency": "EUR", "time_zone": "UTC"}


@admin.register(ConferenceSummary)
class ConferenceAdmin(ReadOnlyAdmin):
    """Who may add a conference may schedule one; who may change one may do all else about it.

    Cancelling one is not offered: it would leave its orders standing.
    """

    when_empty = "No conference is scheduled yet."
    list_display = ["name", "shown_status", "starts", "place", "sales_open", "sales_close", "left"]
    search_fields = ["conference_id"]
    search_help_text = "the id of a conference"
    change_form_template = "admin/ordering/conference.html"
    fields = [
        ("name", "shown_status"),
        ("starts", "place"),
        ("sales_open", "sales_close"),
        ("to_be_paid", "cancellable", "customer_limit"),
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
                for each in ConferenceSales.objects.sums(conference.pk)
            ],
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ordering.add_conferencesummary")

    def may_act(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ordering.change_conferencesummary")

    def matching(self, term: str) -> Any:
        return super().matching(str(as_id(term)))

    def get_urls(self) -> list[URLPattern]:
        act_view = self.admin_site.admin_view(self.act_view)
        return [
            path("<uuid:conference_id>/do/<slug:act>/", act_view, name="ordering_act"),
            path("<uuid:conference_id>/do/<slug:act>/<path:key>/", act_view, name="ordering_act"),
            *super().get_urls(),
        ]

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
            if self._carried_out(request, command, form, about=row, done=f"{command.name} is scheduled."):
                return self._shown(request, command.conference_id)
        context = {
            "title": "Schedule a conference",
            "form": form,
            "seat_types": seat_types,
            "time_zones": sorted(time_zones()),
        }
        return self._page(request, "admin/ordering/schedule.html", context)

    def act_view(self, request: HttpRequest, conference_id: UUID, act: str, key: str = "") -> HttpResponse:
        """Shows how things are, asks for what is needed, and sends the command."""
        if not self.may_act(request):
            raise PermissionDenied
        if act not in ACTS:
            raise Http404("There is no such thing to do.")
        data = request.POST if request.method == "POST" else None
        form = self._form(conference_id, act, key, data)
        if form is not None and form.is_valid():
            if self._acted(request, form):
                return self._shown(request, conference_id)
            if form.has_error(NON_FIELD_ERRORS, ConferenceChanged.code):
                form = self._asked_again(conference_id, act, key, request.POST)
        if form is None:
            messages.warning(request, "That is not there any more.")
            return self._shown(request, conference_id)
        context = {"title": form.title, "form": form, "conference": form.conference}
        return self._page(request, "admin/ordering/act.html", context | {"time_zones": sorted(time_zones())})

    def _form(self, conference_id: UUID, act: str, key: str, data: QueryDict | None) -> Act | None:
        """None where the conference has nothing under this key."""
        conference = ConferenceSummary.objects.filter(pk=conference_id).first()
        if conference is None:
            raise Http404("This conference is not readable.")
        try:
            return ACTS[act](conference, key, data)
        except KeyError:
            return None

    def _acted(self, request: HttpRequest, form: Act) -> bool:
        command, command_id = form.command(), form.cleaned_data["command_id"]
        return self._carried_out(request, command, form, about=form.conference, done=form.done, command_id=command_id)

    def _asked_again(self, conference_id: UUID, act: str, key: str, data: QueryDict) -> Act | None:
        """What was filled in, beside how things are by now."""
        again = data.copy()
        form = self._form(conference_id, act, key, again)
        if form is not None:
            again["seen"] = str(form.conference.terms_version or "")
            form.add_error(None, f"{ConferenceChanged()} ({ConferenceChanged.code})")
        return form

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        conference_id = as_id(object_id)
        conference = ConferenceSummary.objects.filter(pk=conference_id).first()
        context = {
            "orders": OrderSummary.objects.filter(conference_id=conference_id)[:SHOWN],
            "orders_of": f"conference_id={conference_id}",
            "history": stream_history(conference_id, SHOWN),
            "may_act": self.may_act(request) and conference and conference.status != CANCELLED,
            **(Seating(conference).shown() if conference else {}),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="seats left")
    def left(self, conference: ConferenceSummary) -> SafeString:
        types = conference.seat_types.values()
        return seats({key: sum(each[key] for each in types) for key in ("capacity", "available")})

    def _carried_out(
        self,
        request: HttpRequest,
        command: ScheduleConference | ConferenceChange,
        form: RuleForm,
        *,
        about: ConferenceSummary,
        done: str,
        command_id: UUID | None = None,
    ) -> bool:
        """Send the command. What refuses it is said at the form."""
        try:
            with acting(actor=f"staff:{request.user.pk}"):
                receipt = dispatch(command, command_id=command_id)
        except StreamExists:
            messages.info(request, "This conference was scheduled already.")
            return True
        except (DomainError, ConcurrencyConflict) as refusal:
            said = ValidationError(f"{refusal} ({refusal.code})", code=refusal.code)
            form.add_error(form.about(refusal.code), said)
            return False
        if receipt.repeated:
            messages.info(request, "This was done already.")
        elif not receipt.recorded:
            messages.info(request, "Nothing has changed.")
        else:
            scheduled = isinstance(command, ScheduleConference)
            record: Callable[..., Any] = self.log_addition if scheduled else self.log_change
            record(request, about, f"Sent {command.stored}.")
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
