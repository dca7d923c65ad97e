"""The admin of this site: one theme for all, whichever app registers what, and in whatever order.

The reusable apps know nothing of Unfold, so their classes come first and keep every word they say; Unfold's base class
takes the place of Django's.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from unfold.sites import UnfoldAdminSite

from ordering import sign_in
from ordering.brakes import Braked


class ThemedSite(UnfoldAdminSite):  # type: ignore[misc]  # Unfold has no types
    """Unfold's site, on which a plain admin class is as good as one of Unfold's."""

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[Any] | None = None,
        **options: Any,
    ) -> None:
        super().register(model_or_iterable, themed(admin_class or admin.ModelAdmin), **options)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """429 where it was tried too often; the form says so."""
        response: HttpResponseBase = super().login(request, extra_context)
        if braked := sign_in.braked(request):
            return _refused(response, braked)
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            sign_in.succeeded(request, response)
        return response

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Who is signed in is asked for the password again, and guesses it no more often than others."""
        form: Callable[[], HttpResponseBase] = partial(super().password_change, request, extra_context)
        if request.method != "POST":
            return form()
        attempt = sign_in.Attempt(request, request.user.get_username(), place="session")
        try:
            attempt.count()
        except Braked as braked:
            messages.error(request, str(braked))
            request.method = "GET"
            return _refused(form(), braked)
        response = form()
        if isinstance(response, HttpResponseRedirect):
            attempt.uncount()
        return response


def themed(plain: type[Any]) -> type[Any]:
    """The same admin, in Unfold's theme."""
    from config.theme import ThemedAdmin  # which needs Django's apps to be there

    if issubclass(plain, ThemedAdmin):
        return plain
    return type(plain.__name__, (plain, ThemedAdmin), {})


def _refused(response: HttpResponseBase, braked: Braked) -> HttpResponseBase:
    response.status_code = 429
    response["Retry-After"] = str(braked.seconds)
    return response
