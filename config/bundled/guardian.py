"""Stops what a supervisor started, however the supervisor ends: a clean exit, a signal, `kill -9`.

The supervisor holds the other end of the guardian's standard input and writes a line for each process it starts or has
seen end. When the pipe closes, the guardian stops what is left: the application's processes first, all at once, then
the servers. It inherits the lock of the home and so keeps it until nothing runs any more.

It runs by path, not as a module, so that this small process does not load the application.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import AnyStr

import psutil

PATIENCE = 10.0  # seconds that a process has to follow a signal


class Closed(Exception):
    """Everything is being stopped, so nothing is started."""


class Guardian:
    """The supervisor's end of the pipe. `lock` is the descriptor of the home's lock."""

    def __init__(self, lock: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", Path(__file__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd="/",
            pass_fds=[lock],
            start_new_session=True,
        )
        self._starting = threading.Lock()

    def start(
        self,
        spawn: Callable[[], subprocess.Popen[AnyStr]],
        signals: Iterable[int] = (signal.SIGTERM,),
        *,
        server: bool = False,
    ) -> subprocess.Popen[AnyStr]:
        """Starts a process and watches it. Raises Closed once all are being stopped, so that none slips through."""
        with self._starting:
            if self._closed:
                raise Closed
            process = spawn()
            try:
                self.watch(process.pid, signals, server=server)
            except BrokenPipeError:  # somebody killed the guardian: what nobody would stop must not run
                stop(process.pid, ())
                raise
            return process

    def watch(self, process: int, signals: Iterable[int] = (signal.SIGTERM,), *, server: bool = False) -> None:
        """Takes charge of a process that leads a group of its own, and of `signals` as the polite ways to stop it."""
        self._tell(process=process, signals=[int(number) for number in signals], server=server)

    def forget(self, process: int) -> None:
        """The process has ended and was waited for: its number may come to mean another one."""
        self._tell(process=process)

    def close(self) -> None:
        """Stops everything watched, and returns when it has stopped."""
        assert self._process.stdin
        with self._starting, suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    @property
    def _closed(self) -> bool:
        assert self._process.stdin
        return self._process.stdin.closed

    def _tell(self, **message: object) -> None:
        if self._closed:
            return  # everything was stopped already
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def stop(process: int, signals: Iterable[int] = (signal.SIGTERM,), patience: float = PATIENCE) -> None:
    """Sends each signal to the leader of a group until it has ended, then SIGKILL to all that is left of the group."""
    for number in signals:
        if not is_running(process):
            break
        for each in (number, signal.SIGCONT):  # a frozen process hears nothing before it is thawed
            with suppress(ProcessLookupError):
                os.kill(process, each)
        _wait_until_ended(process, patience)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    _wait_until_ended(process, patience)


def is_running(process: int) -> bool:
    """Whether there is such a process; a zombie, which only waits for its parent, is none."""
    try:
        return psutil.Process(process).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def _wait_until_ended(process: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.02)


def _guard() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    programs: dict[int, list[int]] = {}
    servers: dict[int, list[int]] = {}
    for line in sys.stdin:
        message = json.loads(line)
        for watched in (programs, servers):
            watched.pop(message["process"], None)
        if "signals" in message:
            (servers if message["server"] else programs)[message["process"]] = message["signals"]
    with ThreadPoolExecutor() as pool:
        for watched in (programs, servers):
            list(pool.map(stop, watched.keys(), watched.values()))


if __name__ == "__main__":
    _guard()
