"""A second database: with all that is in the first, as a restored backup is one, or with what a test puts there."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.db import connections

from config.bundled import programs
from config.bundled.account import Account
from eventstore import repository
from eventstore.subscriptions.registry import registry
from tests.servers import on_machine

COPY = "copy"
"""The alias of the copy in this process."""


@contextmanager
def copied_database() -> Iterator[dict[str, str]]:
    """Dumps the database and restores it into the spare one; answers the environment of programs that run on that."""
    with spare_database() as environment:
        owner = environment["DATABASE_OWNER_URL"]
        dump = [_program("pg_dump"), "--format=custom", os.environ["DATABASE_OWNER_URL"]]
        restore = [_program("pg_restore"), "--clean", "--if-exists", "--no-owner", "--exit-on-error"]
        dumped = subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run([*restore, f"--dbname={owner}"], check=True, input=dumped)
        yield environment


@contextmanager
def spare_database() -> Iterator[dict[str, str]]:
    """The spare database, with nothing in it, as COPY; answers the environment of programs that run on it."""
    owner = os.environ["SPARE_DATABASE_URL"]
    empty(owner)
    name = urlsplit(owner).path
    connections.databases[COPY] = connections["default"].settings_dict | {"NAME": name.removeprefix("/")}
    try:
        yield {
            "DATABASE_OWNER_URL": owner,
            "DATABASE_URL": urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=name)),
        }
    finally:
        connections[COPY].close()
        del connections[COPY]
        del connections.databases[COPY]
        # The next one has this alias too, and the same streams if it comes from the same dump.
        registry.forget_rows()
        repository.aggregate_cache.forget()
        empty(owner)


def empty(url: str) -> None:
    """A database with nothing in it."""
    with psycopg.connect(url, autocommit=True) as database:
        left = "nspname LIKE 'generation%' OR nspname = 'public'"
        for (schema,) in database.execute(f"SELECT nspname FROM pg_namespace WHERE {left}").fetchall():
            database.execute(f'DROP SCHEMA "{schema}" CASCADE')
        database.execute("CREATE SCHEMA public")


def _program(name: str) -> str:
    """The path of a program of the PostgreSQL that the tests run on."""
    if not on_machine():
        return str(programs.find(Account(), Path(os.environ["BOXOFFICE_HOME"])) / name)
    found = shutil.which(name)
    assert found, f"The tests need {name}: apt-get install postgresql-client"
    return found
