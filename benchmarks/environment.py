"""Servers to measure on: bundled ones in a temporary home, or those that the environment names."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql
from rich.console import Console

from benchmarks.errors import BenchmarkFailed
from config import bundled
from config.bundled.guardian import stop
from config.run import programs
from config.supervisor import Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent

Variables = dict[str, str]


class Place(Protocol):
    """Where a benchmark gets its databases from."""

    def create_database(self, name: str) -> tuple[str, str]:
        """A new, empty database: its URLs for the owner and for the application."""


class Environment:
    """Running servers. Every database that it makes is fresh and has all tables."""

    def __init__(self, own: bundled.Servers, home: bundled.Home, place: Place, given_redis: str | None) -> None:
        self._own, self._home, self._place, self._given_redis = own, home, place, given_redis
        self._supervisors: list[Supervisor] = []

    def database(self, name: str) -> Variables:
        """A migrated database, as the variables with which a process gets to it."""
        owner, application = self._place.create_database(name)
        variables = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": application,
            "DATABASE_OWNER_URL": owner,
            "REDIS_URL": self._given_redis or self._own.redis_url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "BOXOFFICE_HOME": str(self._home.root),
            "LOG_LEVEL": "WARNING",
            "UNPAID_ORDERS": "0",  # few customers have all orders
            "UNPAID_SEATS": "0",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--database=owner", "--verbosity=0", "--no-input"]
        made = subprocess.run(migrate, cwd=BASE_DIR, env=variables, capture_output=True, text=True, check=False)
        if made.returncode:
            raise BenchmarkFailed(f"The database could not be migrated:\n{made.stdout}{made.stderr}")
        return variables

    def keep(self, names: Collection[str], variables: Variables, port: int = 0) -> None:
        """Runs those programs of `make run` in an environment with these variables, until the servers stop; the site at
        this port.
        """
        supervisor = Supervisor(self._own.guardian, _quiet(variables), Console(stderr=True, highlight=False))
        self._supervisors.append(supervisor)
        for program in programs(self._home, "127.0.0.1", port):
            if program.name in names:
                supervisor.keep(program)

    @contextmanager
    def start(self, name: str, variables: Variables) -> Iterator[subprocess.Popen[bytes]]:
        """Runs one program of `make run`, which nobody starts again, until the block ends; leads a group of its own."""
        program = next(each for each in programs(self._home, "127.0.0.1", 0) if each.name == name)
        process = subprocess.Popen(program.command, env=_quiet(variables), stdout=sys.stderr, start_new_session=True)
        self._own.guardian.watch(process.pid, program.polite)
        try:
            yield process
        finally:
            stop(process.pid, program.polite)
            process.wait()
            self._own.guardian.forget(process.pid)

    def stop_redis(self) -> bool:
        """Stops the broker for good, unless it is somebody else's: then False."""
        if not self._given_redis:
            self._own.valkey.stop()
        return not self._given_redis

    def stop(self) -> None:
        """Starts no program again; those that run are stopped with the servers."""
        for supervisor in self._supervisors:
            supervisor.stop()


@contextmanager
def servers() -> Iterator[Environment]:
    """PostgreSQL and Redis, until the block ends. Nothing makes the bundled ones faster than they are in `make run`."""
    given_database, given_redis = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="boxoffice-benchmark-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        (root / "static").mkdir()
        home = bundled.Home(root)
        own = stack.enter_context(bundled.servers(home, postgres=not given_database, valkey=not given_redis))
        place: Place = own
        if given_database:
            owner = os.environ.get("DATABASE_OWNER_URL") or given_database
            place = stack.enter_context(_given(owner, given_database))
        environment = Environment(own, home, place, given_redis)
        stack.callback(environment.stop)
        yield environment


class _Given:
    """A server of somebody else's: only what we made ourselves is touched."""

    def __init__(self, owner: str, application: str) -> None:
        self._owner, self._application = owner, application
        self._made: list[str] = []

    def create_database(self, name: str) -> tuple[str, str]:
        name = f"boxoffice_benchmark_{name}_{secrets.token_hex(4)}"
        try:
            with psycopg.connect(self._owner, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise BenchmarkFailed(f"A database for the benchmark could not be made: {error}") from error
        self._made.append(name)
        return _with_database(self._owner, name), _with_database(self._application, name)

    def drop(self) -> None:
        with psycopg.connect(self._owner, autocommit=True) as connection:
            for name in self._made:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _given(owner: str, application: str) -> Iterator[_Given]:
    given = _Given(owner, application)
    try:
        yield given
    finally:
        given.drop()


def _quiet(variables: Variables) -> Variables:
    """In a container one is root, which is no news to whoever chose it."""
    if os.geteuid() != 0:
        return variables
    return {**variables, "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}


def _with_database(url: str, name: str) -> str:
    address, mark, options = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{mark}{options}"
