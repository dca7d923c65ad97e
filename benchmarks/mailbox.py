"""A mail server of our own that takes every mail and notes when it came."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from config.bundled.valkey import free_port


class Mailbox:
    """When each mail came, by the monotonic clock, and to whom."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, str]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        self.arrivals.append((time.monotonic(), envelope.rcpt_tos[0]))
        return "250 OK"


@contextmanager
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A running mail server, and the EMAIL_URL that leads to it."""
    taken = Mailbox()
    controller = Controller(taken, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield taken, f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()
