"""Reads that wait until their read models have come to a position: all of a process together, in front of Django, which
would keep a thread for each.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.urls import Resolver404, resolve

from eventstore.error_texts import describe
from eventstore.subscriptions import visibility
from eventstore.subscriptions.visibility import Progress
from ordering import conf
from ordering.api import min_position
from ordering.api.body_limit import refuse
from ordering.api.problems import Problem
from ordering.api.views import View

log = structlog.get_logger(__name__)

SOONEST, LATEST = 0.01, 0.05
"""Seconds between two looks: the longer nothing moves the more."""


class Awaited(NamedTuple):
    """What one request waits for: that these read models have come to a position, and to be told so."""

    read_models: tuple[str, ...]
    position: int
    told: asyncio.Future[None]

    def is_over(self, progress: Progress) -> bool:
        """Also where the log itself has not come so far: that is for the view to say."""
        return self.position > progress.end or self.position <= progress.slowest(self.read_models)


class Lookout:
    """Looks how far read models have come, in a thread of its own, while anybody waits for that."""

    def __init__(self) -> None:
        self.awaited: set[Awaited] = set()
        self._came = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "lookout")
        self._looking: asyncio.Task[None] | None = None

    def add(self, awaited: Awaited) -> None:
        self.awaited.add(awaited)
        self._came.set()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Who comes is looked for at once. When it can't be known, everybody is told, to find out by themselves."""
        pause = SOONEST
        try:
            while asked := set(self.awaited):
                self._came.clear()
                names = {name for each in asked for name in each.read_models}
                progress = await asyncio.get_running_loop().run_in_executor(self._thread, _progress, names)
                over = [each for each in asked if each.is_over(progress)]
                self._tell(over)
                pause = SOONEST if over else min(1.5 * pause, LATEST)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._came.wait(), pause)
        except Exception as error:
            log.warning("read_models_not_seen", error=describe(error))
            self._tell(set(self.awaited))
        finally:
            self._looking = None

    def _tell(self, awaited: Iterable[Awaited]) -> None:
        for each in awaited:
            self.awaited.discard(each)
            if not each.told.done():
                each.told.set_result(None)


class Waiting:
    """ASGI, behind what has read the body: a read with `Min-Position` waits here, without a thread or a connection of
    its own. Then it goes on, whatever came of it; its view asks again before it reads.

    As many can wait as there is room for once they go on.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self._lookout = Lookout()
        self._most = settings.SITE_THREADS + settings.SITE_QUEUE

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = _asked(scope) if scope["type"] == "http" else None
        if asked is None:
            await self.application(scope, receive, send)
        elif len(self._lookout.awaited) >= self._most:
            log.warning("queue_full", path=scope["path"])
            await refuse(Problem.crowded(), dict(scope["headers"]), send)
        else:
            body = await receive()
            left = asyncio.ensure_future(receive())
            try:
                await self._wait(Awaited(*asked, asyncio.get_running_loop().create_future()), left)
                if not left.done():
                    await self.application(scope, _Replay(body, left), send)
            finally:
                left.cancel()

    async def _wait(self, awaited: Awaited, left: asyncio.Future[Any]) -> None:
        """Until it is told, the client has left, or time is up."""
        self._lookout.add(awaited)
        try:
            seconds = conf.MIN_POSITION_SECONDS.get()
            await asyncio.wait({awaited.told, left}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lookout.awaited.discard(awaited)


class _Replay:
    """Receives what was received already, and then that the client has left."""

    def __init__(self, body: Any, left: asyncio.Future[Any]) -> None:
        self._messages = [body]
        self._left = left

    async def __call__(self) -> Any:
        return self._messages.pop() if self._messages else await self._left


def _asked(scope: Any) -> tuple[tuple[str, ...], int] | None:
    """The read models that a request reads, and the position that it asks for, if it is right to ask."""
    headers = [value for name, value in scope["headers"] if name == min_position.HEADER.lower().encode()]
    if len(headers) != 1 or scope["method"] not in {"GET", "HEAD"}:
        return None
    position = min_position.parse(headers[0].decode("latin-1"))
    try:
        view = getattr(resolve(scope["path"]).func, "cls", None)
    except Resolver404:
        return None
    read_models = view.read_models() if isinstance(view, type) and issubclass(view, View) else ()
    return (read_models, position) if read_models and position is not None else None


def _progress(names: set[str]) -> Progress:
    """Django's signals, which look after connections, are heard in other threads."""
    close_old_connections()
    try:
        return visibility.progress(names)
    finally:
        close_old_connections()
