"""The admin of this site: one theme for all, whichever app registers what, and in whatever order.

The reusable apps know nothing of Unfold, so their classes come first and keep every word they say; Unfold's base class
takes the place of Django's.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks
from django.db.models import Model
from unfold.sites import UnfoldAdminSite


class ThemedSite(UnfoldAdminSite):  # type: ignore[misc]  # Unfold has no types
    """Unfold's site, on which a plain admin class is as good as one of Unfold's."""

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[Any] | None = None,
        **options: Any,
    ) -> None:
        super().register(model_or_iterable, themed(admin_class or admin.ModelAdmin), **options)


def themed(plain: type[Any]) -> type[Any]:
    """The same admin, in Unfold's theme."""
    from config.theme import ThemedAdmin  # which needs Django's apps to be there

    if issubclass(plain, ThemedAdmin):
        return plain
    return type(plain.__name__, (plain, ThemedAdmin), {})


class ThemedAdminConfig(SimpleAdminConfig):
    """Django's admin, with this site as the one that `admin.site` stands for. What the apps register is loaded where it
    is served or checked: workers do without.
    """

    default_site = "config.admin.ThemedSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_what_is_registered, checks.Tags.admin)


def _check_what_is_registered(**kwargs: Any) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return check_admin_app(**kwargs)
