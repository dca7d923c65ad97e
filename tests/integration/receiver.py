"""Another system that takes webhooks: it notes what comes, and answers as a test wants it to."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message


class Reply(NamedTuple):
    code: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"


class Receiver:
    """`answer` makes the reply to a request, which is noted before; while `held` isn't set nothing is answered."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Reply] = lambda _: Reply()
        self.held = threading.Event()
        self.held.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                one = Received(self.path, dict(self.headers), content, time.time())
                receiver.received.append(one)
                receiver.held.wait(60)
                reply = receiver.answer(one)
                with suppress(ConnectionError):  # who asked doesn't wait any more
                    self.send_response(reply.code)
                    for name, value in (("Content-Length", str(len(reply.body))), *reply.headers):
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(reply.body)

            def log_message(self, *_: Any) -> None:
                """Tests say what they want to know."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [each.message for each in self.received]

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """From now on; a client that doesn't trust it costs nobody anything."""
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.held.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()


def signatures(one: Received) -> tuple[int, list[str]]:
    """When it was signed, and each signature."""
    parts = [part.partition("=") for part in one.headers["Boxoffice-Signature"].split(",")]
    (moment,) = (value for name, _, value in parts if name == "t")
    return int(moment), [value for name, _, value in parts if name == "v1"]
