"""One request to another system: to the very address that was looked at, within a time, and never anywhere else."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

import msgspec

from sagas import conf
from sagas.webhooks import addresses
from sagas.webhooks.addresses import Target, UnfitAddress

READ = 500
"""How many bytes of an answer are read at most."""

AGENT = "Boxoffice-Webhooks/1"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request: a code of HTTP and how the body begins, or an error. Times are in seconds."""

    seconds: float
    code: int | None = None
    error: str = ""
    body: str = ""
    retry_after: float | None = None

    @property
    def accepted(self) -> bool:
        return self.code is not None and 200 <= self.code < 300

    @property
    def gone(self) -> bool:
        """Whether nobody wants it there any more."""
        return self.code == 410


class Connection(HTTPConnection):
    """To an address that its name was resolved to before; the certificate still has to be that of the name."""

    def __init__(self, to: Target, timeout: float) -> None:
        super().__init__(to.host, to.port, timeout=timeout)
        self.default_port = 443 if to.tls else 80
        self._to = to

    def connect(self) -> None:
        address = addresses.resolve(self._to)
        plain = socket.create_connection((address, self._to.port), self.timeout)
        try:
            self.sock = self._wrapped(plain)
        except BaseException:
            plain.close()
            raise

    def _wrapped(self, plain: socket.socket) -> Any:
        if not self._to.tls:
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._to.host)

    def end(self) -> None:
        """Whoever waits for it waits no longer."""
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send it, once. Whatever becomes of that is an answer; redirects are one too, and not followed."""
    begun, timeout = time.monotonic(), conf.WEBHOOK_TIMEOUT_SECONDS.get()
    try:
        connection = Connection(addresses.target(url), timeout)
    except UnfitAddress as refusal:
        return Answer(seconds=0.0, error=str(refusal))
    overdue = threading.Event()

    def give_up() -> None:
        overdue.set()
        connection.end()

    watchdog = threading.Timer(timeout, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        code, told, retry_after = _exchange(connection, body, headers)
    except (OSError, HTTPException, UnfitAddress, UnicodeError) as error:
        late = overdue.is_set() or isinstance(error, TimeoutError)
        text = f"No answer within {timeout:g} s." if late else _described(error)
        return Answer(seconds=time.monotonic() - begun, error=text)
    finally:
        watchdog.cancel()
        connection.close()
    return Answer(seconds=time.monotonic() - begun, code=code, body=told, retry_after=retry_after)


def _exchange(connection: Connection, body: bytes, headers: dict[str, str]) -> tuple[int, str, float | None]:
    sent = {"Content-Type": "application/json", "User-Agent": AGENT, "Connection": "close", **headers}
    connection.request("POST", connection._to.path, body, sent)
    response = connection.getresponse()
    told = ""
    with suppress(OSError, HTTPException):  # the code has come, and is what counts
        told = response.read(READ).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    wait = response.getheader("Retry-After", "").strip()
    return response.status, told, float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 9 else None


def _described(error: Exception) -> str:
    if isinstance(error, UnfitAddress):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Its certificate is not accepted: {error.verify_message}."
    if isinstance(error, socket.gaierror):
        return "Its name has no address."
    return (
        f"{type(error).__name__}: {error.strerror or error}"[:300]
        if isinstance(error, OSError)
        else (f"This is no answer of HTTP: {type(error).__name__}.")
    )
