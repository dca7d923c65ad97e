"""Whether this process is alive, whether it can work, and how everything is."""

from functools import cache

import structlog
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from psycopg import Error as DriverError

from eventstore import doorbell, identity, store
from eventstore.error_texts import describe
from eventstore.models import SubscriberRow
from eventstore.transient_errors import is_lost
from ordering.api import metrics

log = structlog.get_logger(__name__)

BOUND = "SELECT set_config('statement_timeout', '1s', true)"
"""Whoever asks whether a process is ready does not wait for long."""


@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """503 without a database that is migrated and answers in time. Without the rest it is *degraded*, and ready all the
    same.
    """
    try:
        with transaction.atomic(), connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(BOUND)
            missing = _missing_migrations()
            reasons = [] if missing else _reasons()
    except (Error, DriverError) as error:
        log.warning("database_unavailable", error=describe(error))
        why = "can't be reached" if is_lost(error) else "doesn't answer in time"
        return _answer("unavailable", [f"The database {why}."], 503)
    if missing:
        return _answer("unavailable", [f"The migration {name} has not been applied." for name in missing], 503)
    if not doorbell.is_heard():
        reasons.append("The broker can't be reached; what workers do comes later.")
    return _answer("degraded" if reasons else "ok", reasons, 200)


@require_safe
def measured(request: HttpRequest) -> HttpResponse:
    """For Prometheus."""
    return HttpResponse(metrics.text(), content_type=metrics.MEDIA_TYPE)


def _answer(status: str, reasons: list[str], code: int) -> JsonResponse:
    return JsonResponse({"status": status, "reasons": reasons}, status=code)


def _reasons() -> list[str]:
    halted = SubscriberRow.objects.filter(status="halted").values_list("name", flat=True)
    reasons = [f"The subscriber {name} has halted." for name in halted]
    if identity.is_fenced():
        reasons.append("The log is fenced: it is a copy, or was moved, so nothing is sent until staff let it act.")
    if wrong := store.set_back():
        reasons.append(wrong)
    return reasons


def _missing_migrations() -> list[str]:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    return [f"{app}.{name}" for app, name in _newest_migrations() if (app, name) not in applied]


@cache
def _newest_migrations() -> list[tuple[str, str]]:
    """The last migration of each app, as this code knows them."""
    return sorted(MigrationLoader(None).graph.leaf_nodes())
