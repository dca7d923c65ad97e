"""Every request is a conversation: its correlation id is taken from the client or made, stored with every event that
follows, and answered; a view that repeats an older answer names that one's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from eventstore import context

HEADER = "X-Correlation-Id"
ANONYMOUS = "anonymous"


@sync_and_async_middleware
def tracing(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware. Context variables flow from here into sync views, which asgiref runs in a copy of this context."""
    if iscoroutinefunction(get_response):

        async def asynchronously(request: HttpRequest) -> HttpResponseBase:
            with _traced(request) as correlation_id:
                response: HttpResponseBase = await get_response(request)
            response.headers.setdefault(HEADER, str(correlation_id))
            return response

        return asynchronously

    def synchronously(request: HttpRequest) -> HttpResponseBase:
        with _traced(request) as correlation_id:
            response: HttpResponseBase = get_response(request)
        response.headers.setdefault(HEADER, str(correlation_id))
        return response

    return synchronously


def correlation_id(wish: str) -> UUID:
    """The id a client asks for, if it is a UUID; else a new one."""
    try:
        return UUID(wish)
    except ValueError:
        return context.new_id()


@contextmanager
def _traced(request: HttpRequest) -> Iterator[UUID]:
    found = correlation_id(request.META.get("HTTP_X_CORRELATION_ID", ""))
    request.META["HTTP_X_CORRELATION_ID"] = str(found)  # the log lines of this request name the same
    with context.acting(correlation_id=found, actor=ANONYMOUS, causation_id=None, root=None, hops=0):
        yield found
