"""The settings of Boxoffice, and the plain sale beside it."""

from config.settings import *  # noqa: F403 - all but a few are the same
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.plain"]
