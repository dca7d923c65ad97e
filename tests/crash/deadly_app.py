"""The Celery application of the project, in whose workers there is a side effect as well that kills them."""

import django

django.setup()

from config.celery import app  # noqa: E402 - Django comes first
from eventstore.subscriptions.registry import registry  # noqa: E402
from tests.crash.deadly import die  # noqa: E402

__all__ = ["app"]

registry.register(die)
