"""The front page says in one look whether all is well and what isn't, and keeps saying it while it stays open."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from eventstore import database
from eventstore.admin import polled
from eventstore.database import Statement
from eventstore.monitoring.status import unstarted
from ordering import queries
from ordering.admin.problems import Problem, look, problems, since, with_affected
from ordering.admin.tiles import tiles
from ordering.models import OrderSummary

MOST = 1_000
"""Orders of a status are counted up to here."""

SHOWN = 5
"""Problems on the front page: what is less grave or newer stands on the page of all of them."""

MOST_SHOWN = 50
"""On that page."""

WATCHING = (
    *("eventstore.view_storedevent", "eventstore.view_subscriberrow", "eventstore.view_workerheartbeat"),
    *("eventstore.view_incident", "sagas.view_outboxcommand", "sagas.view_delivery"),
)
"""Who may see all of these is told that all is well; others, that nothing is wrong of what they may see."""


class Count(msgspec.Struct, frozen=True):
    status: str
    label: str
    number: str
    url: str


class Sales(msgspec.Struct, frozen=True):
    """The money of one day, in one currency."""

    currency: str
    payments: int
    received: Decimal
    refunded: Decimal


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What Unfold asks for when it shows the front page."""
    return {**context, "title": "Overview", **status(request.user)}


def _fragment(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "admin/dashboard/status.html", status(request.user))


def _all_problems(request: HttpRequest) -> HttpResponse:
    seen = look()
    found = problems(seen, request.user)
    context = {
        **admin.site.each_context(request),
        "title": "Problems",
        **_verdict(found, with_affected(found[:MOST_SHOWN], seen, request.user), request.user),
    }
    return TemplateResponse(request, "admin/dashboard/problems.html", context)


fragment = polled(admin.site, admin.site.admin_view(_fragment))
all_problems = admin.site.admin_view(_all_problems)


def status(user: Any) -> dict[str, Any]:
    """All that the front page shows to this person."""
    seen = look()
    found = problems(seen, user)
    orders, sales = _today()
    return {
        **_verdict(found, with_affected(found[:SHOWN], seen, user), user),
        "subscribers": seen.subscribers,
        "tiles": tiles(seen, user),
        "unstarted": unstarted(list(seen.subscribers)),
        "log": seen.log,
        "workers": seen.workers,
        "processes": seen.processes,
        "rebuilding": seen.rebuilds.building if user.has_perm("projections.view_generation") else (),
        "sales": sales,
        "orders": orders,
        "checked_at": datetime.now(UTC),
    }


def _verdict(found: Sequence[Problem], shown: Sequence[Problem], user: Any) -> dict[str, Any]:
    """How many there are, and for how long the oldest has been one."""
    oldest = min((each for each in found if each.since), key=since, default=None)
    return {
        "found": len(found),
        "grave": any(each.grave for each in found),
        "oldest": oldest.lasts if oldest else "",
        "problems": shown,
        "more": len(found) - len(shown),
        "sees_all": all(map(user.has_perm, WATCHING)),
    }


def _today() -> tuple[list[Count], list[Sales]]:
    """The orders of today (UTC) by status, and its sales by currency."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = {"statuses": OrderSummary.Status.values, "midnight": midnight, "day": midnight.date(), "most": MOST}
    orders, sales = [], []
    page = reverse("admin:ordering_ordersummary_changelist")
    for what, word, number, received, refunded in database.pipeline(Statement(queries.TODAY, asked))[0]:
        if what == "sales":
            sales.append(Sales(word, number, received, refunded))
        elif number:
            shown = f"{number:,}" if number <= MOST else f"over {MOST:,}"
            orders.append(Count(word, word.replace("_", " "), shown, f"{page}?status={word}"))
    return orders, sorted(sales, key=lambda each: each.currency)
