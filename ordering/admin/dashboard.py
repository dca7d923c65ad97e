"""The front page says in one look whether all is well and what isn't, and keeps saying it while it stays open."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from eventstore import database
from eventstore.admin import polled
from eventstore.admin.sparkline import bar
from eventstore.database import Statement
from eventstore.models import Incident
from eventstore.monitoring.status import SubscriberStatus, unstarted
from ordering import queries
from ordering.admin.problems import Look, Problem, look, problems, since, with_affected
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


LATELY = 8
"""Incidents and actions of operators that are told."""

_HAPPENED = {"incident": "eventstore.view_incident", "action": "eventstore.view_operatoraction"}


class Count(msgspec.Struct, frozen=True):
    status: str
    label: str
    count: int
    number: str
    url: str


class Sales(msgspec.Struct, frozen=True):
    """The money of one day, in one currency."""

    currency: str
    payments: int
    received: Decimal
    refunded: Decimal


class Told(NamedTuple):
    """What was seen for a request, and what of it its reader is told."""

    seen: Look
    problems: Sequence[Problem]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What Unfold asks for when it shows the front page."""
    return {**context, "title": "Overview", **status(request)}


def open_problems(request: HttpRequest) -> int:
    """How many there are, for the menu: on pages that tell them as told there, elsewhere the incidents that last, which
    cost less.
    """
    if request.path in (reverse("admin:index"), reverse("problems")):
        return len(_told(request).problems)
    if not request.user.has_perm("eventstore.view_incident"):
        return 0
    return Incident.objects.filter(ended_at=None, raised_at__isnull=False).count()


def _told(request: HttpRequest) -> Told:
    """Looked at once for a request."""
    known: Told | None = getattr(request, "told", None)
    if known is None:
        seen = look()
        known = Told(seen, problems(seen, request.user))
        request.told = known  # type: ignore[attr-defined]  # nobody else looks for it
    return known


def _fragment(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "admin/dashboard/status.html", status(request))


def _all_problems(request: HttpRequest) -> HttpResponse:
    seen, found = _told(request)
    context = {
        **admin.site.each_context(request),
        "title": "Problems",
        **_verdict(found, with_affected(found[:MOST_SHOWN], seen, request.user), request.user),
    }
    return TemplateResponse(request, "admin/dashboard/problems.html", context)


fragment = polled(admin.site, admin.site.admin_view(_fragment))
all_problems = admin.site.admin_view(_all_problems)


def status(request: HttpRequest) -> dict[str, Any]:
    """All that the front page shows to whoever asks for it."""
    user: Any = request.user
    seen, found = _told(request)
    orders, sales = _today()
    return {
        **_verdict(found, with_affected(found[:SHOWN], seen, user), user),
        "subscribers": seen.subscribers,
        "unwell": [each for each in seen.subscribers if not _is_well(each)],
        "well": [each for each in seen.subscribers if _is_well(each)],
        "all_at_work": bool(seen.workers) and all(each.state == "alive" for each in seen.workers),
        "happened": [each for each in seen.recent if user.has_perm(_HAPPENED[each.what])][:LATELY],
        "tiles": tiles(seen, user),
        "unstarted": unstarted(list(seen.subscribers)),
        "log": seen.log,
        "workers": seen.workers,
        "processes": seen.processes,
        "rebuilding": seen.rebuilds.building if user.has_perm("projections.view_generation") else (),
        "sales": sales,
        "orders": orders,
        "orders_bar": bar([(each.status, each.count) for each in orders], "Orders of today by status"),
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


def _is_well(status: SubscriberStatus) -> bool:
    """Whether nobody needs to look at it."""
    return status.state == "running" and not status.failed


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
            orders.append(Count(word, word.replace("_", " "), number, shown, f"{page}?status={word}"))
    return orders, sorted(sales, key=lambda each: each.currency)
