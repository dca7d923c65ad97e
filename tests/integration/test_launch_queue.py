"""The queue is a doorbell: ringing it never makes anybody wait, and who listens never goes deaf."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from kombu.exceptions import OperationalError

from config import bundled
from config.celery import Doorbell
from tests.integration.processes import program
from tests.servers import temporary_home

LONG = 10.0
"""Many times as many seconds as publishing may take, and half of what it would by Celery's own rules."""

pytestmark = pytest.mark.bundled
BASE_DIR = Path(__file__).parents[2]


class Queue:
    """A broker, one worker process with room for one task, and a program that publishes."""

    def __init__(self, servers: bundled.Servers, home: Path) -> None:
        self.broker = servers.valkey
        self._notes = home / "notes"
        self._notes.touch()
        # Not the current app: bells that later tests ring would go to this broker.
        self._app = Doorbell("publisher", set_as_current=False)
        self._app.config_from_object(settings, namespace="CELERY")
        self._app.conf.update(broker_url=servers.redis_url)
        command = [
            sys.executable,
            "-m",
            "celery",
            "--quiet",
            "--app=config",
            "worker",
            "--queues=live",
            "--concurrency=1",
        ]
        with (home / "worker.log").open("wb") as log:
            self.worker = subprocess.Popen(
                [*command, "--include=tests.integration.launch_tasks", "--without-gossip", "--without-mingle"],
                cwd=BASE_DIR,
                env={**os.environ, "REDIS_URL": servers.redis_url, "NOTES": str(self._notes)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        servers.guardian.watch(self.worker.pid)

    def publish(self, text: str, seconds: float = 0) -> float:
        """Returns how long it took, in seconds, whether or not the broker was there."""
        began = time.monotonic()
        with suppress(OperationalError):
            self._app.send_task("tests.note", (text, seconds))
        return time.monotonic() - began

    def arrives(self, text: str, within: float = 90) -> bool:
        deadline = time.monotonic() + within
        while text not in self._notes.read_text().split():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


@pytest.fixture
def queue() -> Iterator[Queue]:
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        queue = Queue(servers, home.root)
        queue.publish("hello")
        assert queue.arrives("hello")
        yield queue


def test_publishing_does_not_wait_for_a_broker_that_is_away_or_frozen(queue: Queue) -> None:
    queue.broker.freeze()
    assert queue.publish("lost") < LONG
    queue.broker.kill()
    assert queue.publish("lost") < LONG
    assert queue.publish("lost") < LONG


def test_a_worker_survives_a_broker_that_freezes_during_its_task(queue: Queue) -> None:
    """With the publisher's limits its acknowledgement was given up, and it never took a task again."""
    queue.publish("before", seconds=1)
    assert queue.arrives("before-begun")
    queue.broker.freeze()
    time.sleep(4)
    queue.broker.thaw()
    queue.publish("after")
    assert queue.arrives("before")
    assert queue.arrives("after")
    assert queue.worker.poll() is None


def test_a_worker_that_has_failed_ends_though_a_task_of_it_goes_on() -> None:
    """As long as its process is there, nobody starts another."""
    with temporary_home() as home, bundled.servers(home, postgres=False) as servers:
        publisher = Doorbell("publisher", set_as_current=False)
        publisher.config_from_object(settings, namespace="CELERY")
        publisher.conf.update(broker_url=servers.redis_url)
        publisher.send_task("tests.forever", queue="live")
        with program("-m", "tests.integration.failing_worker", REDIS_URL=servers.redis_url) as worker:
            worker.wait_for("it goes on for ever")
            servers.valkey.kill()
            assert worker.process.wait(60) == 1


def test_a_worker_survives_a_broker_that_dies_during_its_task(queue: Queue) -> None:
    queue.publish("before", seconds=1)
    assert queue.arrives("before-begun")
    queue.broker.kill()
    time.sleep(4)
    queue.broker.start()
    queue.publish("after")
    assert queue.arrives("before")
    assert queue.arrives("after")
    assert queue.worker.poll() is None
