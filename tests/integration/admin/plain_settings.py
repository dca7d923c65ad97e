"""The settings of the site, with Django's own admin and without a theme."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as THEMED_APPS

INSTALLED_APPS = [
    "django.contrib.admin" if app == "config.admin.ThemedAdminConfig" else app
    for app in THEMED_APPS
    if not app.startswith("unfold")
]
