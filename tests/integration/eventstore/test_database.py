"""Statements that travel together: with BEGIN, with COMMIT, with each other."""

from contextlib import closing

import psycopg
import pytest
from django.db import transaction

from benchmarks.wire import Trip, traced
from eventstore import database
from eventstore.database import Statement, array
from tests.integration.eventstore import raw
from tests.integration.eventstore.probes import query

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture
def table(clean):
    with closing(raw.connect("owner", autocommit=True)) as owner:
        owner.execute("CREATE TABLE written (value int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        owner.execute("GRANT ALL ON written TO PUBLIC")
        yield
        owner.execute("DROP TABLE written")


def write(value):
    return Statement("INSERT INTO written VALUES (%s) RETURNING value", [value])


def written():
    return [value for (value,) in query("SELECT value FROM written ORDER BY value")]


def test_begin_and_commit_travel_with_what_they_surround():
    trips: list[Trip] = []
    with traced(database.session(), trips), database.transaction():
        assert database.pipeline(write(1)) == [[(1,)]]
        assert database.commit(write(2), then=[Statement("SELECT count(*) FROM written")]) == [[(2,)], [(2,)]]
    assert [[statement.split()[0] for statement in trip.statements] for trip in trips] == [
        ["BEGIN", "INSERT"],
        ["INSERT", "COMMIT", "SELECT"],
    ]
    assert written() == [1, 2]


def test_what_was_put_off_goes_out_with_what_is_asked_next_and_at_the_latest_with_the_commit():
    with database.transaction(), database.cursor() as cursor:
        cursor.put_off(write(1).query, [1])
        assert written_by_now(cursor) == 1
        cursor.put_off(write(2).query, [2])
        cursor.execute("SELECT count(*) FROM written")
        assert cursor.fetchone() == (2,)
        cursor.put_off(write(3).query, [3])
    assert written() == [1, 2, 3]


def written_by_now(cursor):
    ((count,),) = cursor.ask("SELECT count(*) FROM written")
    return count


def test_what_is_asked_ahead_travels_together_and_waits_until_it_is_asked():
    count, sum_of = "SELECT count(*) FROM written", "SELECT sum(value) FROM written WHERE value < %s"
    trips: list[Trip] = []
    with traced(database.session(), trips), database.transaction(), database.cursor() as cursor:
        cursor.ask_ahead([Statement(count), Statement(sum_of, [5])])
        assert cursor.ask(sum_of, [5]) == [(None,)]
        cursor.put_off(write(1).query, [1])
        assert cursor.ask(count) == [(0,)], "as it was when it was sent"
        assert cursor.ask(count) == [(1,)], "and it answers once"
    assert [[statement.split()[0] for statement in trip.statements] for trip in trips][:2] == [
        ["BEGIN", "SELECT", "SELECT"],
        ["INSERT", "SELECT"],
    ]


def test_in_no_transaction_nothing_is_asked_ahead():
    with database.cursor() as cursor:
        cursor.ask_ahead([Statement("SELECT count(*) FROM nowhere")])
        assert cursor.ask("SELECT count(*) FROM written") == [(0,)]


def test_what_fails_takes_everything_with_it_also_what_was_put_off_and_what_is_done_on_commit():
    done = []
    with pytest.raises(ZeroDivisionError), database.transaction(), database.cursor() as cursor:
        database.pipeline(write(1))
        cursor.put_off(write(2).query, [2])
        transaction.on_commit(lambda: done.append("on commit"))
        raise ZeroDivisionError
    with pytest.raises(psycopg.errors.UniqueViolation), database.transaction(), database.cursor() as cursor:
        cursor.put_off(write(3).query, [3])
        cursor.put_off(write(3).query, [3])
        transaction.on_commit(lambda: done.append("on commit"))
    assert (written(), done) == ([], [])
    with database.transaction():
        database.pipeline(write(4))
        transaction.on_commit(lambda: done.append("on commit"))
    assert (written(), done) == ([4], ["on commit"])


def test_within_another_transaction_nothing_is_put_off_or_committed():
    with raw_savepoint(), database.transaction(), database.cursor() as cursor:
        cursor.put_off(write(1).query, [1])
        database.commit(write(2))
        assert written() == [1, 2]
    assert written() == []


class raw_savepoint:  # noqa: N801 - a context manager
    """What a test is in that is one transaction as a whole."""

    def __enter__(self):
        self.atomic = transaction.atomic()
        self.atomic._from_testcase = True  # type: ignore[attr-defined]
        self.atomic.__enter__()

    def __exit__(self, *_):
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)


def test_nothing_that_was_asked_is_no_transaction():
    with database.transaction():
        pass
    assert database.pipeline() == []


@pytest.mark.timeout(60)
def test_more_than_fits_into_the_socket_goes_out_whole():
    long = "x" * 50_000_000
    measured = Statement("SELECT length(%s::text)", [long])
    assert database.pipeline(measured, measured) == [[(len(long),)], [(len(long),)]]


def test_an_array_is_what_postgresql_reads():
    odd = ["", "a", "NULL", "{}", 'a"b', "a\\b", "a,b", " a ", "ä'", "two\nlines"]
    assert database.pipeline(Statement("SELECT %s::text[]", [array(odd)])) == [[(odd,)]]
    assert database.pipeline(Statement("SELECT %s::int[], %s::text[]", [array([1, 2]), array([])])) == [[([1, 2], [])]]
