"""Real processes beside the test's: a site, a Celery worker, the clock, a mail server that can be told to misbehave."""

import asyncio
import os
import signal
import socket
import struct
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
from config.run import MANY

BASE_DIR = Path(__file__).parent.parent.parent
ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")
"""Workers have nothing to tell each other, and asking who is there takes one a second before it begins."""

STANDSTILL = 2.0
"""Seconds that may lie between two looks, before the machine is taken to have stood still."""


def eventually(condition: Callable[[], Any], seconds: float = 60, what: str = "", *, pause: float = 0.02) -> Any:
    """What the condition answers, as soon as it is true; fails when it is not in time. `pause` spares what is slow.

    While the machine stands still nobody has time to make it true, so that doesn't count.
    """
    left, begun = seconds, time.monotonic()
    while not (answer := condition()):
        if left <= 0:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(pause)
        left -= min(time.monotonic() - begun, STANDSTILL)
        begun = time.monotonic()
    return answer


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
def worker(
    *,
    queues: str = "live,rebuild,effects",
    concurrency: int = 2,
    app: str = "config",
    beats: bool = False,
    **environment: str,
) -> Iterator[Program]:
    """A Celery worker with a pool of processes, as `make run` starts it; of the app in another module if need be. The
    clock `beats` in it if that is said, and one process more does what it asks for: one program to start, and not
    three.
    """
    if beats:
        queues, concurrency = f"{queues},clock", concurrency + 1
    pool = ("-Q", queues, "-c", str(concurrency), "-n", f"{os.urandom(4).hex()}@%h")
    beat = ("-B", "-s", f"{os.environ['BOXOFFICE_HOME']}/beat-{os.urandom(4).hex()}") if beats else ()
    arguments = ("-m", "celery", "-A", app, "worker", *ALONE, *pool, *beat)
    with program(*arguments, ready="ready.", **environment) as started:
        yield started


@contextmanager
def clock(*, app: str = "config", **environment: str) -> Iterator[Program]:
    """Celery's beat, and the worker that does what it asks for."""
    schedule = f"{os.environ['BOXOFFICE_HOME']}/beat-{os.urandom(4).hex()}"
    celery = ("-m", "celery", "-A", app)
    ticker = (*celery, "worker", *ALONE, "-Q", "clock", "-P", "solo", "-n", f"{os.urandom(4).hex()}@%h")
    with program(*celery, "beat", "-s", schedule, **environment), program(*ticker, **environment) as started:
        yield started


@contextmanager
def server(port: int = 0, **environment: str) -> Iterator[str]:
    """The site as `make run` serves it, at this port if it is said; yields its address."""
    port = port or free_port()
    Path(os.environ["BOXOFFICE_HOME"], "static").mkdir(parents=True, exist_ok=True)
    granian = ("granian", "--interface=asginl", "--respawn-failed-workers", *MANY)
    address = ("--host=127.0.0.1", f"--port={port}")
    with program("-m", *granian, *address, "config.asgi:application", ready="Started worker", **environment):
        yield f"http://127.0.0.1:{port}"


class MailServer:
    """Takes mail over SMTP, unless it is told to misbehave.

    `replies` are what it says instead of OK, by command: RCPT, or DATA (when it has got it all). While `hold` is set,
    DATA stays without an answer, and ever so for mail to `slow` domains. If it `hangs_up` it takes the mail and closes
    the connection without a word; if it `resets`, nobody gets as far as a greeting.
    """

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.replies: dict[str, str] = {}
        self.held = threading.Event()
        self.hold = self.hangs_up = self.resets = False
        self.slow: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self.replies:
            return self.replies["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self._holds(envelope):
            self.held.set()
            while self._holds(envelope):
                await asyncio.sleep(0.05)
            return "451 Never mind"
        if "DATA" in self.replies:
            return self.replies["DATA"]
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 OK"

    def _holds(self, envelope: Envelope) -> bool:
        return self.hold or any(to.rpartition("@")[2] in self.slow for to in envelope.rcpt_tos)


class _Connection(SMTP):
    """One that its server may reset at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.event_handler.resets:
            at_once = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            assert isinstance(transport, asyncio.Transport)
            transport.abort()


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Connection(self.handler, **self.SMTP_kwargs)


@contextmanager
def mail_server(port: int = 0) -> Iterator[tuple[MailServer, str]]:
    """A running mail server, at this port if it is said, and the EMAIL_URL that leads to it."""
    server = MailServer()
    controller = _Controller(server, hostname="127.0.0.1", port=port or free_port())
    controller.start()
    try:
        yield server, f"smtp://127.0.0.1:{controller.port}"
    finally:
        server.hold = False
        server.slow.clear()
        controller.stop()


def text(mail: EmailMessage, kind: str = "plain") -> str:
    """What one part of a mail says."""
    body = mail.get_body((kind,))
    assert body
    content: str = body.get_content()
    return content
