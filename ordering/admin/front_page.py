"""The front page answers "is everything well?" in one look, and keeps answering while it stays open."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from eventstore import panels as log_panels
from eventstore import presence
from eventstore.admin import polled
from eventstore.panels import Trouble
from ordering.models import OrderSummary, SalesOfDay
from projections import panels as projection_panels
from projections.models import Generation
from sagas import panels as saga_panels

MOST = 1_000
"""Orders of a status are counted up to here."""

PLACES = {
    "commands": "admin:sagas_outgoing_changelist",
    "deliveries": "admin:sagas_delivery_changelist",
    "timers": "admin:sagas_timer_changelist",
    "log": "admin:eventstore_storedevent_changelist",
}

FENCED = "admin:eventstore_logidentity_changelist"


class Finding(msgspec.Struct, frozen=True):
    """A trouble and where to go about it."""

    about: str
    text: str
    grave: bool
    url: str


class Count(msgspec.Struct, frozen=True):
    status: str
    label: str
    number: str
    url: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What Unfold asks for when it shows the front page."""
    return {**context, "title": "Is everything well?", **status()}


def _fragment(request: HttpRequest) -> HttpResponse:
    return TemplateResponse(request, "admin/front_page/status.html", status())


fragment = polled(admin.site, admin.site.admin_view(_fragment))


def status() -> dict[str, Any]:
    subscribers, log, processes = log_panels.subscribers(), log_panels.log(), saga_panels.processes()
    workers = presence.everybody()
    findings = [
        *_found(presence.troubles(workers), lambda _: reverse("admin:eventstore_pulse_changelist")),
        *_found(log.troubles(), lambda _: reverse(FENCED if log.fenced else PLACES["log"])),
        *_found(processes.troubles()),
        *_found(
            (trouble for subscriber in subscribers for trouble in subscriber.troubles()),
            lambda name: reverse("admin:eventstore_subscriber", args=[name]),
        ),
        *_found(projection_panels.troubles(), lambda _: reverse("admin:projections_generation_changelist")),
    ]
    return {
        "findings": sorted(findings, key=lambda each: not each.grave),
        "subscribers": subscribers,
        "unstarted": log_panels.unstarted(subscribers),
        "log": log,
        "workers": workers,
        "processes": processes,
        "rebuilding": list(Generation.objects.filter(status=Generation.Status.BUILDING)),
        "sales": list(SalesOfDay.objects.filter(day=datetime.now(UTC).date())),
        "orders": _orders_of_today(),
        "checked_at": datetime.now(UTC),
    }


def _found(
    troubles: Iterable[Trouble], place: Callable[[str], str] = lambda about: reverse(PLACES[about])
) -> list[Finding]:
    return [Finding(trouble.about, trouble.text, trouble.grave, place(trouble.about)) for trouble in troubles]


def _orders_of_today() -> list[Count]:
    """By status, each counted along its index and no further than `MOST`."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    orders = reverse("admin:ordering_ordersummary_changelist")
    found = []
    for each in OrderSummary.Status.values:
        number = OrderSummary.objects.filter(status=each, placed_at__gte=midnight)[: MOST + 1].count()
        if number:
            shown = f"{number:,}" if number <= MOST else f"over {MOST:,}"
            found.append(Count(each, each.replace("_", " "), shown, f"{orders}?status={each}"))
    return found
