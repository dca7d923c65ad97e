"""The processes of an installation, much as `make run` starts them, and some that sell. Any can be killed."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import UUID

import psutil

from tests.integration.processes import ALONE, Program

WRITERS = ("first writer", "second writer")
NAME = "chaos"
"""What the sessions of these processes are called in PostgreSQL."""

_CELERY = ("-m", "celery", "--quiet", "--app=config")
_WORKER = (*_CELERY, "worker", *ALONE)


class Installation:
    """Programs by name, each running or killed; it remembers what all of them ever printed."""

    def __init__(
        self, seed: str, conferences: Sequence[UUID], *, writers: Sequence[str] = WRITERS, **environment: str
    ) -> None:
        self.writers = writers
        self._environment = {"PGAPPNAME": NAME, **environment}
        schedule = f"{os.environ['BOXOFFICE_HOME']}/chaos-schedule"
        writer = ("-m", "tests.chaos.writer")
        self._commands = {
            "worker": (*_WORKER, "--queues=live", "--concurrency=2", "--hostname=live@%h"),
            "effects": (*_WORKER, "--queues=effects", "--concurrency=1", "--hostname=effects@%h"),
            "rebuilder": (*_WORKER, "--queues=rebuild", "--concurrency=2", "--hostname=rebuild@%h"),
            "ticker": (*_WORKER, "--queues=clock", "--pool=solo", "--hostname=ticker@%h"),
            "clock": (*_CELERY, "beat", f"--schedule={schedule}", "--pidfile="),
            **{name: (*writer, f"{seed} {name}", *map(str, conferences)) for name in writers},
        }
        self._running: dict[str, Program] = {}
        self._ended: list[tuple[str, Program]] = []

    def __enter__(self) -> Self:
        for name in self._commands:
            self.start(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, program in [*self._ended, *self._running.items()]:
            program.kill()

    @property
    def running(self) -> list[str]:
        return list(self._running)

    @property
    def selling(self) -> bool:
        """Whether a writer runs."""
        return any(name in self._running for name in self.writers)

    def start(self, name: str) -> None:
        """Start what was killed; a writer begins anew, with other choices."""
        command = self._commands[name]
        if name in self.writers:
            lives = sum(name == ended for ended, _ in self._ended)
            command = (*command[:2], f"{command[2]} {lives}", *command[3:])
        self._running[name] = Program(*command, **self._environment)

    def restart_who_ended(self) -> list[str]:
        """Start again what ended by itself, as a supervisor does; answers what that was. Of writers only those may that
        have sold what they were to sell: they are done.

        A worker ends by itself when a process of its pool dies in its first moment.
        """
        ended = [name for name, program in self._running.items() if program.process.poll() is not None]
        for name in ended:
            program = self._running.pop(name)
            self._ended.append((name, program))
            assert name not in self.writers or program.process.returncode == 0, program.output
        again = [name for name in ended if name not in self.writers]
        for name in again:
            self.start(name)
        return again

    def kill(self, name: str) -> None:
        """End a program with all its processes, as if its machine went down."""
        program = self._take(name)
        program.kill()

    def behead(self, name: str) -> None:
        """End the main process of a program alone; its pool is left to find out."""
        program = self._take(name)
        program.process.kill()
        program.process.wait()

    def maim(self, name: str, choice: float) -> None:
        """End one process of a program's pool, if it has any; the program goes on. `choice` is from 0 to 1."""
        with suppress(psutil.NoSuchProcess):
            pool = psutil.Process(self._running[name].process.pid).children()
            if pool:
                pool[int(choice * len(pool))].kill()

    def stop_writers(self) -> None:
        """Let the writers end what they are at."""
        for name in self.writers:
            program = self._take(name)
            program.process.send_signal(signal.SIGTERM)
            # One that has only just been started may not have begun to listen, nor to sell.
            assert program.process.wait(60) in (0, -signal.SIGTERM), program.output

    def told(self) -> list[tuple[str, UUID, str]]:
        """What the writers were told, all lives of all of them: outcome, command id, and what more there is to say."""
        ended = [program for name, program in self._ended if name in self.writers]
        lines = [line.split() for program in ended for line in program.output.splitlines()]
        outcomes = ("acknowledged", "refused", "failed")
        return [(line[0], UUID(line[1]), line[2]) for line in lines if len(line) == 3 and line[0] in outcomes]

    def printed(self) -> str:
        """What everybody printed who is no writer, for whoever looks for the cause of a failure."""
        programs = [*self._ended, *self._running.items()]
        return "\n".join(f"--- {name}\n{program.output}" for name, program in programs if name not in self.writers)

    def _take(self, name: str) -> Program:
        program = self._running.pop(name)
        self._ended.append((name, program))
        assert name not in self.writers or program.process.poll() is None, program.output
        return program
