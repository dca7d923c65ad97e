"""Runs programs as processes of their own, prefixes their output with their names, starts them again when they die;
the bundled servers too.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from rich.console import Console
from rich.text import Text

from config.bundled.guardian import Guardian, stop
from config.bundled.server import Server

PAUSES = (1, 2, 4, 5)  # seconds before a program is started again that ended once, twice, … in a row
STEADY = 10.0  # seconds after which a program counts as running well, and its earlier ends no longer


@dataclass(frozen=True)
class Program:
    """What to run, under which name and colour."""

    name: str
    colour: str
    command: tuple[str, ...]
    polite: tuple[int, ...] = (signal.SIGTERM,)


class Supervisor:
    """Keeps programs running, each in a session of its own, so that Ctrl-C reaches only the supervisor."""

    def __init__(self, guardian: Guardian, environment: Mapping[str, str], console: Console) -> None:
        self._guardian = guardian
        self._environment = dict(environment)
        self._console = console
        self._stopping = threading.Event()

    def run(self, program: Program) -> int:
        """Runs a program once and returns its exit code."""
        process = self._guardian.start(lambda: self._spawn(program), program.polite)
        threading.Thread(target=self._relay, args=(program, process.stdout), daemon=True).start()
        code = process.wait()
        stop(process.pid, ())  # the children it may have left; they could hold its port
        self._guardian.forget(process.pid)
        return code

    def keep(self, program: Program) -> None:
        """Runs a program from now on, again and again, until `stop`."""
        self._keep_up(program.name, lambda: self.run(program))

    def keep_server(self, server: Server) -> None:
        """Starts a bundled server again whenever it ends, until `stop`."""
        self._keep_up(server.name, lambda: self._run_server(server))

    def stop(self) -> None:
        """Starts nothing from now on; stopping what runs is the guardian's work."""
        self._stopping.set()

    def say(self, text: str, *, name: str = "boxoffice", colour: str = "bold") -> None:
        """One line, with its speaker's name in front. A terminal that was closed hears nothing."""
        with suppress(OSError):
            self._console.print(Text(f"{name:>9} │ ", style=colour) + Text(text), soft_wrap=True)

    def _keep_up(self, name: str, run: Callable[[], int]) -> None:
        threading.Thread(target=self._keep, args=(name, run), name=name, daemon=True).start()

    def _keep(self, name: str, run: Callable[[], int]) -> None:
        ends = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            end = self._end_of(run)
            if self._stopping.is_set():
                return
            ends = 1 if time.monotonic() - started > STEADY else ends + 1
            pause = PAUSES[min(ends, len(PAUSES)) - 1]
            often = f", {ends} times in a row" if ends > 1 else ""
            self.say(f"{name} {end}{often}; it starts again in {pause} s", colour="bold red")
            self._stopping.wait(pause)

    def _end_of(self, run: Callable[[], int]) -> str:
        """What became of it. Whatever kept it from being started, the next time may go well."""
        try:
            code = run()
        except Exception as error:
            for line in str(error).splitlines():
                self.say(line, colour="red")
            return "could not be started"
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def _run_server(self, server: Server) -> int:
        if not server.is_running:
            server.start()
            self.say(f"{server.name} runs again")
        return server.wait()

    def _spawn(self, program: Program) -> subprocess.Popen[str]:
        return subprocess.Popen(
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
        )

    def _relay(self, program: Program, output: IO[str]) -> None:
        with output:
            for line in output:
                if line.strip():
                    self.say(line.rstrip(), name=program.name, colour=program.colour)
