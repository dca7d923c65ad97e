"""Who follows the feed: many connections in one process, which notes what it reads when, and looks at it afterwards.

They speak HTTP/1.0, whose answers come without the lengths of chunks between them.
"""

import asyncio
import re
import socket
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.clients import spawning
from benchmarks.errors import BenchmarkFailed
from benchmarks.rounds import percentiles

FORMS = ("application/x-ndjson", "text/event-stream")
AT_ONCE = 8  # how many connect, each of which takes a thread of the site until its answer begins
PATIENCE = 120.0  # seconds
SMALL = 4096  # bytes that are received for who never reads

_EVENT = re.compile(rb'^(?:data: )?\{"position":(\d+)', re.MULTILINE)


class Site(NamedTuple):
    """What is followed."""

    port: int
    token: str

    def request(self, after: int, form: str) -> bytes:
        lines = f"GET /api/v1/events?after={after} HTTP/1.0", "Host: localhost", f"Accept: {form}"
        return "\r\n".join([*lines, f"Authorization: Token {self.token}", "", ""]).encode()


class Committed(NamedTuple):
    """What was committed: the position of the first, how many with it there are, and when the last of them were."""

    first: int
    number: int
    moments: Sequence[float]


class Heard(NamedTuple):
    p50_ms: float
    p99_ms: float
    missed: int
    repeated: int


class Followers:
    """The process, from outside."""

    def __init__(self, site: Site, number: int, after: int) -> None:
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(theirs, site, number, after), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    def heard(self, committed: Committed) -> Heard:
        """What all of them read of it, once they have read the last."""
        self._pipe.send(committed)
        return Heard(*self._answer())

    def close(self) -> None:
        self._pipe.close()
        self._process.join(5)
        self._process.kill()

    def _answer(self) -> tuple[float, float, int, int]:
        try:
            answer = self._pipe.recv() if self._pipe.poll(PATIENCE * 2) else "The followers don't answer."
        except EOFError:
            answer = "The followers' process ended."
        if isinstance(answer, str):
            raise BenchmarkFailed(answer)
        found: tuple[float, float, int, int] = answer
        return found


@contextmanager
def following(site: Site, number: int, after: int) -> Iterator[Followers]:
    """So many, half of them in each form, from when all are there until the block ends."""
    followers = Followers(site, number, after)
    try:
        yield followers
    finally:
        followers.close()


@contextmanager
def stuck(site: Site, after: int) -> Iterator[None]:
    """One more, who never reads."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        connection.connect(("127.0.0.1", site.port))
        connection.sendall(site.request(after, FORMS[0]))
        yield


class _Follower(asyncio.Protocol):
    """Notes at which moment it had read which events."""

    def __init__(self) -> None:
        self.begun = asyncio.get_running_loop().create_future()
        self.reached = 0
        self.read = list[tuple[float, list[int]]]()
        self._begin, self._rest = b"", b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        lines, _, self._rest = (self._rest + data).rpartition(b"\n")
        if not self.begun.done():
            self._begin += lines
            if b"\r\n\r" in self._begin:
                self.begun.set_result(self._begin.split(b"\r\n", 1)[0].decode())
        if found := [int(position) for position in _EVENT.findall(lines)]:
            self.read.append((now, found))
            self.reached = found[-1]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_result("closed before it began")


def _serve(pipe: Connection, site: Site, number: int, after: int) -> None:
    """The life of the process: until its pipe is closed."""
    try:
        asyncio.run(_follow(pipe, site, number, after))
    except EOFError:
        return
    except Exception:  # whatever it is: who measures raises it there
        pipe.send(traceback.format_exc())


async def _follow(pipe: Connection, site: Site, number: int, after: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def come(form: str) -> _Follower:
        async with room:
            transport, follower = await asyncio.get_running_loop().create_connection(_Follower, "127.0.0.1", site.port)
            transport.write(site.request(after, form))
            status = await asyncio.wait_for(follower.begun, PATIENCE)
        if " 200 " not in status:
            raise BenchmarkFailed(f"A follower is answered: {status}")
        return follower

    followers = await asyncio.gather(*(come(FORMS[each % len(FORMS)]) for each in range(number)))
    pipe.send((0.0, 0.0, 0, 0))
    while True:
        committed = await asyncio.to_thread(pipe.recv)
        last = committed.first + committed.number - 1
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and min(each.reached for each in followers) < last:
            await asyncio.sleep(0.1)
        pipe.send(_heard(followers, committed))


def _heard(followers: Sequence[_Follower], committed: Committed) -> Heard:
    seconds, missed, repeated = list[float](), 0, 0
    unmeasured = committed.first + committed.number - len(committed.moments)
    for follower in followers:
        read = [position for _, positions in follower.read for position in positions]
        missed += len(set(range(committed.first, committed.first + committed.number)) - set(read))
        repeated += len(read) - len(set(read))
        seconds += [
            moment - committed.moments[position - unmeasured]
            for moment, positions in follower.read
            for position in positions
            if position >= unmeasured
        ]
    return Heard(*percentiles(seconds), missed, repeated)
