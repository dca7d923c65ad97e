"""The site with one business more, in the release that RELEASE names: 1, or 2, which comes after it."""

from config.settings import *  # noqa: F403 - everything else is as it is
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.rollout.apps.RolloutConfig"]
ROOT_URLCONF = "tests.rollout.urls"
