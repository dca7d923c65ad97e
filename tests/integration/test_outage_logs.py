"""What is printed while a server is away: a line each time, and nothing that somebody would have to read through."""

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from django.contrib.auth.models import User
from psycopg import sql

from config import bundled
from config.bundled.valkey import free_port
from eventstore import store
from eventstore.models import SubscriberRow
from tests.integration import shop
from tests.integration.eventstore import raw
from tests.integration.http_client import Http
from tests.integration.processes import eventually, program, worker
from tests.servers import temporary_home

pytestmark = pytest.mark.usefixtures("clean")

NAME = f"outage-{os.getpid()}"
"""What the sessions of the worker and of beat are called."""

_LIMIT = "ALTER DATABASE {} CONNECTION LIMIT {}"
_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND usename = %s"


def caught_up() -> bool:
    return not SubscriberRow.objects.filter(checkpoint__lt=store.head()).exists()


def printed_otherwise(output: str) -> list[str]:
    """What doesn't begin with a time and a level, as each line of a log does."""
    return [line for line in output.splitlines() if not re.match(r"\d\d:\d\d:\d\d \[", line)]


@contextmanager
def away() -> Iterator[None]:
    """The database takes nobody in, and throws out the worker and beat."""
    with (
        closing(raw.connect("owner", autocommit=True)) as owner,
        closing(raw.connect("default", autocommit=True)) as application,
    ):
        database = sql.Identifier(owner.info.dbname)
        owner.execute(sql.SQL(_LIMIT).format(database, sql.Literal(0)))
        try:
            for connection in (owner, application):
                connection.execute(_TERMINATE, [NAME, connection.info.user])
            yield
        finally:
            owner.execute(sql.SQL(_LIMIT).format(database, sql.Literal(-1)))


def test_a_database_that_is_away_is_told_in_lines_without_tracebacks(tmp_path):
    beat_command = ("-m", "celery", "--quiet", "-A", "config", "beat", "-s", f"{tmp_path}/schedule")
    with worker(queues="live,clock", PGAPPNAME=NAME) as working, program(*beat_command, PGAPPNAME=NAME) as beat:
        conference = shop.conference_on_sale()
        eventually(caught_up)
        before = len(working.output), len(beat.output)
        with away():
            with pytest.raises(psycopg.OperationalError):
                raw.connect()
            shop.order(shop.customer(), conference)  # over a connection that was there before
            eventually(lambda: "task_failed" in working.output, 60)
            eventually(lambda: "call_failed" in beat.output, 60)
        eventually(caught_up, 60)
        after = working.output[before[0] :], beat.output[before[1] :]
    assert [printed_otherwise(output) for output in after] == [[], []]
    failures = [line for line in after[0].splitlines() if "task_failed" in line]
    assert all("[warning  ]" in line for line in failures), failures


def test_a_page_of_the_admin_says_that_the_database_is_away_and_shows_what_it_had_to_when_it_is_back(client):
    client.force_login(User.objects.create_user("ada", is_staff=True, is_superuser=True))
    cookie = client.cookies.output(attrs=[], header="").strip()
    port = free_port()
    site = ("-m", "granian", "--interface=asginl", "--host=127.0.0.1", f"--port={port}", "config.asgi:application")
    with program(*site, ready="Started worker", PGAPPNAME=NAME) as serving:

        def look():
            return Http(f"http://127.0.0.1:{port}").call("GET", "/admin/", Cookie=cookie)

        assert eventually(look).status == 200
        with away():
            answers = [look(), look()]
        eventually(lambda: look().status == 200, 60)
        output = serving.output
    assert [answer.status for answer in answers] == [503, 503]
    assert answers[0].headers["Retry-After"]
    assert b"looks again by itself" in answers[0].content
    assert "page_unavailable" in output
    assert "Traceback" not in output


@pytest.mark.bundled
def test_a_broker_that_is_away_is_told_in_lines_without_tracebacks():
    with (
        temporary_home() as home,
        bundled.servers(home, postgres=False) as broker,
        worker(REDIS_URL=broker.redis_url) as working,
    ):
        before = len(working.output)
        broker.valkey.kill()
        eventually(lambda: "Cannot connect" in working.output, 60)
        broker.valkey.start()
        eventually(lambda: "Connected to" in working.output[before:], 60)
        after = working.output[before:]
    assert printed_otherwise(after) == []


def test_an_error_of_our_own_is_told_with_its_traceback():
    with closing(raw.connect("owner", autocommit=True)) as owner, worker() as working:
        owner.execute("ALTER TABLE eventstore_doorbell RENAME TO eventstore_doorbell_elsewhere")
        try:
            from eventstore.tasks import follow

            follow.delay()
            eventually(lambda: "Traceback" in working.output, 60)
            assert "[error    ] task_failed" in working.output
        finally:
            owner.execute("ALTER TABLE eventstore_doorbell_elsewhere RENAME TO eventstore_doorbell")
