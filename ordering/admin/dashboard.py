"""The front page answers "is everything well?" in one look, and keeps answering while it stays open."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from eventstore.admin import polled
from eventstore.monitoring.consumers import consumer_issues
from eventstore.monitoring.health import HealthIssue
from eventstore.monitoring.incidents import found_issues
from eventstore.monitoring.status import log_status, subscriber_statuses, unstarted
from eventstore.monitoring.workers import clock_issues, worker_issues, worker_statuses
from ordering.models import DailySales, OrderSummary
from projections.models import Generation
from projections.status import rebuild_issues
from sagas.status import overdue_issues, process_status
from sagas.webhooks.monitoring import webhook_issues

MOST = 1_000
"""Orders of a status are counted up to here."""

PAGES = {
    "commands": "admin:sagas_outboxcommand_changelist",
    "deliveries": "admin:sagas_delivery_changelist",
    "timers": "admin:sagas_timer_changelist",
    "log": "admin:eventstore_storedevent_changelist",
}

FENCED = "admin:eventstore_logidentity_changelist"


class Finding(msgspec.Struct, frozen=True):
    """A health issue and where to go about it."""

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
    return TemplateResponse(request, "admin/dashboard/status.html", status())


fragment = polled(admin.site, admin.site.admin_view(_fragment))


def status() -> dict[str, Any]:
    subscribers, log, processes = subscriber_statuses(), log_status(), process_status()
    workers = worker_statuses()
    findings = [
        *_found(
            (*worker_issues(workers), *clock_issues(workers)),
            lambda _: reverse("admin:eventstore_workerheartbeat_changelist"),
        ),
        *_found(log.health_issues(), lambda _: reverse(FENCED if log.fenced else PAGES["log"])),
        *_found(processes.health_issues()),
        *_found(overdue_issues(), lambda about: reverse(PAGES.get(about, PAGES["deliveries"]))),
        *_found(
            (issue for subscriber in subscribers for issue in subscriber.health_issues()),
            lambda name: reverse("admin:eventstore_subscriber", args=[name]),
        ),
        *_found(consumer_issues(), lambda name: reverse("admin:eventstore_consumer_change", args=[name])),
        *_found(webhook_issues(), lambda _: reverse("admin:sagas_webhookendpoint_changelist")),
        *_found(found_issues(), lambda _: f"{reverse('admin:eventstore_incident_changelist')}?ended_at__isempty=1"),
        *_found(rebuild_issues(), lambda _: reverse("admin:projections_generation_changelist")),
    ]
    return {
        "findings": sorted(findings, key=lambda each: not each.grave),
        "subscribers": subscribers,
        "unstarted": unstarted(subscribers),
        "log": log,
        "workers": workers,
        "processes": processes,
        "rebuilding": list(Generation.objects.filter(status=Generation.Status.BUILDING)),
        "sales": list(DailySales.objects.filter(day=datetime.now(UTC).date())),
        "orders": _orders_of_today(),
        "checked_at": datetime.now(UTC),
    }


def _found(
    issues: Iterable[HealthIssue], page: Callable[[str], str] = lambda about: reverse(PAGES[about])
) -> list[Finding]:
    return [Finding(issue.about, issue.text, issue.grave, page(issue.about)) for issue in issues]


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
