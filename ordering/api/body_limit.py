"""How large a body may be. Django would read it all before the first view could refuse."""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from eventstore import context
from eventstore.middleware import HEADER, correlation_id
from ordering.api.problems import MEDIA_TYPE, Problem

LARGEST = 64 * 1024
PREFIX = "/api/"


def body_of(request: HttpRequest) -> bytes:
    """The body, where no server in front has measured it. Raises `RequestDataTooBig`."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST or len(request.body) > LARGEST:
        raise RequestDataTooBig
    return request.body


class BodyLimit:
    """ASGI: reads the body of a call of the API up to the limit, and answers 413 without reading on.

    Whoever sends in chunks says no length; what stands behind gets one, since DRF takes a body without it for empty.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            body = await _read(receive, _announced(headers))
        except ConnectionAbortedError:
            return
        except RequestDataTooBig:
            await _refuse(headers, send)
            return
        kept = [
            (name, value) for name, value in scope["headers"] if name not in {b"content-length", b"transfer-encoding"}
        ]
        measured = {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
        await self.application(measured, _Replay(body, receive), send)


class _Replay:
    """Receives what was read already, and then whatever comes."""

    def __init__(self, body: bytes, receive: Any) -> None:
        self.body: bytes | None = body
        self.receive = receive

    async def __call__(self) -> Any:
        if self.body is None:
            return await self.receive()
        body, self.body = self.body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _announced(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _read(receive: Any, announced: int) -> bytes:
    """The whole body. Raises `RequestDataTooBig` as soon as that is known, ConnectionAbortedError for half a body."""
    body, more = b"", True
    while more:
        if max(len(body), announced) > LARGEST:
            raise RequestDataTooBig
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > LARGEST:
        raise RequestDataTooBig
    return body


async def _refuse(headers: dict[bytes, bytes], send: Any) -> None:
    tracing = correlation_id(headers.get(HEADER.lower().encode(), b"").decode("latin-1"))
    with context.acting(correlation_id=tracing):
        content = Problem.too_large().content()
    await send(
        {
            "type": "http.response.start",
            "status": 413,
            "headers": [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", str(len(content)).encode()),
                (b"connection", b"close"),
                (HEADER.lower().encode(), str(tracing).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})
