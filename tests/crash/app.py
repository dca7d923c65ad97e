"""The Celery application of the project, in whose workers there is a side effect as well that must not happen twice."""

import django

django.setup()

from config.celery import app  # noqa: E402 - Django comes first
from eventstore.subscriptions.registry import registry  # noqa: E402
from tests.crash.once import note_once  # noqa: E402

__all__ = ["app"]

registry.register(note_once)
