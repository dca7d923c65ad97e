"""What browsers are told that a page may do."""

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

PAGES = {
    "default-src": [SELF],
    "img-src": [SELF, "data:"],
    "object-src": [NONE],
    "base-uri": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
}
"""Pages load what this site serves, and have no inline scripts or styles. The icons in style sheets are images of
`data:`.
"""

NO_PAGE = {"default-src": [NONE], "base-uri": [NONE], "form-action": [NONE], "frame-ancestors": [NONE]}
"""JSON, CSV and whatever else is no page: one that is opened as a page does nothing."""

ADMIN = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}
"""Unfold's templates are Alpine.js: the browser evaluates what is in their attributes, which is no inline script, and
their colours are an inline style.
"""

UNUSED = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
"""Abilities of a browser that no page here asks for."""


class SecurityHeaders(CSPMiddleware):
    """Middleware. A view that sets a policy of its own keeps it."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only and parts.config is None:
            parts.config = _policy(request, response)
        return parts

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Permissions-Policy", UNUSED)
        return super().process_response(request, response)


def _policy(request: HttpRequest, response: HttpResponseBase) -> dict[str, Any]:
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return NO_PAGE
    return PAGES | ADMIN if request.path.startswith(reverse("admin:index")) else PAGES
