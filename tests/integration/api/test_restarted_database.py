"""The database restarts, or cuts off who is connected: as soon as it is there again, no request fails for it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from config import bundled
from tests.integration.http_client import Http
from tests.integration.processes import eventually, server
from tests.servers import FAST, temporary_home

pytestmark = pytest.mark.bundled

CLIENTS = 40
CUT_OFF = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = current_user AND pid <> pg_backend_pid()"""
PATHS = ("/readyz", "/api/v1/conferences", "/api/v1/orders")
RIGHT = {("/readyz", 200), ("/api/v1/conferences", 200), ("/api/v1/orders", 401)}


@pytest.fixture(scope="module")
def servers():
    """A database of their own, which may be restarted."""
    with temporary_home() as home, bundled.servers(home, valkey=False, settings=FAST) as servers:
        environment = {**os.environ, "DATABASE_URL": servers.database_url, "DATABASE_OWNER_URL": servers.owner_url}
        migrate = [sys.executable, "manage.py", "migrate", "--database=owner", "--verbosity=0"]
        subprocess.run(migrate, check=True, capture_output=True, env=environment)
        yield servers


@pytest.fixture(scope="module")
def site(servers):
    with server(DATABASE_URL=servers.database_url, DATABASE_OWNER_URL=servers.owner_url) as address:
        eventually(lambda: Http(address).call("GET", "/readyz").status == 200)
        yield address


def answers(site):
    """How everybody's calls are answered, of all threads at once."""

    def ask(number):
        path = PATHS[number % len(PATHS)]
        token = {"Authorization": "Token 0123456789abcdef"} if path.endswith("orders") else {}
        return path, Http(site).call("GET", path, **token).status

    with ThreadPoolExecutor(CLIENTS) as crowd:
        return set(crowd.map(ask, range(3 * CLIENTS)))


def restart(servers, site):
    servers.postgres.kill()
    servers.postgres.start()


def restart_while_asked(servers, site):
    servers.postgres.kill()
    try:
        assert {status for _, status in answers(site)} == {503}
    finally:
        servers.postgres.start()


def cut_off(servers, site):
    with closing(psycopg.connect(servers.database_url, autocommit=True)) as application:
        application.execute(CUT_OFF)


@pytest.mark.parametrize("happening", [restart, restart_while_asked, cut_off])
def test_no_request_fails_that_the_database_could_answer(servers, site, happening):
    assert answers(site) == RIGHT
    happening(servers, site)
    assert answers(site) == RIGHT
