"""What goes on while a read model is rebuilt: staff who send commands to its orders, and people who read it."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from uuid import UUID

import psycopg

from benchmarks.clients import Clients, Done, Job, Turn, clients
from benchmarks.environment import Variables
from benchmarks.errors import BenchmarkFailed

WRITERS, READERS = 4, 2
WRITES = 100  # a second, of all writers together
READS = 20  # a second, of each reader
COUNTS = 10  # reads from one count to the next
TURN = 2.0  # seconds

_ORDERS = "SELECT order_id FROM ordering_ordersummary ORDER BY md5(order_id::text) LIMIT %s"
_ROWS = "SELECT order_id, as_of, version FROM ordering_ordersummary WHERE order_id = ANY(%s)"
_COUNT = "SELECT count(*) FROM ordering_ordersummary"


class Write(Job):
    """A command to one of the writer's orders, from beginning to end; the read model is fed by a worker."""

    def __init__(self, client: int) -> None:
        from eventstore.commands import dispatch
        from ordering.domain.order import RequestStatusMail

        super().__init__(client)
        self._random, self._orders = Random(client), _orders(1_000 * WRITERS)[client::WRITERS]
        self._command, self._dispatch = RequestStatusMail, dispatch

    def once(self) -> None:
        self._dispatch(self._command(order_id=self._random.choice(self._orders)))


class Read(Job):
    """A look at some orders, and now and then at how many there are. Raises if anything was there before and is not."""

    def __init__(self, client: int) -> None:
        super().__init__(client)
        # Prepared statements would not outlive the table they were prepared for; Django prepares none either.
        self._connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None)
        self._random, self._orders = Random(client), _orders(1_000 * WRITERS)
        self._seen = dict[UUID, tuple[int, int]]()
        self._count = self._times = 0

    def once(self) -> None:
        orders = self._random.sample(self._orders, 20)
        rows = self._connection.execute(_ROWS, [orders]).fetchall()
        if len(rows) < len(orders):
            raise BenchmarkFailed(f"Of {len(orders)} orders {len(rows)} were there.")
        for order_id, *stands in rows:
            before = self._seen.get(order_id, (0, 0))
            if stands[0] < before[0] or stands[1] < before[1]:
                raise BenchmarkFailed(f"Order {order_id} went back from {before} to {stands}.")
            self._seen[order_id] = stands[0], stands[1]
        self._times += 1
        if self._times % COUNTS == 0:
            self._judge_count()

    def _judge_count(self) -> None:
        ((count,),) = self._connection.execute(_COUNT).fetchall()
        if count < self._count:
            raise BenchmarkFailed(f"There were {self._count:,} orders, and then {count:,}.")
        self._count = count


def _orders(most: int) -> list[UUID]:
    """Orders from all over the log, the same ones for whoever asks."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return [order_id for (order_id,) in connection.execute(_ORDERS, [most])]


@dataclass(frozen=True)
class Passed:
    """What passed in a while: how long each write and each read took from when it was due, and writes a second."""

    writes: list[float]
    reads: list[float]
    writes_per_s: float


class Traffic:
    """Writers, and readers each on their own, so that there is never a moment in which nobody reads."""

    def __init__(self, writers: Clients, readers: list[Clients]) -> None:
        self._writers, self._readers = writers, readers

    @contextmanager
    def flowing(self, passed: list[Passed]) -> Iterator[None]:
        """Until the block ends, and adds what passed. Raises `BenchmarkFailed` where a write or a read failed."""
        write = Turn("benchmarks.traffic:Write", TURN, every=WRITERS / WRITES)
        read = Turn("benchmarks.traffic:Read", TURN, every=1 / READS)
        self._writers.prepare(write, WRITERS)
        for reader in self._readers:
            reader.prepare(read, 1)
        over = threading.Event()
        with ThreadPoolExecutor(1 + len(self._readers)) as pool:
            writing = pool.submit(_again_and_again, self._writers, write, WRITERS, over)
            reading = [pool.submit(_again_and_again, reader, read, 1, over) for reader in self._readers]
            try:
                yield
            finally:
                over.set()
        writes, reads = writing.result(), [done for each in reading for done in each.result()]
        passed.append(
            Passed(
                writes=[seconds for done in writes for seconds in done.seconds],
                reads=[seconds for done in reads for seconds in done.seconds],
                writes_per_s=sum(done.rate for done in writes) / len(writes),
            )
        )


@contextmanager
def traffic(variables: Variables) -> Iterator[Traffic]:
    with ExitStack() as stack:
        writers = stack.enter_context(clients(WRITERS, variables))
        yield Traffic(writers, [stack.enter_context(clients(1, variables)) for _ in range(READERS)])


def _again_and_again(some: Clients, turn: Turn, count: int, over: threading.Event) -> list[Done]:
    taken = [some.take(turn, count)]
    while not over.is_set():
        taken.append(some.take(turn, count))
    return taken
