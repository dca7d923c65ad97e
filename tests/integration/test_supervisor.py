"""What `make run` does with a program or a server that ends: it is started again, soon, whatever became of it."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from io import StringIO

import psycopg
import pytest
from rich.console import Console

from config import bundled, supervisor
from config.bundled.guardian import Guardian
from config.supervisor import Program, Supervisor
from tests.integration.processes import eventually
from tests.servers import temporary_home

DIE_AT_ONCE = "raise SystemExit(3)"
DIE_LATER = "import os, signal, time; time.sleep(1); os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def keep() -> Iterator[Callable[[str], Callable[[], list[str]]]]:
    """Keeps a program of this source running; what it answers tells what was said of that so far."""
    screen = StringIO()
    with temporary_home() as home, home.locked() as lock:
        guardian = Guardian(lock)
        keeper = Supervisor(guardian, {}, Console(file=screen))

        def keep(source: str) -> Callable[[], list[str]]:
            keeper.keep(Program("site", "green", (sys.executable, "-c", source)))
            return lambda: re.findall(r"(site ended .*)", screen.getvalue())

        yield keep
        keeper.stop()
        guardian.close()


def test_a_program_that_cannot_run_is_tried_every_few_seconds(
    keep: Callable[[str], Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STEADY", 100.0)
    said = keep(DIE_AT_ONCE)
    eventually(lambda: len(said()) > 4, 60)
    assert said()[:5] == [
        "site ended with exit code 3; it starts again in 1 s",
        "site ended with exit code 3, 2 times in a row; it starts again in 2 s",
        "site ended with exit code 3, 3 times in a row; it starts again in 4 s",
        "site ended with exit code 3, 4 times in a row; it starts again in 5 s",
        "site ended with exit code 3, 5 times in a row; it starts again in 5 s",
    ]


def test_a_program_that_ran_for_a_while_is_back_after_a_second_however_often_it_is_killed(
    keep: Callable[[str], Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STEADY", 0.5)
    said = keep(DIE_LATER)
    eventually(lambda: len(said()) > 2, 60)
    assert set(said()) == {"site ended by SIGKILL; it starts again in 1 s"}


def test_a_server_that_cannot_start_is_tried_until_it_can() -> None:
    screen = StringIO()
    with temporary_home() as home, bundled.servers(home, valkey=False) as servers:
        keeper = Supervisor(servers.guardian, {}, Console(file=screen))
        keeper.keep_server(servers.postgres)
        version = servers.postgres.folder / "PG_VERSION"
        right = version.read_text()
        version.write_text("1\n")
        os.kill(servers.postgres.pid, signal.SIGKILL)
        eventually(lambda: "PostgreSQL could not be started, 2 times in a row" in screen.getvalue())
        assert "belong to PostgreSQL 1, and the bundled one is" in screen.getvalue()
        version.write_text(right)
        eventually(lambda: "PostgreSQL runs again" in screen.getvalue())
        psycopg.connect(servers.database_url).close()
        keeper.stop()
