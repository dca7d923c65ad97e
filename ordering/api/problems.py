"""Every error is a problem of RFC 9457: one media type, stable codes, and never a traceback."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from django.core.exceptions import RequestDataTooBig
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.exceptions import ErrorDetail
from rest_framework.response import Response
from rest_framework.settings import api_settings

from eventstore import context
from eventstore.errors import ConcurrencyConflict, DomainError, StreamNotFound, UnknownHere
from eventstore.transient_errors import is_infrastructure

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
    def too_large(cls) -> "Problem":
        return cls(status=413, code="too-large", detail="A body has at most 64 KiB.")

    @classmethod
    def not_found(cls) -> "Problem":
        return cls(status=404, code="not-found", detail="There is nothing here.")

    @classmethod
    def broken(cls) -> "Problem":
        return cls(status=500, code="internal-error", detail="Something went wrong on our side; it has been noted.")

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

    def response(self, headers: dict[str, str] | None = None) -> Response:
        headers = dict(headers or {})
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return Response(self.body, status=self.status, headers=headers, content_type=MEDIA_TYPE)

    def plain_response(self) -> HttpResponse:
        """The same, where no view of DRF has been reached."""
        return HttpResponse(self.content(), status=self.status, content_type=MEDIA_TYPE)


def handle(error: Exception, where: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    request = where["request"]
    problem = _problem(error, with_if_match="If-Match" in request.headers)
    if problem.status == 500:
        got_request_exception.send(sender=None, request=request._request)
    elif problem.status == 503:
        log.warning("call_unavailable", code=problem.code, error=type(error).__name__, sqlstate=_sqlstate(error))
    challenge = getattr(error, "auth_header", None)
    return problem.response({"WWW-Authenticate": challenge} if challenge else None)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`."""
    if _is_call(request):
        return Problem.not_found().plain_response()
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`."""
    if _is_call(request):
        return Problem(status=400, code="malformed", detail="This request can't be understood.").plain_response()
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`."""
    if _is_call(request):
        return Problem.broken().plain_response()
    return defaults.server_error(request)


def _is_call(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _problem(error: Exception, *, with_if_match: bool) -> Problem:
    match error:
        case exceptions.APIException():
            problem = _of_framework(error)
        case StreamNotFound() | Http404():
            problem = Problem.not_found()
        case DomainError():
            problem = Problem(status=409, code=error.code, detail=str(error))
        case ConcurrencyConflict() if with_if_match:
            problem = Problem(status=412, code=error.code, detail="This has changed since the version you know.")
        case ConcurrencyConflict():
            problem = Problem(status=503, code=error.code, detail=f"{error} Please try again.", retry_after=1)
        case RequestDataTooBig():
            problem = Problem.too_large()
        case UnknownHere():
            problem = Problem(
                status=503, code="unavailable", detail="This takes newer code than runs here.", retry_after=2
            )
        case _ if is_infrastructure(error):
            problem = Problem(status=503, code="unavailable", detail="The database can't do this now.", retry_after=2)
        case _:
            problem = Problem.broken()
    return problem


def _sqlstate(error: Exception) -> str | None:
    return getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)


def _of_framework(error: exceptions.APIException) -> Problem:
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
