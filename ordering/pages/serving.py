"""What all pages for customers share."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

AGAIN = 2
"""Seconds until a page that can't show everything yet asks again."""

# Whoever knows the address sees the page: it is told to nobody, and what it shows is kept by nobody.
SECRET = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
}

# Django tells forms of this site from those of others by their origin, which a browser leaves out under `no-referrer`.
# It says no more than that: the rest of the address is not told to this site either.
WITH_FORMS = SECRET | {
    "Referrer-Policy": "strict-origin",
    "Content-Security-Policy": SECRET["Content-Security-Policy"].replace("form-action 'none'", "form-action 'self'"),
}


def page(name: str, status: int, *, request: HttpRequest | None = None, **shown: Any) -> HttpResponse:
    """A page by the name of its template; one that is not ready yet, 202, asks again by itself. One with forms takes
    the request.
    """
    again = {"Refresh": str(AGAIN), "Retry-After": str(AGAIN)} if status == 202 else {}
    content = render_to_string(f"pages/{name}.html", {**shown, "again": AGAIN if again else None}, request)
    return HttpResponse(content, status=status, headers=(WITH_FORMS if request else SECRET) | again)
