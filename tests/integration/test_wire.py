"""What a connection says to PostgreSQL is counted as it travels: round trips, statements, transactions."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from benchmarks.wire import Trip, traced
from tests.integration.eventstore.raw import connect

Counted = list[tuple[int, int]]
"""Of each round trip: how many statements it had, and how many transactions ended with it."""


@pytest.fixture
def connection() -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        yield connection


@pytest.fixture
def counted(connection: psycopg.Connection) -> Callable[[Callable[[], object]], Counted]:
    def count(talk: Callable[[], object]) -> Counted:
        trips = list[Trip]()
        with traced(connection, trips):
            talk()
        return [(len(trip.statements), trip.ended) for trip in trips]

    return count


def piped(connection: psycopg.Connection, *statements: str) -> list[psycopg.Cursor]:
    with connection.pipeline():
        return [connection.execute(statement) for statement in statements]


def ended(trips: Counted) -> int:
    """With an error one can't know what else was on its way already: how many transactions ended in all."""
    return sum(transactions for _, transactions in trips)


def test_a_statement_in_no_block_is_a_transaction(connection, counted):
    assert counted(lambda: [connection.execute("SELECT 1"), connection.execute("SELECT 2")]) == [(1, 1), (1, 1)]


def test_a_block_is_one_transaction_however_often_it_asks(connection, counted):
    def talk():
        for statement in ("BEGIN", "SELECT 1", "SELECT 2", "COMMIT"):
            connection.execute(statement)

    assert counted(talk) == [(1, 0), (1, 0), (1, 0), (1, 1)]


def test_a_begin_travels_with_what_follows_it(connection, counted):
    def talk():
        piped(connection, "BEGIN", "SELECT 1")
        piped(connection, "SELECT 2", "COMMIT")

    assert counted(talk) == [(2, 0), (2, 1)]


def test_what_follows_a_commit_in_the_same_trip_is_a_transaction_of_its_own(connection, counted):
    def talk():
        piped(connection, "BEGIN", "SELECT 1", "COMMIT", "SELECT 2", "SELECT 3")

    assert counted(talk) == [(5, 2)]


def test_several_blocks_of_one_trip_are_several_transactions(connection, counted):
    def talk():
        piped(connection, "BEGIN", "SELECT 1", "COMMIT", "BEGIN", "SELECT 2", "ROLLBACK", "BEGIN", "SELECT 3")
        connection.execute("COMMIT")

    assert counted(talk) == [(8, 2), (1, 1)]


def test_a_commit_that_begins_the_next_block_ends_one(connection, counted):
    def talk():
        piped(connection, "BEGIN", "SELECT 1", "COMMIT AND CHAIN", "SELECT 2")
        connection.execute("COMMIT")

    assert counted(talk) == [(4, 1), (1, 1)]


def test_what_is_in_no_block_and_shares_a_trip_is_one_transaction(connection, counted):
    assert counted(lambda: piped(connection, "SELECT 1", "SELECT 2")) == [(2, 1)]


def test_a_savepoint_that_is_rolled_back_ends_no_transaction(connection, counted):
    def talk():
        piped(connection, "BEGIN", "SAVEPOINT here", "SELECT 1", "ROLLBACK TO here", "RELEASE here")
        connection.execute("SAVEPOINT here; ROLLBACK TO here; RELEASE here")
        connection.execute("SELECT 'one; two', 1 AS \"a;b\"")
        connection.execute("ROLLBACK")

    assert counted(talk) == [(5, 0), (3, 0), (1, 0), (1, 1)]


def test_what_an_error_skips_ends_nothing(connection, counted):
    def fail(*before):
        with pytest.raises(psycopg.errors.DivisionByZero):
            piped(connection, *before, "SELECT 1 / 0", "COMMIT", "SELECT 2")

    assert ended(counted(lambda: [fail("BEGIN"), connection.execute("COMMIT")])) == 1
    assert ended(counted(fail)) == 1


def test_a_transaction_that_fails_at_its_commit_has_ended(connection, counted):
    connection.execute("CREATE TEMPORARY TABLE once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    def fail():
        with pytest.raises(psycopg.errors.UniqueViolation):
            piped(connection, "BEGIN", "INSERT INTO once VALUES (1), (1)", "COMMIT", "SELECT 1")

    assert ended(counted(fail)) == 1


def test_an_answer_that_is_waited_for_within_a_pipeline_is_a_round_trip(connection, counted):
    def talk():
        with connection.pipeline():
            connection.execute("BEGIN")
            connection.execute("SELECT 1").fetchone()
            connection.execute("SELECT 2")
            connection.execute("COMMIT")

    assert counted(talk) == [(2, 0), (2, 1)]


def test_a_prepared_statement_is_known_by_what_it_says(connection):
    trips = list[Trip]()
    connection.execute("SELECT count(*) FROM pg_database", prepare=True)
    with traced(connection, trips), connection.pipeline():
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM pg_database", prepare=True)
        connection.execute("COMMIT")
    assert [(trip.what, trip.commits) for trip in trips] == [("BEGIN + SELECT pg_database + COMMIT", 1)]
    assert all(trip.waited > 0 for trip in trips)
