"""How large a body may be, and how long it may take to come. Django would wait for all of it, whatever it is."""

import asyncio
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest

from eventstore import context
from eventstore.middleware import HEADER, correlation_id
from ordering.api.problems import MEDIA_TYPE, Problem


class Bound(NamedTuple):
    """So many bytes, and so many seconds for all of them."""

    size: int
    seconds: float


LARGEST = 64 * 1024
USUAL = Bound(LARGEST, 10)
UPLOADED = Bound(33 * 1024 * 1024, 60)
"""In the admin, whose forms take files, and say themselves how large they may be."""
DISCARDED = Bound(64 * 1024 * 1024, 10)
"""What is read of a body that is refused: clients that send all before they read get the answer, and no broken pipe."""

MOST_PARTS, LEAST_PART = 4096, 16
"""From so many parts on, of so few bytes on average, a body is not meant to be read: each part takes time."""


def body_of(request: HttpRequest) -> bytes:
    """The body, where no server in front has measured it. Raises `RequestDataTooBig`."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST or len(request.body) > LARGEST:
        raise RequestDataTooBig
    return request.body


class TooLarge(Exception):
    """A body is larger than its bound; `more` of it may be to come."""

    def __init__(self, more: bool) -> None:
        self.more = more


class BodyLimit:
    """ASGI: reads a body up to its limit, and answers 413, 408 or 400 itself where that can't be. Who is slow takes no
    thread.

    Whoever sends in chunks says no length; what stands behind gets one, since DRF takes a body without it for empty.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        bound = UPLOADED if scope["path"].startswith("/admin/") else USUAL
        with SpooledTemporaryFile(max_size=LARGEST) as body:
            try:
                async with asyncio.timeout(bound.seconds):
                    length = await _read(receive, _announced(headers), bound.size, body)
            except TooLarge as error:
                if error.more:
                    await _discard(receive, headers)
                await refuse(Problem.too_large(bound.size // 1024), headers, send)
            except TimeoutError:
                await refuse(Problem.too_slow(), headers, send)
            except SuspiciousOperation:
                await refuse(Problem.malformed(), headers, send)
            except ConnectionAbortedError:
                with suppress(Exception):  # usually nobody is there any more
                    await refuse(Problem.malformed(), headers, send)
            else:
                await self.application(_measured(scope, length), _Replay(body, length, receive), send)


class _Replay:
    """Receives what was read already, and then whatever comes."""

    def __init__(self, body: IO[bytes], length: int, receive: Any) -> None:
        self.body: IO[bytes] | None = body
        self.length = length
        self.receive = receive

    async def __call__(self) -> Any:
        if self.body is None:
            return await self.receive()
        part = self.body.read(LARGEST)
        more = self.body.tell() < self.length
        if not more:
            self.body = None
        return {"type": "http.request", "body": part, "more_body": more}


def _announced(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _read(receive: Any, announced: int, most: int, body: IO[bytes]) -> int:
    """How long the body is, which is in the file then. Raises `TooLarge` as soon as it is, `SuspiciousOperation` for
    crumbs, ConnectionAbortedError for half a body.
    """
    length, parts, more = 0, 0, True
    while more:
        if max(length, announced) > most:
            raise TooLarge(more)
        if parts > MOST_PARTS and length < parts * LEAST_PART:
            raise SuspiciousOperation
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        length += body.write(message.get("body", b""))
        parts += 1
        more = message.get("more_body", False)
    if length > most:
        raise TooLarge(more)
    body.seek(0)
    return length


async def _discard(receive: Any, headers: dict[bytes, bytes]) -> None:
    """Read on, unless the client waits for a word before it sends, or sends so much that it has to be cut off."""
    if b"expect" in headers or _announced(headers) > DISCARDED.size:
        return
    length, more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARDED.seconds):
            while more and length < DISCARDED.size:
                message = await receive()
                length += len(message.get("body", b""))
                more = message.get("more_body", False)


def _measured(scope: Any, length: int) -> Any:
    headers = [each for each in scope["headers"] if each[0] not in {b"content-length", b"transfer-encoding"}]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


async def refuse(problem: Problem, headers: dict[bytes, bytes], send: Any) -> None:
    """Answer in front of Django; the connection ends with it, for there may be more of a body to come."""
    tracing = correlation_id(headers.get(HEADER.lower().encode(), b"").decode("latin-1"))
    with context.acting(correlation_id=tracing):
        content = problem.content()
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(content)).encode()),
                (b"connection", b"close"),
                (HEADER.lower().encode(), str(tracing).encode()),
                *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})
