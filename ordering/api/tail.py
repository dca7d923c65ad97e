"""The end of the log, read once for all who follow it in this process: none of them takes a thread or a connection."""

import asyncio
import signal
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from typing import TypeVar
from uuid import UUID

import structlog
from django.db import close_old_connections

from eventstore import feed, identity, store
from eventstore.error_texts import describe
from eventstore.feed import Entry, Page, Wanted
from eventstore.transient_errors import OUTAGES, is_infrastructure

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST = 1_000
"""How many may follow in one process."""

KEPT = 2_000
"""How many of the newest events are kept for all; who is further behind reads pages of the log."""

PAGES = 100
"""How many pages of the newest are made once for all who ask for them."""

SOONEST, FOR_EACH = 0.02, 0.0001
"""Seconds between two looks at the log, and what each follower adds to them: each is told after a look."""

OUTAGE = 1.0
"""Seconds until the next look when there is no database."""


class Interrupted(Exception):
    """Nobody can follow on: the log is another one by now, so its positions mean other events, or it can't be read."""


class Tail:
    """Reads what comes to the log while anybody follows it, and keeps the newest of that."""

    def __init__(self) -> None:
        self.followers = 0
        self.grown = asyncio.Event()
        self._is_ending = False
        self._newest: Newest | None = None
        self._looking: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "tail")
        self._pages = ThreadPoolExecutor(2, "feed")

    @property
    def is_full(self) -> bool:
        return self.followers >= MOST

    @contextmanager
    def following(self, epoch: UUID, after: int, wanted: Wanted, most: int) -> Iterator["Follower"]:
        self.followers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield Follower(self, epoch, after, wanted, most)
        finally:
            self.followers -= 1

    async def page(self, epoch: UUID, after: int, wanted: Wanted, most: int) -> Page:
        """The next of the log after a position. Raises `Interrupted`."""
        newest = self._newest
        if self._is_ending or (newest and newest.epoch != epoch):
            raise Interrupted
        if newest and newest.begin <= after <= newest.end:
            return newest.page(after, wanted, most)
        try:
            page, here = await _in(self._pages, lambda: (feed.read(after, wanted, most), identity.epoch()))
        except OUTAGES as error:
            log.warning("feed_not_read", error=describe(error))
            raise Interrupted from None
        if here != epoch or page.horizon < after:
            raise Interrupted
        return page

    async def _look(self) -> None:
        try:
            with _when_to_stop(self._end):
                while self.followers:
                    await asyncio.sleep(await self._looked())
        finally:
            self._looking = self._newest = None
            self.grown = asyncio.Event()  # whoever follows next may do so in another loop

    def _end(self) -> None:
        """The server waits until all answers have ended."""
        self._is_ending = True
        self.grown.set()

    async def _looked(self) -> float:
        """Look at the log once; answers when to look again, in seconds. Without a database nothing comes."""
        before = self._newest
        try:
            self._newest = await _in(self._thread, before.grown if before else Newest.begun)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("feed_not_read", error=describe(error))
            else:
                log.exception("feed_not_read")
            return OUTAGE
        if self._newest is not before:
            self.grown.set()
            self.grown = asyncio.Event()
        return SOONEST + FOR_EACH * self.followers


class Newest:
    """All of a log that came after `begin`, up to `end`."""

    def __init__(self, epoch: UUID | None, begin: int, end: int, entries: Sequence[Entry] = ()) -> None:
        self.epoch, self.begin, self.end, self._entries = epoch, begin, end, entries
        self._pages = dict[tuple[int, Wanted, int], Page]()

    @classmethod
    def begun(cls) -> "Newest":
        end = feed.end()
        return cls(identity.epoch(), end, end)

    def page(self, after: int, wanted: Wanted, most: int) -> Page:
        """At least so many, if there are: what has one position stays together. Most who follow ask for the same."""
        asked = after, wanted, most
        page = self._pages.get(asked)
        if page is None:
            if len(self._pages) == PAGES:
                self._pages.clear()
            page = self._pages[asked] = self._page(*asked)
        return page

    def _page(self, after: int, wanted: Wanted, most: int) -> Page:
        first = bisect_right(self._entries, after, key=_position)
        found = self._entries[first : first + most]
        if first + most >= len(self._entries):
            return Page([each for each in found if each in wanted], self.end, self.end)
        reached = found[-1].position
        found = self._entries[first : bisect_right(self._entries, reached, key=_position)]
        return Page([each for each in found if each in wanted], reached, self.end)

    def grown(self) -> "Newest":
        """Itself, or what it is once more has come; of another log, what begins there."""
        end = feed.growth(self.end)
        if end < self.end or identity.epoch() != self.epoch:
            return Newest.begun()
        if end == self.end:
            return self
        came = store.read_any(self.end, end, KEPT)
        reached = came[-1].position if len(came) == KEPT else end
        entries = [*self._entries, *(entry for each in came for entry in feed.entries_of(each))]
        gone, kept = entries[:-KEPT], entries[-KEPT:]
        return Newest(self.epoch, gone[-1].position if gone else self.begin, reached, kept)


class Follower:
    """One who follows the log. `next` is where to go on, `horizon` how far the log has come."""

    def __init__(self, tail: Tail, epoch: UUID, after: int, wanted: Wanted, most: int) -> None:
        self.next = self.horizon = after
        self._tail, self._epoch, self._wanted, self._most = tail, epoch, wanted, most

    async def more(self, seconds: float) -> Sequence[Entry]:
        """The next events, as soon as there are any; none when there were none for so long. Raises `Interrupted`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            grown = self._tail.grown
            page = await self._tail.page(self._epoch, self.next, self._wanted, self._most)
            moved, self.next, self.horizon = page.next > self.next, page.next, page.horizon
            if page.entries or loop.time() >= until:
                return page.entries
            if not moved:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await grown.wait()


def _position(entry: Entry) -> int:
    return entry.position


@contextmanager
def _when_to_stop(act: Callable[[], None]) -> Iterator[None]:
    """Hears of SIGTERM as well: the server's own handler is that of the event loop, which is told by another way."""
    if current_thread() is not main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(act))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


async def _in(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    """What the call returns. Django's signals, which look after connections, are heard in other threads."""

    def called() -> T:
        close_old_connections()
        try:
            return call()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(threads, called)
