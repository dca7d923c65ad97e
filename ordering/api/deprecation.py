"""What is not to be used any more, and since when: by headers of RFC 9745 and RFC 8594, and in the contract."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from django.http import HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date
from rest_framework.request import Request

Method = TypeVar("Method", bound=Callable[..., Any])


class Deprecation(NamedTuple):
    """Since when something is not to be used, what takes its place, and when it will be gone, if that is known."""

    since: datetime
    instead: str
    sunset: datetime | None = None

    def __str__(self) -> str:
        """As the contract says it."""
        gone = "" if self.sunset is None else f" It will be gone on {self.sunset:%Y-%m-%d}."
        return f"Deprecated: use `{self.instead}`.{gone}"

    def tell(self, request: Request, response: HttpResponseBase) -> None:
        """By the headers of an answer that still has it."""
        response.headers["Deprecation"] = f"@{int(self.since.timestamp())}"
        if self.sunset is not None:
            response.headers["Sunset"] = http_date(self.sunset.timestamp())
        about = f'<{request.build_absolute_uri(reverse("api-docs"))}>; rel="deprecation"; type="text/html"'
        response.headers["Link"] = ", ".join(filter(None, [response.headers.get("Link"), about]))


def deprecated(since: datetime, *, instead: str, sunset: datetime | None = None) -> Callable[[Method], Method]:
    """Declares that a method of a view is not to be called any more. A whole view says so by its `deprecation`."""

    def declare(method: Method) -> Method:
        method.__dict__["deprecation"] = Deprecation(since, instead, sunset)
        return method

    return declare
