"""Every error is a problem of RFC 9457: one media type, stable codes, and never a traceback."""

from collections.abc import Iterator
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden
from django.template.loader import render_to_string
from django.views import defaults
from rest_framework import exceptions
from rest_framework.exceptions import ErrorDetail
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings

from eventstore import context
from eventstore.errors import ConcurrencyConflict, DomainError, SequenceSetBack, StreamNotFound, UnknownHere
from eventstore.transient_errors import is_infrastructure
from ordering.brakes import Braked

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, kw_only=True):
    """What went wrong, as clients read it."""

    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | None = None
    retry_after: int | None = None

    @classmethod
    def too_large(cls, most: int = 64) -> "Problem":
        return cls(status=413, code="too-large", detail=f"A body has at most {most:,} KiB here.")

    @classmethod
    def too_slow(cls) -> "Problem":
        return cls(status=408, code="too-slow", detail="The body did not come in time.")

    @classmethod
    def malformed(cls) -> "Problem":
        return cls(status=400, code="malformed", detail="This request can't be understood.")

    @classmethod
    def not_found(cls) -> "Problem":
        return cls(status=404, code="not-found", detail="There is nothing here.")

    @classmethod
    def unencrypted(cls) -> "Problem":
        return cls(
            status=403,
            code="https-required",
            detail="This was sent without encryption, and nothing was done. Use HTTPS, and a new password or token.",
        )

    @classmethod
    def broken(cls) -> "Problem":
        return cls(status=500, code="internal-error", detail="Something went wrong on our side; it has been noted.")

    @classmethod
    def crowded(cls) -> "Problem":
        detail = "Too many ask for something now. Please try again."
        return cls(status=503, code="unavailable", detail=detail, retry_after=2)

    @property
    def body(self) -> dict[str, Any]:
        body = {
            "type": f"urn:boxoffice:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "correlation_id": str(context.current().correlation_id),
        }
        return body if self.errors is None else {**body, "errors": self.errors}

    def content(self) -> bytes:
        return msgspec.json.encode(self.body)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def response(self, headers: dict[str, str] | None = None) -> Response:
        headers = {**(headers or {}), **self.headers}
        return Response(self.body, status=self.status, headers=headers, content_type=MEDIA_TYPE)

    def plain_response(self) -> HttpResponse:
        """The same, where no view of DRF has been reached."""
        return HttpResponse(self.content(), status=self.status, headers=self.headers, content_type=MEDIA_TYPE)


def handle(error: Exception, where: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    request = where["request"]
    problem = _problem(error)
    if problem.status == 500:
        got_request_exception.send(sender=None, request=request._request)
    elif problem.status == 503:
        log.warning("call_unavailable", code=problem.code, error=type(error).__name__, sqlstate=_sqlstate(error))
    # A view that shows something else than JSON would show the problem in its own way.
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    challenge = getattr(error, "auth_header", None)
    return problem.response({"WWW-Authenticate": challenge} if challenge else None)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`."""
    if is_call(request):
        return Problem.not_found().plain_response()
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`."""
    if is_call(request):
        return Problem.malformed().plain_response()
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`."""
    if is_call(request):
        return Problem.broken().plain_response()
    return defaults.server_error(request)


def https_required(request: HttpRequest) -> HttpResponse:
    """For what came over HTTP and must not: a problem, or a page."""
    if is_call(request):
        return Problem.unencrypted().plain_response()
    return HttpResponseForbidden(render_to_string("pages/https_required.html"))


def is_call(request: HttpRequest) -> bool:
    """Whether it is the API that is asked."""
    return request.path.startswith("/api/")


def _problem(error: Exception) -> Problem:
    match error:
        case exceptions.APIException() | Braked():
            problem = _of_call(error)
        case StreamNotFound() | Http404():
            problem = Problem.not_found()
        case DomainError():
            wait = None if error.wait is None else ceil(error.wait.total_seconds())
            problem = Problem(status=409, code=error.code, detail=str(error), retry_after=wait)
        case ConcurrencyConflict():
            problem = Problem(status=503, code=error.code, detail=f"{error} Please try again.", retry_after=1)
        case RequestDataTooBig():
            problem = Problem.too_large()
        case SuspiciousOperation():
            problem = Problem.malformed()
        case UnknownHere():
            problem = Problem(
                status=503, code="unavailable", detail="This takes newer code than runs here.", retry_after=2
            )
        case _ if is_infrastructure(error) or isinstance(error, SequenceSetBack):
            problem = Problem(status=503, code="unavailable", detail="The database can't do this now.", retry_after=2)
        case _:
            problem = Problem.broken()
    return problem


def _sqlstate(error: Exception) -> str | None:
    return getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)


def _of_call(error: exceptions.APIException | Braked) -> Problem:
    if isinstance(error, Braked):
        return Problem(status=429, code="throttled", detail=str(error), retry_after=error.seconds)
    if isinstance(error, exceptions.ValidationError):
        errors = list(_errors(error.detail, ""))
        return Problem(status=400, code="invalid", detail="Some values are not as they should be.", errors=errors)
    code = "malformed" if isinstance(error, exceptions.ParseError) else str(error.get_codes()).replace("_", "-")
    wait = getattr(error, "wait", None)
    return Problem(
        status=error.status_code,
        code=code,
        detail=str(error.detail),
        retry_after=None if wait is None else max(1, int(wait)),
    )


def _errors(detail: Any, pointer: str) -> Iterator[dict[str, str]]:
    """Each error with the JSON pointer (RFC 6901) of the value that it is about."""
    if isinstance(detail, ErrorDetail):
        yield {"pointer": pointer, "code": str(detail.code).replace("_", "-"), "detail": str(detail)}
    elif isinstance(detail, dict):
        for name, each in detail.items():
            whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _errors(each, pointer if whole else f"{pointer}/{_token(str(name))}")
    else:
        for index, each in enumerate(detail):
            yield from _errors(each, pointer if isinstance(each, ErrorDetail) else f"{pointer}/{index}")


def _token(name: str) -> str:
    """A step of a JSON pointer; half a surrogate pair is no text that could be answered."""
    return name.encode(errors="replace").decode().replace("~", "~0").replace("/", "~1")[:100]
