"""The Celery application of the project, in whose workers there is a probe as well."""

import django

django.setup()

from config.celery import app  # noqa: E402 - Django comes first
from eventstore.subscriptions.registry import registry  # noqa: E402
from eventstore.subscriptions.subscriber import Mode  # noqa: E402
from tests.integration.eventstore.probes import Probe  # noqa: E402

__all__ = ["app"]

registry.register(Probe(mode=Mode.ASYNC))
