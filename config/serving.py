"""The site under ASGI: every request in one of a few threads, and a bounded queue before them."""

from asyncio import wrap_future
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Semaphore
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections, connections
from django.http import HttpRequest, HttpResponseBase

from config.unavailable import crowded

T = TypeVar("T")

LOOKS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Where machines look how this process is. They have threads of their own, and with them connections: a crowd, or what
waits for a lock, is no reason to take a site for dead.
"""


class QueueFull(Exception):
    """As many are at work and waiting as there is room for."""


class Threads:
    """A number of threads, and room for so many calls that wait for one. Who comes first is served first."""

    def __init__(self, name: str, number: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(number, thread_name_prefix=name)
        self._room = Semaphore(number + queue)

    async def run(self, call: Callable[[], T]) -> T:
        """What the call returns, made in a thread with the context of this task. One that is cancelled before its turn,
        since its client has left, is never made. Raises `QueueFull` at once.
        """
        if not self._room.acquire(blocking=False):
            raise QueueFull
        future = self._executor.submit(copy_context().run, call)
        future.add_done_callback(lambda _: self._room.release())
        return await wrap_future(future)


class Site(ASGIHandler):
    """Django's handler, which on its own gives each request threads that nobody counts, and each hop between middleware
    another.

    A thread keeps its connection to the database for the next request. So none waits for a connection, and one that was
    lost is replaced by whoever notices.
    """

    def __init__(self) -> None:
        super().__init__()
        self._threads = Threads("site", settings.SITE_THREADS, settings.SITE_QUEUE)
        self._looks = Threads("look", 2, 100)

    def load_middleware(self, is_async: bool = False) -> None:
        """All of it is synchronous, and runs in the thread of the request."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        threads = self._looks if request.path in LOOKS else self._threads
        try:
            return await threads.run(partial(self._answer, request))
        except QueueFull:
            return crowded(request)

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        """Django's signals, which look after connections, are heard in other threads."""
        close_old_connections()
        try:
            return self.get_response(request)
        finally:
            close_old_connections()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Without a thread for each request that lives as long: what Django still does in one, which takes no time, all
        requests do in the same.
        """
        assert scope["type"] == "http"
        await self.handle(scope, receive, send)

    async def send_response(self, response: HttpResponseBase, send: Any) -> None:
        """What is streamed is made meanwhile; what can't wait without a thread gets one until all is sent."""
        if not response.streaming or getattr(response, "is_async", False):
            await super().send_response(response, send)
            return
        async with ThreadSensitiveContext():
            try:
                await super().send_response(response, send)
            finally:
                await sync_to_async(connections.close_all)()
