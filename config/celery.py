"""The Celery application: the queue is only a doorbell, so nothing here may ever make a request wait.

Without these limits a publish took 0.6 s with Redis refusing and hung with Redis frozen; with them it takes at most a
quarter of a second, and the periodic tick makes good whatever was lost.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("boxoffice")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
