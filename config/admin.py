"""The admin as an app of this site, with a site of its own."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class ThemedAdminConfig(SimpleAdminConfig):
    """Django's admin, with this site as the one that `admin.site` stands for. What the apps register is loaded where it
    is served or checked: workers do without.
    """

    default_site = "config.site.ThemedSite"

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_what_is_registered, checks.Tags.admin)


def _check_what_is_registered(**kwargs: Any) -> list[checks.CheckMessage]:
    admin.autodiscover()
    return check_admin_app(**kwargs)
