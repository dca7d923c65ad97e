"""Requests that came without encryption to a site that is reached by HTTPS only."""

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from ordering.api.problems import https_required


class RefuseOverHttp(MiddlewareMixin):
    """Middleware, before Django's that redirects: refuses what changes something, and what carries a token.

    A redirect would hide from whoever sent a password or a token that everybody on the way could read it, and they
    would go on sending it so.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if not settings.SECURE_SSL_REDIRECT or request.is_secure() or _is_exempt(request.path):
            return None
        if request.method in {"GET", "HEAD"} and "Authorization" not in request.headers:
            return None
        return https_required(request)


def _is_exempt(path: str) -> bool:
    return any(re.search(pattern, path.lstrip("/")) for pattern in settings.SECURE_REDIRECT_EXEMPT)
