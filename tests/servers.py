"""A database and a broker for every test process, known before Django reads its settings.

Usually the bundled servers, started once and shared by pytest's workers, each of which gets a database of its own in
them. With BOXOFFICE_TEST_SERVERS=machine it is PostgreSQL and Redis of the machine, where temporary roles and databases
are made and dropped; `python -m tests.servers` says whether these are there.
"""

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql

from config import bundled
from config.bundled.provision import ensure_database, ensure_role

MACHINE_POSTGRES = "postgres://postgres@127.0.0.1:5432"
MACHINE_REDIS = "redis://127.0.0.1:6379"
# The tests kill processes, not the machine: nothing is lost without waiting for the disk.
FAST = {"fsync": "off", "max_connections": "300", "max_prepared_transactions": "8"}


ONE_ORDERS_FOR_ALL = {"UNPAID_ORDERS": "0", "UNPAID_SEATS": "0"}
"""In most tests one customer has all orders, paid or not."""


class Pool(Protocol):
    """Where test processes get their servers from."""

    def create_database(self, name: str) -> tuple[str, str]:
        """A new database: its URLs for the owner and for the application."""

    def redis_url(self, number: int) -> str:
        """A broker's database of their own for each of a few processes."""


class Bundled:
    """The servers of a temporary home."""

    def __init__(self, servers: bundled.Servers) -> None:
        self.create_database = servers.create_database
        self._redis = servers.redis_url.rpartition("/")[0]

    def redis_url(self, number: int) -> str:
        return f"{self._redis}/{number % 16}"


class Machine:
    """What listens on 127.0.0.1, with roles whose names are ours alone."""

    def __init__(self) -> None:
        self._prefix = f"boxoffice_test_{secrets.token_hex(4)}"
        self._owner, self._application = f"{self._prefix}_owner", f"{self._prefix}_application"
        self._password = secrets.token_urlsafe()
        self._databases: list[str] = []
        with self._superuser() as superuser:
            for role in (self._owner, self._application):
                ensure_role(superuser, role, self._password)

    def create_database(self, name: str) -> tuple[str, str]:
        name = f"{self._prefix}_{name}"
        with self._superuser() as superuser:
            ensure_database(superuser, name, self._owner, self._application)
        self._databases.append(name)
        owner, application = (
            MACHINE_POSTGRES.replace("postgres@", f"{role}:{self._password}@") + f"/{name}"
            for role in (self._owner, self._application)
        )
        return owner, application

    def redis_url(self, number: int) -> str:
        return f"{MACHINE_REDIS}/{15 - number % 16}"

    def drop(self) -> None:
        with self._superuser() as superuser:
            for name in self._databases:
                superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            for role in (self._owner, self._application):
                superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    def _superuser(self) -> psycopg.Connection:
        return psycopg.connect(f"{MACHINE_POSTGRES}/postgres", autocommit=True, connect_timeout=5)


@contextmanager
def temporary_home() -> Iterator[bundled.Home]:
    """A home that PostgreSQL can reach even when root runs the tests, unlike pytest's temporary folders."""
    root = Path(tempfile.mkdtemp(prefix="boxoffice-tests-"))
    try:
        yield bundled.Home(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def open_pool() -> Iterator[Pool]:
    """The servers that the environment asks for, until the tests have ended."""
    if on_machine():
        machine = Machine()
        try:
            yield machine
        finally:
            machine.drop()
    else:
        with temporary_home() as home, bundled.servers(home, settings=FAST) as servers:
            yield Bundled(servers)


def on_machine() -> bool:
    """Whether this run is on the machine's own servers."""
    return os.environ.get("BOXOFFICE_TEST_SERVERS") == "machine"


def environment(pool: Pool, name: str, number: int, home: Path) -> dict[str, str]:
    """What a test process and all that it starts shall find in the environment."""
    owner, application = pool.create_database(name)
    spare, _ = pool.create_database(f"{name}_spare")
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": application,
        "DATABASE_OWNER_URL": owner,
        "SPARE_DATABASE_URL": spare,
        "REDIS_URL": pool.redis_url(number),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "BOXOFFICE_HOME": str(home),
        **ONE_ORDERS_FOR_ALL,
    }


class ServersPlugin:
    """Opens the pool in pytest's main process, and hands each worker its share."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._pool = self._open.enter_context(open_pool())
        self._homes = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="boxoffice-tests-")))

    def environment(self, process: str = "main", number: int = 0) -> dict[str, str]:
        """The share of one process."""
        home = self._homes / process
        (home / "static").mkdir(parents=True)
        return environment(self._pool, process, number, home)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        worker = node.workerinput["workerid"]
        node.workerinput["environment"] = self.environment(worker, 1 + int(worker.removeprefix("gw")))

    def pytest_unconfigure(self) -> None:
        from django.conf import settings
        from django.db import connections

        if settings.configured:
            connections.close_all()
        self._open.close()


def usable_machine() -> bool:
    """Whether PostgreSQL and Redis of this machine let us in."""
    try:
        socket.create_connection(("127.0.0.1", 6379), timeout=1).close()
        psycopg.connect(f"{MACHINE_POSTGRES}/postgres", connect_timeout=2).close()
    except (OSError, psycopg.OperationalError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(not usable_machine())
