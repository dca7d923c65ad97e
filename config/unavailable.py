"""Requests while the database is away: what the API answers by itself, pages do here."""

from contextlib import suppress

import structlog
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django_structlog.middlewares import RequestMiddleware

from eventstore.error_texts import describe
from eventstore.transient_errors import OUTAGES

log = structlog.get_logger(__name__)

AGAIN = 5
"""Seconds until a page that was only read asks again by itself."""


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
        again = AGAIN if request.method in {"GET", "HEAD"} else None
        content = render_to_string("pages/unavailable.html", {"again": again})
        return HttpResponse(content, status=503, headers={"Retry-After": str(AGAIN), "Cache-Control": "no-store"})
