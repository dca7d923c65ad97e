"""One request to another system: to the very address that was looked at, within a time, and never anywhere else."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException

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
    """To the one address that its name is resolved to; the certificate still has to be that of the name. Once it is
    ended nobody waits for it any longer.
    """

    def __init__(self, to: Target, timeout: float) -> None:
        super().__init__(to.host, to.port, timeout=timeout)
        self.default_port = 443 if to.tls else 80
        self.to = to
        self.ended = threading.Event()

    def connect(self) -> None:
        address = addresses.resolve(self.to)
        self.sock = socket.create_connection((address, self.to.port), self.timeout)
        if self.to.tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.to.host, do_handshake_on_connect=False)
        if self.ended.is_set():
            raise TimeoutError
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def end(self) -> None:
        self.ended.set()
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # that of TLS would pull it from under who reads


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """Send it, once. Whatever becomes of that is an answer; redirects are one too, and not followed."""
    begun, timeout = time.monotonic(), conf.WEBHOOK_TIMEOUT_SECONDS.get()
    try:
        connection = Connection(addresses.target(url), timeout)
    except UnfitAddress as refusal:
        return Answer(seconds=0.0, error=str(refusal))
    watchdog = threading.Timer(timeout, connection.end)
    watchdog.daemon = True
    watchdog.start()
    try:
        code, told, retry_after = _exchange(connection, body, headers)
    except (OSError, HTTPException, UnfitAddress, UnicodeError) as error:
        late = connection.ended.is_set() or isinstance(error, TimeoutError)
        text = f"No answer within {timeout:g} s." if late else _described(error)
        return Answer(seconds=time.monotonic() - begun, error=text)
    finally:
        watchdog.cancel()
        connection.close()
    return Answer(seconds=time.monotonic() - begun, code=code, body=told, retry_after=retry_after)


def _exchange(connection: Connection, body: bytes, headers: dict[str, str]) -> tuple[int, str, float | None]:
    sent = {"Content-Type": "application/json", "User-Agent": AGENT, "Connection": "close", **headers}
    connection.request("POST", connection.to.path, body, sent)
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
