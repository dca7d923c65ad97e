"""What PostgreSQL and Valkey have in common: a process that is started, stopped, killed or frozen."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

import psutil

from config.bundled.errors import BundledError
from config.bundled.guardian import Guardian, is_running, stop

READY_WITHIN = 60.0  # seconds; recovery after a crash may take some


class Server(ABC):
    """A bundled server. It works in `folder`, which is how a process left over from an earlier run is recognized."""

    name: str
    polite: tuple[int, ...] = (signal.SIGTERM,)
    folder: Path
    log: Path

    def __init__(self, guardian: Guardian) -> None:
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the server's main process."""
        if self._process is None:
            raise BundledError(f"{self.name} was not started.")
        return self._process.pid

    def start(self) -> None:
        """Starts the server and returns when it answers. Whatever an earlier run left running is stopped first."""
        self._stop_leftovers()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.old"))
        with self.log.open("wb") as log:
            self._process = self._guardian.start(lambda: self._spawn(log.fileno()), self.polite, server=True)
        self._wait_until_ready(self._process)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self) -> int:
        """Returns the exit code of the server's main process, when it has ended."""
        if self._process is None:
            raise BundledError(f"{self.name} was not started.")
        ended = self._process
        code = ended.wait()
        self._guardian.forget(ended.pid)
        return code

    def stop(self) -> None:
        """Stops the server politely, and less politely if it does not listen."""
        self._end(self.polite)

    def kill(self) -> None:
        """Ends the server as a crash would: SIGKILL, nothing tidied."""
        self._end(())

    def freeze(self) -> None:
        """Stops the server's main process in mid-air: it accepts connections and never answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    @abstractmethod
    def _spawn(self, log: int) -> subprocess.Popen[bytes]: ...

    @abstractmethod
    def _is_ready(self) -> bool: ...

    def _end(self, signals: tuple[int, ...]) -> None:
        process, self._process = self._process, None
        if process is not None:
            stop(process.pid, signals)
            process.wait()
            self._guardian.forget(process.pid)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self._is_ready():
            if process.poll() is not None:
                raise BundledError(f"{self.name} ended while starting. The end of {self.log}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise BundledError(f"{self.name} was not ready after {READY_WITHIN:.0f} s; see {self.log}")
            time.sleep(0.02)

    def _stop_leftovers(self) -> None:
        left = processes_in(self.folder)
        for process, parent in left.items():
            if parent not in left:
                stop(process, self.polite)
        for process in left:
            stop(process, ())


def processes_in(folder: Path) -> dict[int, int]:
    """The running processes whose working folder this is, each with its parent."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # somebody else's, or just ended
            if is_running(process.pid) and process.cwd() == str(folder.resolve()):
                found[process.pid] = process.ppid()
    return found


def tail(log: Path, lines: int = 10) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
