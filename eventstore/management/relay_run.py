"""Publish what comes to the log to the broker that RELAY_URL names, until told to stop."""

import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from eventstore import conf
from eventstore.relay import broker, relay


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Ends when what was begun is published. Raises `CommandError` where no broker is named."""
    if not conf.RELAY_URL.get():
        raise CommandError("There is no RELAY_URL to publish to.")
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    relay.run(stopping, broker.connect)
