"""`make run`, as somebody who tries Boxoffice for the first time meets it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from rich.console import Console

from config import bundled, run
from config.bundled.server import processes_in
from config.bundled.valkey import free_port
from tests.integration.http_client import V1, Http
from tests.integration.processes import eventually
from tests.servers import temporary_home

pytestmark = pytest.mark.bundled
BASE_DIR = Path(run.__file__).parent.parent
MARK = "BOXOFFICE_TEST_RUN"


class Running:
    """A `python -m config.run` on a free port, whose processes carry a mark in their environment."""

    def __init__(self, home: bundled.Home, environment: Mapping[str, str], output: int | None = None) -> None:
        self.home, self.mark, self.port = home, str(uuid4()), free_port()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._log = home.root / f"{self.mark}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.run"],
                cwd=BASE_DIR,
                env={
                    **inherited,
                    MARK: self.mark,
                    "BOXOFFICE_HOME": str(home.root),
                    "PORT": str(self.port),
                    **environment,
                },
                stdout=output or log,
                stderr=output or log,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for_screen(self) -> str:
        wait_until(lambda: "Ctrl-C" in self.output or self.process.poll() is not None, 150)
        assert self.process.poll() is None, self.output
        return self.output

    def get(self, path: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return int(answer.status)

    def processes(self) -> dict[int, str]:
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):  # it may end meanwhile
                if self._is_ours(process):
                    found[process.pid] = " ".join(process.cmdline())
        return found

    def main_process_in(self, folder: str) -> int:
        """The one process that works in this folder of the home and isn't the child of another one."""
        found = processes_in(self.home.root / folder)
        (main,) = [process for process, parent in found.items() if parent not in found]
        return main

    def is_ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
            return json.load(answer) == {"status": "ok", "reasons": []}
        return False

    def has_mailed(self, address: str) -> bool:
        return any(f"To: {address}" in mail.read_text() for mail in (self.home.root / "mail").glob("*.eml"))

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get(MARK) == self.mark or process.cwd().startswith(str(self.home.root))
        except psutil.Error:
            return False


@pytest.fixture(scope="module")
def home() -> Iterator[bundled.Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture
def start(home: bundled.Home) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**environment: str) -> Running:
        started.append(Running(home, environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def test_one_command_brings_up_the_site_and_says_where_it_is(start: Callable[..., Running]) -> None:
    running = start()
    screen = running.wait_for_screen()
    assert f"http://localhost:{running.port}/admin/" in screen
    assert f"http://localhost:{running.port}/api/v1/docs" in screen
    assert running.get("/admin/login/") == 200
    assert running.end(signal.SIGINT) == 0
    assert running.processes() == {}


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
def test_whatever_ends_it_nothing_is_left_running(start: Callable[..., Running], number: signal.Signals) -> None:
    running = start()
    running.wait_for_screen()
    assert any("beat" in command for command in running.processes().values())
    running.end(number)
    # Nobody is left to wait for after SIGKILL but the guardian.
    wait_until(lambda: not running.processes(), 30)
    assert running.processes() == {}


@pytest.mark.long
def test_a_second_start_is_quick_and_keeps_what_the_first_one_made(start: Callable[..., Running]) -> None:
    first = start()
    password = password_on(first.wait_for_screen())
    first.end()
    began = time.monotonic()
    second = start()
    assert password_on(second.wait_for_screen()) == password
    assert time.monotonic() - began < 20


@pytest.mark.long
def test_a_process_that_dies_is_started_again(start: Callable[..., Running]) -> None:
    running = start()
    running.wait_for_screen()
    clock = next(pid for pid, command in running.processes().items() if "--queues=clock" in command)
    os.kill(clock, signal.SIGKILL)
    wait_until(
        lambda: any("--queues=clock" in command for pid, command in running.processes().items() if pid != clock), 30
    )
    assert "clock ended by SIGKILL; it starts again in 1 s" in running.output


@pytest.mark.long
@pytest.mark.parametrize("server", ["postgres/data", "valkey"])
def test_a_server_that_dies_is_started_again_and_all_goes_on(start: Callable[..., Running], server: str) -> None:
    running = start()
    running.wait_for_screen()
    before, after = (Http(f"http://127.0.0.1:{running.port}") for _ in range(2))
    programs = {pid for pid, command in running.processes().items() if "celery" in command or "granian" in command}
    customer = before.register()
    os.kill(running.main_process_in(server), signal.SIGKILL)
    eventually(lambda: "runs again" in running.output, 60)
    eventually(running.is_ready, 60)
    assert before.get(f"{V1}/customers/{customer}")["email"] == before.email
    after.register()
    eventually(lambda: running.has_mailed(before.email) and running.has_mailed(after.email), 60)
    assert programs <= set(running.processes())


@pytest.mark.long
def test_servers_that_the_environment_names_are_used_instead(start: Callable[..., Running]) -> None:
    with temporary_home() as elsewhere, bundled.servers(elsewhere) as servers:
        running = start(
            DATABASE_URL=servers.database_url, DATABASE_OWNER_URL=servers.owner_url, REDIS_URL=servers.redis_url
        )
        assert servers.database_url in running.wait_for_screen()
        assert running.get("/admin/login/") == 200
        assert not any("postgres -D" in command or "valkey" in command for command in running.processes().values())
        running.end()


@pytest.mark.long
def test_a_closed_terminal_ends_it(home: bundled.Home) -> None:
    """Not only is there a SIGHUP: whatever is still said then has nowhere to go."""
    terminal, screen = os.openpty()
    running = Running(home, {}, output=screen)
    os.close(screen)
    time.sleep(4)
    os.close(terminal)
    running.process.send_signal(signal.SIGHUP)
    assert running.process.wait(60) == 0
    assert running.processes() == {}


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0.7, 1.2, 3])
def test_ending_it_while_it_starts_leaves_nothing_either(seconds: float) -> None:
    with temporary_home() as fresh:
        running = Running(fresh, {})
        time.sleep(seconds)
        assert running.end() in (0, -signal.SIGINT)
        assert running.processes() == {}


@pytest.mark.long
def test_the_administrator_gets_the_password_that_was_wished_for(start: Callable[..., Running]) -> None:
    running = start(BOXOFFICE_ADMIN_PASSWORD="a wish of mine")
    assert "password as in BOXOFFICE_ADMIN_PASSWORD" in running.wait_for_screen()
    running.end()
    again = start()
    assert "the password you gave it" in again.wait_for_screen()


def test_a_port_that_was_asked_for_and_is_taken_is_refused(start: Callable[..., Running]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = start(PORT=str(taken.getsockname()[1]))
        assert running.process.wait(120) == 1
    assert "is taken. Choose another" in running.output


def test_without_a_wish_the_next_free_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        monkeypatch.setattr(run, "DEFAULT_PORT", taken.getsockname()[1])
        _, port = run.listening_address(Console(quiet=True))
    assert port > run.DEFAULT_PORT


def test_a_home_in_use_is_refused(start: Callable[..., Running], home: bundled.Home) -> None:
    with home.locked():
        running = start()
        assert running.process.wait(120) == 1
    assert f"Boxoffice already runs from {home.root} (process {os.getpid()})" in running.output


def test_help_names_the_environment() -> None:
    command = [sys.executable, "-m", "config.run", "--help"]
    answer = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=True)
    assert "BOXOFFICE_ADMIN_PASSWORD" in answer.stdout


def password_on(screen: str) -> str:
    found = re.search(r"password (\S+)$", screen, re.MULTILINE)
    assert found, screen
    return found[1]


def wait_until(condition: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
