"""The Celery application: the queue is only a doorbell, so ringing it may never make a request wait.

Without the limits in the settings a publish took 0.6 s with Redis refusing, and hung with Redis frozen; with them it
takes at most a quarter of a second, and the periodic tick makes good whatever was lost.
"""

import gc
import logging.config
import os
import socket
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    worker_before_create_process,
    worker_process_init,
)
from celery.states import SUCCESS
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu import Connection

from eventstore.monitoring.heartbeat import HeartbeatStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Whoever deploys has run the system checks; a worker that replaces a dead one is to be back at once.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

# Who listens is patient. With a publisher's limits an acknowledgement that found Redis frozen was given up, its place
# stayed taken, and the worker never took a task again. A host that is really gone shows in the keep-alive.
LISTENER = {
    "socket_timeout": None,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): seconds
        for name, seconds in {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}.items()
        if hasattr(socket, name)
    },
}


class ForgivingConnection(Connection):
    """One whose broker may die while messages are unacknowledged: a channel that is closed for the second time then
    looks for an address that was let go of the first time, and the error ended the worker. What it would give back is
    rung for again.
    """

    def maybe_close_channel(self, channel: Any) -> None:
        with suppress(AttributeError):
            super().maybe_close_channel(channel)


class Messaging(AMQP):
    Connection = ForgivingConnection


class Doorbell(Celery):
    """Celery, with one set of limits for who rings (the setting) and another for who listens."""

    amqp_cls = "config.celery:Messaging"

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Connection:
        if (url or self.conf.broker_read_url).startswith("redis"):
            kwargs.setdefault("transport_options", LISTENER)
        return super().connection_for_read(url, **kwargs)


app = Doorbell("boxoffice")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].update((DjangoStructLogInitStep, HeartbeatStep))


@worker_before_create_process.connect
def share_memory(**kwargs: Any) -> None:
    """What is loaded by now is looked at by no garbage collection, which would write to every page of it: the processes
    of a pool share it with each other.
    """
    gc.freeze()


@worker_process_init.connect
def make_ready(**kwargs: Any) -> None:
    """In each process of the pool, after it was forked."""
    from config.startup import prepare_to_append
    from eventstore.monitoring import polling

    prepare_to_append()
    if app.conf.task_default_queue in app.amqp.queues.consume_from:
        polling.start()


@task_prerun.connect
def check_connections(**kwargs: Any) -> None:
    """A task begins on connections that work: one that broke meanwhile is opened anew."""
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        connection.close_if_unusable_or_obsolete()
        if not connection.in_atomic_block:
            connection.close_if_health_check_failed()


@task_postrun.connect
def close_connections_after_failure(state: str | None, **kwargs: Any) -> None:
    """A task that failed may have left a lock that belongs to its session."""
    from django.db import connections

    if state != SUCCESS:
        connections.close_all()


@setup_logging.connect
def log_like_django(**kwargs: Any) -> None:
    """Instead of Celery's own lines."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
