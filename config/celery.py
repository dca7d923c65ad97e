"""The Celery application: the queue is only a doorbell, so nothing here may ever make a request wait.

Without these limits a publish took 0.6 s with Redis refusing and hung with Redis frozen; with them it takes at most a
quarter of a second, and the periodic tick makes good whatever was lost.
"""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("boxoffice")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def log_like_django(**kwargs: Any) -> None:
    """Instead of Celery's own lines."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
