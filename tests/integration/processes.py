"""Real processes beside the test's: a Celery worker, the clock, a mail server that can be told to misbehave."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.bundled.valkey import free_port

BASE_DIR = Path(__file__).parent.parent.parent


def eventually(condition: Callable[[], Any], seconds: float = 30, what: str = "") -> Any:
    """What the condition answers, as soon as it is true; fails when it is not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or condition}")


class Program:
    """A process of its own group, with what it prints."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed with the program
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            env={**os.environ, **environment},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def kill(self) -> None:
        """At once, with all its children: no process gets to clean up."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def wait_for(self, text: str) -> None:
        def printed() -> bool:
            assert self.process.poll() is None, self.output
            return text in self.output

        try:
            eventually(printed, 60, text)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None


@contextmanager
def program(*arguments: str, ready: str = "", **environment: str) -> Iterator[Program]:
    started = Program(*arguments, **environment)
    try:
        if ready:
            started.wait_for(ready)
        yield started
    finally:
        started.kill()


@contextmanager
def worker(*, queues: str = "live,rebuild,effects", concurrency: int = 2, **environment: str) -> Iterator[Program]:
    """A Celery worker with a pool of processes, as `make run` starts it."""
    arguments = (
        "-m",
        "celery",
        "-A",
        "config",
        "worker",
        "-Q",
        queues,
        "-c",
        str(concurrency),
        "-n",
        f"{os.urandom(4).hex()}@%h",
    )
    with program(*arguments, ready="ready.", **environment) as started:
        yield started


@contextmanager
def clock(**environment: str) -> Iterator[Program]:
    """Celery's beat, and the worker that does what it asks for."""
    schedule = f"{os.environ['BOXOFFICE_HOME']}/beat-{os.urandom(4).hex()}"
    celery = ("-m", "celery", "-A", "config")
    ticker = (*celery, "worker", "-Q", "clock", "-P", "solo", "-n", f"{os.urandom(4).hex()}@%h")
    with program(*celery, "beat", "-s", schedule, **environment), program(*ticker, **environment) as started:
        yield started


class MailServer:
    """Takes mail over SMTP. While `hold` is set, DATA stays without an answer."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.held = threading.Event()
        self.hold = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.hold:
            self.held.set()
            while self.hold:
                await asyncio.sleep(0.05)
            return "451 Never mind"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[MailServer, str]]:
    """A running mail server, and the EMAIL_URL that leads to it."""
    server = MailServer()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield server, f"smtp://127.0.0.1:{controller.port}"
    finally:
        server.hold = False
        controller.stop()
