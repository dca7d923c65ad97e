"""Requests while the database is away: what the API answers by itself, pages do here."""

from contextlib import suppress

import structlog
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django_structlog.middlewares import RequestMiddleware

from eventstore import context
from eventstore.error_texts import describe
from eventstore.middleware import HEADER, correlation_id
from eventstore.transient_errors import OUTAGES
from ordering.api.problems import Problem, is_call

log = structlog.get_logger(__name__)

AGAIN = 5
"""Seconds until a page that was only read asks again by itself."""

CROWD = "More people are here than can be served at once."


class RequestLog(RequestMiddleware):
    """Middleware. A line of the log goes without the user when it can't be known who that is."""

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        with suppress(*OUTAGES):
            RequestMiddleware.bind_user_id(request)


class Unavailable(MiddlewareMixin):
    """Middleware, the last one: answers 503 for a view that an outage ended."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OUTAGES):
            return None
        log.warning("page_unavailable", error=describe(exception))
        return _page(request, "The database can't be reached now.")


def crowded(request: HttpRequest) -> HttpResponse:
    """What is answered where no more requests can wait, in front of all middleware."""
    with context.acting(correlation_id=correlation_id(request.headers.get(HEADER, ""))) as acting:
        log.warning("queue_full", path=request.path)
        response = Problem.crowded().plain_response() if is_call(request) else _page(request, CROWD, untouched=True)
    response.headers[HEADER] = str(acting.correlation_id)
    return response


def _page(request: HttpRequest, why: str, *, untouched: bool = False) -> HttpResponse:
    again = AGAIN if request.method in {"GET", "HEAD"} else None
    content = render_to_string("pages/unavailable.html", {"why": why, "again": again, "untouched": untouched})
    return HttpResponse(content, status=503, headers={"Retry-After": str(AGAIN), "Cache-Control": "no-store"})
