import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from config.bundled.valkey import free_port
from config.run import MANY


@pytest.fixture
def quick_passwords(settings: Any) -> None:
    """A hash that costs nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


Site = Callable[..., Any]


@pytest.fixture(scope="module")
def sites(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """Starts the real server, with what the environment shall say besides; yields its address."""
    from eventstore.testing import reset

    with django_db_blocker.unblock():
        reset()
        yield _serve


@contextmanager
def _serve(**environment: str) -> Iterator[str]:
    port = free_port()
    granian = [sys.executable, "-m", "granian", "--interface=asginl", *MANY]
    command = [*granian, f"--port={port}", "config.asgi:application"]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        _wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=90)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(900):
        if process.poll() is not None:
            break
        with suppress(OSError), urllib.request.urlopen(f"{address}/healthz", timeout=5):  # noqa: S310 - an address of ours
            return
        time.sleep(0.1)
    pytest.fail("The site does not answer.")
