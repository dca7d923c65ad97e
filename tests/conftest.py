import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from pytest_django import DjangoDbBlocker
from redis import Redis

from config.bundled import valkey
from tests.servers import ServersPlugin

TESTS = Path(__file__).parent
LONGEST = (
    *("integration/test_watch", "crash", "integration/test_benchmarks", "chaos", "integration/test_launch"),
    *("acceptance", "browser"),
)
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Sets the environment of a process that runs tests, and only then lets Django read its settings."""
    # A shell lets what it runs in the background ignore Ctrl-C, and with it every program that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        take_ports(int(config.workerinput["workerid"].removeprefix("gw")))
        read_settings(config.workerinput["environment"])
        return
    plugin = ServersPlugin()
    config.pluginmanager.register(plugin, "boxoffice-servers")
    if config.getoption("dist", "no") == "no":
        read_settings(plugin.environment())
    else:
        # This process runs no tests, and the workers inherit its environment: with this they would read their settings
        # before they are told where their database is.
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, lest one process has it left when the others are done."""

    def turn(item: pytest.Item) -> int:
        path = str(item.path.relative_to(TESTS))
        return next((number for number, begin in enumerate(LONGEST) if path.startswith(begin)), len(LONGEST))

    items.sort(key=turn)


def take_ports(number: int) -> None:
    """What one process of tests keeps for later, such as the port of a mail server that is down, no other is given.
    10080 is one that browsers go nowhere near.
    """
    valkey.PORTS = range(11000 + 1000 * number, 12000 + 1000 * number)


def read_settings(environment: dict[str, str]) -> None:
    from django.conf import settings

    assert not settings.configured, "Settings were read before the servers were known: unset DJANGO_SETTINGS_MODULE."
    os.environ.update(environment)
    assert settings.DATABASES["default"]["NAME"] in environment["DATABASE_URL"]
    # A busy machine leaves this process alone for a second at times, and where no worker runs nobody goes on for it.
    settings.EVENTSTORE_FEEDER_IDLE_SECONDS = 10.0
    settings.EVENTSTORE_SETTLE_SECONDS = 20.0


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The database was made as a production one is; here it is migrated, by its owner."""
    from django.core.management import call_command

    with django_db_blocker.unblock():
        call_command("migrate", database="owner", interactive=False, verbosity=0)


@pytest.fixture
def clean(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Empty tables and queues, and transactions that really commit: commands refuse to run inside somebody else's."""
    from django.conf import settings
    from django.db import connections

    from eventstore.testing import reset

    with django_db_blocker.unblock():
        reset()
        with Redis.from_url(settings.REDIS_URL) as broker:
            broker.flushdb()
        yield
        connections.close_all()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without one the tests fail: they are not to be skipped unnoticed."""
    if not CHROMIUM.exists():
        pytest.fail(f"The tests need a browser at {CHROMIUM}: apt-get install chromium", pytrace=False)
    expect.set_options(timeout=60_000)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, which Django would take for our own; and other modules need a
        # thread without one.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as launched:
            yield launched
