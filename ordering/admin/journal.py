"""The books: the entries of the journal, the trial balance at any day or position, and the days of a conference."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from eventstore import store
from eventstore.admin import event_link
from eventstore.errors import UnknownHere
from eventstore.models import ParkedEvent
from ordering.admin.acts import as_id
from ordering.admin.csv_export import ExportedAdmin, moment
from ordering.admin.formatting import link, money
from ordering.admin.order import ConferenceFilter
from ordering.admin.schedule import TimeZoneField
from ordering.admin.words import sentence
from ordering.domain.conference_changes import time_zones
from ordering.domain.values import in_decimals_of
from ordering.models import ConferenceSummary, DailySales, JournalEntry
from ordering.models.journal import Entries
from ordering.watches.books import Books

POSITION_DIGITS = 19
"""A number of so many digits is no position."""


class CurrencyFilter(admin.SimpleListFilter):
    """Those that money has come in; the journal itself is not searched through for them."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        known = DailySales.objects.order_by("currency").values_list("currency", flat=True).distinct()
        return [(currency, currency) for currency in known]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JournalEntry]) -> QuerySet[JournalEntry]:
        return queryset.filter(currency=self.value()) if self.value() else queryset


class Currency:
    """The balances of one currency: its accounts, each with more on one of its sides, and what they come to."""

    def __init__(self, code: str, balances: list[Mapping[str, Any]]) -> None:
        self.code = code
        self.accounts = [
            {
                **each,
                "name": account_name(each["account"], each["provider"]),
                "owing": max(each["balance"], Decimal(0)),
                "owed": max(-each["balance"], Decimal(0)),
            }
            for each in balances
        ]
        self.debits, self.credits, self.owing, self.owed = (
            sum((each[side] for each in self.accounts), Decimal(0)) for side in ("debits", "credits", "owing", "owed")
        )

    @property
    def difference(self) -> Decimal:
        """Nothing, or the books are wrong."""
        return self.debits - self.credits


class AsOfForm(forms.Form):
    """At the end of which day, or after which event of the log; the newest books where neither is given."""

    day = forms.DateField(
        required=False, label="At the end of", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    time_zone = TimeZoneField(label="Time zone", initial="UTC", help_text="The day is one of this zone.")
    position = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=2**63 - 1,
        label="Or at position",
        help_text="Of the last event in the log that counts.",
    )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("day") and given.get("position") is not None:
            raise forms.ValidationError("Give a day or a position, not both.")
        return given

    def entries(self) -> Entries:
        """Those that count, of a form that is valid."""
        entries, given = JournalEntry.objects.all(), self.cleaned_data
        if given.get("day"):
            return entries.until_day(given["day"], given["time_zone"])
        return entries if given.get("position") is None else entries.until_position(given["position"])


@admin.register(JournalEntry)
class JournalAdmin(ExportedAdmin):
    keyset = "number"
    when_empty = (
        "Nothing is in the books yet, or nothing that these filters select. Entries are made when money comes in, when "
        "an order is confirmed or cancelled, and when money goes back."
    )
    change_list_template = "admin/ordering/journal_list.html"
    list_display = [
        "recorded_at",
        "shown_position",
        "what",
        "shown_account",
        "shown_debit",
        "shown_credit",
        "order",
    ]
    list_filter = ["account", CurrencyFilter, ConferenceFilter]
    search_fields = ["position"]
    search_help_text = "a position of the log, or the id of an order"
    fields = [
        ("recorded_at", "what", "shown_position"),
        ("shown_account", "shown_debit", "shown_credit"),
        ("order", "conference"),
    ]
    export_permission, file = "ordering.export_journal", "journal.csv"
    columns = {
        "Number": lambda entry: entry.number,
        "Recorded (UTC)": lambda entry: moment(entry.recorded_at),
        "Position": lambda entry: entry.position,
        "Event": lambda entry: entry.event,
        "Account": lambda entry: entry.get_account_display(),
        "Provider": lambda entry: entry.provider,
        "Debit": lambda entry: in_decimals_of(entry.currency, entry.debit),
        "Credit": lambda entry: in_decimals_of(entry.currency, entry.credit),
        "Currency": lambda entry: entry.currency,
        "Order id": lambda entry: entry.order_id,
        "Conference id": lambda entry: entry.conference_id,
    }

    def matching(self, term: str) -> Q:
        by_position = term.isdecimal() and len(term) < POSITION_DIGITS
        return Q(position=int(term)) if by_position else Q(order_id=as_id(term))

    def prepare(self, rows: Sequence[Any]) -> None:
        said = happened(rows)
        for entry in rows:
            entry.happened = said[entry.position]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("trial-balance/", view(self.trial_balance_view), name="ordering_trial_balance"),
            path("days/<uuid:conference_id>/", view(self.days_view), name="ordering_conference_days"),
            *super().get_urls(),
        ]

    def trial_balance_view(self, request: HttpRequest) -> HttpResponse:
        """By currency: what each account has, and that both sides come to the same."""
        form = AsOfForm(request.GET) if request.GET else AsOfForm({"time_zone": "UTC"})
        balances = form.entries().balances() if form.is_valid() else ()
        context = {
            "title": "Trial balance",
            "form": form,
            "currencies": [Currency(code, list(rows)) for code, rows in groupby(balances, itemgetter("currency"))],
            "time_zones": sorted(time_zones()),
            "held_back": ParkedEvent.objects.filter(subscriber__in=Books.uses).values("position").distinct().count(),
        }
        return self._page(request, "admin/ordering/trial_balance.html", context)

    def days_view(self, request: HttpRequest, conference_id: UUID) -> HttpResponse:
        """What came in, went back and was earned, by day of the conference's zone."""
        conference = get_object_or_404(ConferenceSummary, pk=conference_id)
        context = {
            "title": f"Figures by day: {conference.name}",
            "conference": conference,
            "days": JournalEntry.objects.days(conference_id, conference.time_zone),
        }
        return self._page(request, "admin/ordering/days.html", context)

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **context})

    @admin.display(description="what happened")
    def what(self, entry: JournalEntry) -> str:
        told: str | None = getattr(entry, "happened", None)
        return told or happened([entry])[entry.position]

    @admin.display(description="position")
    def shown_position(self, entry: JournalEntry) -> SafeString:
        return event_link(entry.position)

    @admin.display(description="account")
    def shown_account(self, entry: JournalEntry) -> str:
        return account_name(entry.account, entry.provider)

    @admin.display(description="debit")
    def shown_debit(self, entry: JournalEntry) -> str | None:
        return money(entry.debit, entry.currency) if entry.debit else None

    @admin.display(description="credit")
    def shown_credit(self, entry: JournalEntry) -> str | None:
        return money(entry.credit, entry.currency) if entry.credit else None

    @admin.display(description="order")
    def order(self, entry: JournalEntry) -> SafeString | str:
        return link("ordersummary", entry.order_id, None) if entry.order_id else "none"

    @admin.display(description="conference")
    def conference(self, entry: JournalEntry) -> SafeString | str:
        return link("conferencesummary", entry.conference_id, None) if entry.conference_id else "none"


def happened(entries: Iterable[JournalEntry]) -> dict[int, str]:
    """By position: what happened there, in words; by its name where only newer code can read it."""
    said = {entry.position: entry.event for entry in entries}
    for recorded in store.read_these(list(said)):
        with suppress(UnknownHere):
            said[recorded.position] = sentence(recorded)
    return said


def account_name(account: str, provider: str) -> str:
    """What an account is called, and whose it is if it is a provider's."""
    name = str(JournalEntry.Account(account).label)
    if account != JournalEntry.Account.PROVIDER:
        return name
    return f"{name}: {provider or 'before finance kept books'}"
