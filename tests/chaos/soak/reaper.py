"""Who kills: each time somebody or something else, chosen by chance, without a word of warning."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil

from config.bundled.server import Server
from tests.chaos.soak.site import Site, backends

PAUSE = (0.5, 5.0)
AWAY = (0.2, 4.0)
FROZEN = (1.0, 8.0)
"""Seconds between one act and the next, and after which what was taken away, or stopped, comes back."""


class Reaper:
    """The same seed chooses the same acts; what their victims are at is up to the moment."""

    def __init__(self, seed: str, site: Site) -> None:
        self._random = random.Random(seed)
        self._site = site
        self._ending = threading.Event()
        self.acts: Counter[str] = Counter()
        self.diary: list[str] = []
        self._begun = time.monotonic()
        self._later: list[tuple[float, Callable[[], None]]] = []

    def reap(self, seconds: float) -> None:
        """For so long; then everything goes on and is there again."""
        acts: dict[Callable[[], None], int] = {
            self._kill_program: 6,
            self._kill_child: 4,
            self._kill_backend: 3,
            self._kill_postgres: 2,
            self._kill_broker: 2,
            self._freeze_program: 2,
            self._freeze_server: 2,
        }
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._random.choices(list(acts), list(acts.values()))[0]()
            time.sleep(self._random.uniform(*PAUSE))

    def _kill_program(self) -> None:
        """Its main process alone, which leaves the others to find out, or all of them, as if the machine went down."""
        name, alone = self._random.choice(self._site.names), self._random.random() < 0.4
        main = self._site.main_process(name)
        if main:
            self._note(f"kill {name}", "the main process alone" if alone else "with its children")
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                (main.kill if alone else lambda: os.killpg(main.pid, signal.SIGKILL))()

    def _kill_child(self) -> None:
        name, choice = self._random.choice(("site", "worker", "effects", "rebuilder")), self._random.random()
        main = self._site.main_process(name)
        with suppress(psutil.NoSuchProcess):
            children = main.children() if main else []
            if children:
                self._note(f"kill child of {name}")
                children[int(choice * len(children))].kill()

    def _kill_backend(self) -> None:
        choice, found = self._random.random(), backends(self._site.servers.postgres.pid)
        if found:
            victim = found[int(choice * len(found))]
            self._note("kill backend", f"{victim.pid}, one of {len(found)}")
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def _kill_postgres(self) -> None:
        self._away("PostgreSQL", self._site.servers.postgres)

    def _kill_broker(self) -> None:
        self._away("broker", self._site.servers.valkey)

    def _away(self, name: str, server: Server) -> None:
        seconds = self._random.uniform(*AWAY)
        self._note(f"kill {name}", f"for {seconds:.1f} s")
        server.kill()
        time.sleep(seconds)
        server.start()

    def _freeze_program(self) -> None:
        name, seconds = self._random.choice(self._site.names), self._random.uniform(*FROZEN)
        main = self._site.main_process(name)
        if main:
            self._note(f"freeze {name}", f"for {seconds:.1f} s")
            with suppress(ProcessLookupError):
                os.killpg(main.pid, signal.SIGSTOP)
                time.sleep(seconds)
                os.killpg(main.pid, signal.SIGCONT)

    def _freeze_server(self) -> None:
        """The broker, or one session of PostgreSQL, whatever it holds."""
        seconds, choice = self._random.uniform(*FROZEN), self._random.random()
        found = backends(self._site.servers.postgres.pid)
        if choice < 0.5 or not found:
            self._note("freeze broker", f"for {seconds:.1f} s")
            frozen = psutil.Process(self._site.servers.valkey.pid)
        else:
            self._note("freeze backend", f"for {seconds:.1f} s")
            frozen = found[int(choice * len(found))]
        with suppress(psutil.NoSuchProcess):
            frozen.suspend()
            time.sleep(seconds)
            frozen.resume()

    def _note(self, what: str, more: str = "") -> None:
        self.acts[what] += 1
        self.diary.append(f"{time.monotonic() - self._begun:7.2f} {what} {more}".rstrip())
