"""The waitlists of all conferences: who waits for what, in which place and since when, and what staff do about it."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from eventstore import repository
from eventstore.admin import KeysetAdmin, tag
from ordering.admin import order_search, timeline, waitlist_story
from ordering.admin.acts import ActsAdmin, as_id
from ordering.admin.formatting import in_zone, link
from ordering.admin.order import ConferenceFilter
from ordering.admin.waitlist_acts import ACTS
from ordering.admin.words import LEFT
from ordering.domain.waitlist import Leaving, Waitlist, waitlist_id_of
from ordering.models import ConferenceSummary, CustomerProfile, OrderSummary, WaitlistEntry

ON_THE_LIST, ALL = "on-the-list", "all"
WAITING, OFFERED = WaitlistEntry.Status.WAITING, WaitlistEntry.Status.OFFERED


class StatusFilter(admin.SimpleListFilter):
    """Those who wait or have an offer, unless somebody wants to see others."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(ON_THE_LIST, "on the list"), *((each, each) for each in WaitlistEntry.Status.values), (ALL, "all")]

    def value(self) -> str:
        return super().value() or ON_THE_LIST

    def queryset(self, request: HttpRequest, queryset: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
        match self.value():
            case "all":
                return queryset
            case "on-the-list":
                return queryset.filter(status__in=[WAITING, OFFERED])
        return queryset.filter(status=self.value())

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        _all, *each = super().choices(changelist)
        yield from each


@admin.register(WaitlistEntry)
class WaitlistAdmin(ActsAdmin, KeysetAdmin):
    acts = ACTS
    keyset = "joined_at"
    when_empty = (
        "Nobody is on a waitlist. Whoever is refused seats because they are sold out, or wishes to wait for them, is "
        "listed here until the seats are theirs or they wait no longer."
    )
    list_display = [
        *("joined_at", "conference", "customer", "shown_lines"),
        *("shown_status", "place", "priority", "shown_until"),
    ]
    list_filter = [StatusFilter, ConferenceFilter]
    search_fields = ["customer_id"]
    search_help_text = "a customer's name or email address, or an id"
    change_form_template = "admin/ordering/waitlist.html"
    fields = [
        ("shown_status", "place", "priority", "shown_until"),
        ("customer", "conference", "shown_lines"),
        ("joined_at", "refused_order"),
        ("ended_at", "shown_reason", "order"),
        "entry_id",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitlistEntry]:
        return entries().order_by(*self.get_ordering(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WaitlistEntry], search_term: str
    ) -> tuple[QuerySet[WaitlistEntry], bool]:
        """A name may be written in several words, so the whole is looked for."""
        term = search_term.strip()
        return queryset.filter(meant(term)) if term else queryset, False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context: dict[str, Any] = {}
        if row := self.get_object(request, object_id):
            waitlist = repository.load(Waitlist, waitlist_id_of(row.conference_id))
            context["acts"] = self.offers(request, row.pk, waitlist, str(row.pk))
            if (told := timeline.readable(request, waitlist_story.read, row)) is not None:
                context |= timeline.shown(told)
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="status")
    def shown_status(self, entry: WaitlistEntry) -> SafeString:
        return tag(entry.status)

    @admin.display(description="place in line")
    def place(self, entry: Any) -> str:
        return f"{entry.ahead + 1:,}" if entry.status == WAITING else ""

    @admin.display(description="seats")
    def shown_lines(self, entry: WaitlistEntry) -> str:
        return str(entry)

    @admin.display(description="offer until")
    def shown_until(self, entry: WaitlistEntry) -> str:
        return in_zone(entry.offered_until, "UTC") if entry.offered_until and entry.status == OFFERED else ""

    @admin.display(description="why it left")
    def shown_reason(self, entry: WaitlistEntry) -> str:
        return LEFT[Leaving(entry.reason)] if entry.reason else ""

    @admin.display(description="conference")
    def conference(self, entry: Any) -> SafeString:
        return link("conferencesummary", entry.conference_id, entry.conference_name)

    @admin.display(description="customer")
    def customer(self, entry: Any) -> SafeString:
        return link("customerprofile", entry.customer_id, entry.buyer)

    @admin.display(description="order that was refused")
    def refused_order(self, entry: Any) -> SafeString | str:
        return link("ordersummary", entry.refused_order_id, entry.refused) if entry.refused_order_id else "none"

    @admin.display(description="order that came of it")
    def order(self, entry: Any) -> SafeString | str:
        return link("ordersummary", entry.order_id, entry.number) if entry.order_id else "none"


def entries() -> QuerySet[Any]:
    """Each with its place in line, and what its page calls all that it belongs to."""
    return WaitlistEntry.objects.in_line().annotate(
        conference_name=Subquery(ConferenceSummary.objects.filter(pk=OuterRef("conference_id")).values("name")),
        buyer=Subquery(CustomerProfile.objects.filter(pk=OuterRef("customer_id")).values("name")),
        refused=Subquery(OrderSummary.objects.filter(pk=OuterRef("refused_order_id")).values("number")),
        number=Subquery(OrderSummary.objects.filter(pk=OuterRef("order_id")).values("number")),
    )


def meant(text: str) -> Q:
    """The entries that somebody may mean who writes this."""
    if (id_ := as_id(text)).int:
        return Q(pk=id_) | Q(customer_id=id_) | Q(conference_id=id_)
    return Q(customer_id__in=order_search.customers(text))
