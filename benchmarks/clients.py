"""Client processes: fresh interpreters with connections of their own, told over pipes what to do again and again.

All are made once and idle until a turn needs them. A turn has three steps, so that no process starts measuring while
another still connects: every client warms up, all report, and all begin at one agreed moment of the monotonic clock,
which is the same in all processes. To `prepare` for a turn beforehand keeps its first steps out of other measurements.
"""

import os
import signal
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection

import django

from benchmarks.environment import Variables
from benchmarks.errors import BenchmarkFailed

# Forking would share connections and locks between processes.
spawning = get_context("spawn")

FIRST_TIMES = 50  # until statements are prepared and their plans are kept
SOON = 0.02  # seconds, for the word to get round
READY: tuple[float, list[float]] = 0.0, []
PATIENCE = 120.0  # seconds for one step of a turn, beyond what it is to take


class Job(ABC):
    """Something a client does again and again. Made once in each process that has to do it."""

    def __init__(self, client: int) -> None:
        self.client = client

    @abstractmethod
    def once(self) -> float | None:
        """What is counted and timed. Answers when it was over, if that is not the moment it returns,
        which counts only with a pace.
        """


@dataclass(frozen=True)
class Turn:
    """What clients do for a while: `job` is a path such as "benchmarks.writers:Insert", `options` its arguments.

    `every` is the pace of each client: seconds from one beginning to the next, whatever becomes of it. Without a pace
    each time begins when the last one is over. A client that has made the job does it `first_times` before it is ready.
    """

    job: str
    seconds: float
    options: tuple[tuple[str, int], ...] = ()
    every: float = 0.0
    first_times: int = FIRST_TIMES


@dataclass(frozen=True)
class Done:
    """What came of a turn: how often all clients together did their job in a second, and how long each time took.

    With a pace that counts from when it was due, so that no stall hides the next; and `moments` says, client by client,
    when each time was over, on the monotonic clock.
    """

    rate: float
    seconds: list[float]
    moments: list[list[float]]


class Clients:
    """The processes, and turns for the first few of them."""

    def __init__(self, count: int, variables: Variables) -> None:
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(count):
            ours, theirs = spawning.Pipe()
            process = spawning.Process(target=_serve, args=(theirs, number, variables), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for pipe in self._pipes:
            _answer(pipe)

    def prepare(self, turn: Turn, count: int) -> None:
        """Let `count` of the clients make a job and warm up. Raises `BenchmarkFailed` with what went wrong there."""
        self._begin(turn, count)
        for pipe in self._pipes[:count]:
            pipe.send(None)

    def take(self, turn: Turn, count: int) -> Done:
        """Let `count` of the clients do a job at the same time. Raises `BenchmarkFailed` with what went wrong there."""
        chosen = self._begin(turn, count)
        begin = time.monotonic() + SOON
        begins = [begin + number * turn.every / count for number in range(count)]
        for pipe, moment in zip(chosen, begins, strict=True):
            pipe.send(moment)
        answers = [_answer(pipe, turn.seconds) for pipe in chosen]
        durations = [each for _, times in answers for each in times]
        moments = [
            [first + number * turn.every + seconds for number, seconds in enumerate(times)]
            for first, (_, times) in zip(begins, answers, strict=True)
        ]
        return Done(len(durations) / (max(end for end, _ in answers) - begin), durations, moments if turn.every else [])

    def _begin(self, turn: Turn, count: int) -> list[Connection]:
        chosen = self._pipes[:count]
        for pipe in chosen:
            pipe.send(turn)
        for pipe in chosen:
            _answer(pipe)
        return chosen

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()  # which ends who reads from it
        for process in self._processes:
            process.join(5)
            process.kill()


@contextmanager
def clients(count: int, variables: Variables) -> Iterator[Clients]:
    """That many clients in an environment with these variables, until the block ends."""
    started = Clients(count, variables)
    try:
        yield started
    finally:
        started.close()


def _answer(pipe: Connection, seconds: float = 0.0) -> tuple[float, list[float]]:
    try:
        answer = pipe.recv() if pipe.poll(seconds + PATIENCE) else "A client does not answer."
    except EOFError:
        answer = "A client ended."
    if isinstance(answer, str):
        raise BenchmarkFailed(answer)
    found: tuple[float, list[float]] = answer
    return found


def _serve(pipe: Connection, number: int, variables: Variables) -> None:
    """The life of a client: until its pipe is closed, or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(variables)
    try:
        django.setup()
        pipe.send(READY)
        jobs: dict[Turn, Job] = {}
        while True:
            turn: Turn = pipe.recv()
            if turn not in jobs:
                jobs[turn] = _make(turn, number)
                _repeat(jobs[turn], turn.first_times)
            _repeat(jobs[turn], 3)
            pipe.send(READY)
            begin = pipe.recv()
            if begin is not None:
                pipe.send((_pace if turn.every else _measure)(jobs[turn], begin, turn))
    except EOFError:
        return
    except Exception:  # whatever it is: who measures raises it there
        pipe.send(traceback.format_exc())


def _make(turn: Turn, number: int) -> Job:
    module, _, name = turn.job.partition(":")
    job: Job = getattr(import_module(module), name)(number, **dict(turn.options))
    return job


def _repeat(job: Job, times: int) -> None:
    for _ in range(times):
        job.once()


def _measure(job: Job, begin: float, turn: Turn) -> tuple[float, list[float]]:
    """When the last time was over, and how long each took; the clock's own cost is a tenth of a microsecond."""
    durations = list[float]()
    once, clock, end = job.once, time.monotonic, begin + turn.seconds
    time.sleep(max(0.0, begin - clock()))
    before = clock()
    while True:
        once()
        after = clock()
        durations.append(after - before)
        if after >= end:
            return after, durations
        before = after


def _pace(job: Job, begin: float, turn: Turn) -> tuple[float, list[float]]:
    """When the last time was over, and how long after it was due each one was."""
    durations = list[float]()
    for number in range(round(turn.seconds / turn.every)):
        due = begin + number * turn.every
        time.sleep(max(0.0, due - time.monotonic()))
        durations.append((job.once() or time.monotonic()) - due)
    return time.monotonic(), durations
