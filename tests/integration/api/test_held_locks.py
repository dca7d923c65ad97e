"""Somebody holds a lock that requests wait for, or the database is slow: they are answered all the same."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from tests.integration.api.caller import V1
from tests.integration.eventstore import raw
from tests.integration.http_client import Http
from tests.integration.processes import program

WAITERS = 40


@pytest.fixture(scope="module")
def site(sites):
    with sites(SITE_LOCK_TIMEOUT_SECONDS="2", SITE_STATEMENT_TIMEOUT_SECONDS="8") as address:
        yield address


@contextmanager
def locked(table):
    with closing(raw.connect("owner")) as owner:
        owner.execute(f"LOCK TABLE {table}")
        yield


TOKEN = {"email": "nobody@example.org", "password": "correct horse"}


@pytest.mark.parametrize(
    ("table", "call"),
    [
        ("ordering_conferencesummary", ("GET", f"{V1}/conferences")),
        ("auth_user", ("POST", f"{V1}/auth/token", TOKEN)),
        ("eventstore_event", ("POST", f"{V1}/customers", {"name": "Ada", **TOKEN})),
    ],
)
def test_who_waits_for_a_lock_for_too_long_is_told_to_try_again(site, table, call):
    with locked(table):
        answer = Http(site).call(*call)
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"]
    assert json.loads(answer.content)["code"] == "unavailable"
    assert Http(site).call(*call).status != 503


def test_many_who_wait_for_a_lock_keep_nobody_from_what_is_not_locked(site):
    with locked("ordering_conferencesummary"), ThreadPoolExecutor(WAITERS) as threads:
        waiting = [threads.submit(Http(site).call, "GET", f"{V1}/conferences") for _ in range(WAITERS)]
        assert Http(site).call("GET", "/readyz").status == 200
        assert Http(site).call("GET", "/admin/login/").status == 200
        assert Counter(each.result().status for each in waiting) == {503: WAITERS}


def test_a_site_whose_own_tables_are_locked_says_that_it_is_not_ready(site):
    with locked("eventstore_subscriber"):
        answer = Http(site).call("GET", "/readyz")
    assert answer.status == 503
    assert json.loads(answer.content)["reasons"] == ["The database doesn't answer in time."]


def test_commands_wait_as_long_as_it_takes(site):
    show = "from django.db import connection as c; k = c.cursor(); k.execute('SHOW lock_timeout'); print(k.fetchone())"
    with program("manage.py", "shell", "-v", "0", "-c", show, SITE_LOCK_TIMEOUT_SECONDS="0.5") as command:
        assert command.process.wait(60) == 0
        assert command.output.strip() == "('0',)"
