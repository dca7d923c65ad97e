"""The least that renaming a customer can cost on these tables: a program written by hand for this one command.

It keeps the promises of a command in the same two transactions, with psycopg alone, on the tables and the functions of
the database: the first decides about the events of a stream and appends, the second feeds every sync subscriber. All
statements are prepared, and what needs no answer of what comes before it shares its round trip. It knows one event, one
read table and no failures.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from random import Random
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg

from benchmarks.clients import Job
from benchmarks.errors import promise
from eventstore import advisory_locks, queries
from eventstore.context import new_id, process_name

CUSTOMERS = 200  # of each client, as of those who dispatch
BATCH = 500
NAP = 0.001  # seconds

PROFILES = "customer-profiles"
REGISTERED, RENAMED = "customer.registered", "customer.renamed"

_CUSTOMERS = UUID("c0a4f0cb-6d0c-4f0e-9f4d-2a8f6f0c7f55")

Row = tuple[Any, ...]


class Statement(NamedTuple):
    """What is asked in one message."""

    query: str
    parameters: Sequence[Any] | dict[str, Any] = ()


def customers_of(client: int) -> list[UUID]:
    """Whom a client renames."""
    return [uuid5(_CUSTOMERS, f"{client} {number}") for number in range(CUSTOMERS)]


def newest(function: str) -> str:
    """This function of the database, in the version that is asked for today."""
    versions = re.findall(rf"\b{function}_v(\d+)\(", " ".join(map(str, vars(queries).values())))
    return f"{function}_v{max(map(int, versions))}"


LOCK = """SELECT set_config('lock_timeout', '10s', true),
    set_config('idle_in_transaction_session_timeout', '5s', true), pg_advisory_xact_lock(%s, hashtext(%s))"""
"""A repeat of a command waits for the first."""

LOAD = """SELECT version, type, data::text FROM eventstore_event
    WHERE stream_id = %s AND NOT EXISTS (SELECT FROM eventstore_command WHERE id = %s) ORDER BY version"""
"""The events to decide about, unless the command was carried out before."""

APPEND = f"SELECT last FROM {newest('eventstore_append')}(%s, %s, %s, NULL, %s)"
"""Takes the stream's lock, checks its version, and records the event and the command's id."""

HOLD = """SELECT name, checkpoint FROM eventstore_subscriber
    WHERE (SELECT pg_try_advisory_xact_lock(%(feeder)s, 0) AND set_config('lock_timeout', '200ms', true) <> ''
            AND set_config('idle_in_transaction_session_timeout', '1s', true) <> ''
            AND set_config('synchronous_commit', 'off', true) <> '')
        AND status = 'running' AND identity = ANY(%(known)s::text[])
        AND (retry_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '1 second') IS NOT TRUE
    ORDER BY rank, name FOR NO KEY UPDATE SKIP LOCKED"""
"""Locks the rows of the sync subscribers, unless somebody else feeds them. Each is read as it is once it is locked."""

STANDING = f"""SELECT {newest("eventstore_horizon")}(-1),
    EXISTS (SELECT FROM eventstore_parked WHERE subscriber = ANY(%(names)s::text[])),
    EXISTS (SELECT FROM eventstore_discardedevent WHERE subscriber = ANY(%(names)s::text[]))"""
"""How far the log is final, and whether any event is held back or left out: asked when the rows are held."""

EVENTS = """SELECT event.position, event.stream_id, event.version, event.type, event.data::text,
        row.name, row.email, row.birth_date, row.address, row.registered_at, row.version, row.as_of
    FROM eventstore_event AS event LEFT JOIN ordering_customerprofile AS row ON row.customer_id = event.stream_id
    WHERE event.position > %s AND event.position <= %s ORDER BY event.position LIMIT %s"""
"""The next events, each with the row of its customer."""

MOVE = """WITH written AS (
        UPDATE ordering_customerprofile AS row SET name = new.name, version = new.version, as_of = new.as_of
        FROM jsonb_to_recordset(%s::jsonb) AS new(customer_id uuid, name text, version int, as_of bigint)
        WHERE row.customer_id = new.customer_id)
    UPDATE eventstore_subscriber SET checkpoint = greatest(checkpoint, %s),
        processed = processed + CASE name WHEN %s THEN %s ELSE 0 END, failures = 0, retry_at = NULL,
        moved_at = clock_timestamp(), fed_by = %s
    WHERE name = ANY(%s::text[])"""
"""Writes the rows, and moves all checkpoints."""

AWAIT = "SELECT set_config('lock_timeout', '100ms', true), pg_advisory_xact_lock_shared(%s, 0)"
"""Waits until nobody feeds; shared, so that all who wait go on together."""

AT_REST = """SELECT NOT EXISTS (SELECT FROM sagas_outbox WHERE root = %(root)s AND status IN ('pending', 'parked'))
    AND NOT EXISTS (SELECT FROM eventstore_subscriber
        WHERE status = 'running' AND identity = ANY(%(known)s::text[])
            AND checkpoint < greatest(%(position)s, (SELECT max(result) FROM sagas_outbox WHERE root = %(root)s)))"""
"""Whether nothing is left to send of what began with a command, and every sync subscriber has seen what it led to."""

SUBSCRIBERS = "SELECT name, identity FROM eventstore_subscriber WHERE mode = 'sync'"

BEGIN, COMMIT, NEXT = Statement("BEGIN"), Statement("COMMIT"), Statement("COMMIT AND CHAIN")


class Rename(Job):
    """Give one of `customers_of` this client another name, over when it can be read."""

    def __init__(self, client: int) -> None:
        super().__init__(client)
        self.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        self._cursors = list[psycopg.Cursor[Row]]()
        self._random, self._customers = Random(client), customers_of(client)
        names, known = zip(*self.connection.execute(SUBSCRIBERS).fetchall(), strict=True)
        self._known = {"names": _array(names), "known": _array(known)}
        self._hold = (
            Statement(HOLD, {"feeder": advisory_locks.FEEDER, **self._known}),
            Statement(STANDING, self._known),
        )

    def once(self) -> None:
        command_id, customer_id = new_id(), self._random.choice(self._customers)
        *_, known = self._ask(
            BEGIN,
            Statement(LOCK, [advisory_locks.COMMAND, str(command_id)]),
            Statement(LOAD, [customer_id, command_id]),
        )
        append = self._decide(command_id, customer_id, known)
        ((position,),), _, held, standing = self._ask(append, NEXT, *self._hold)
        at_rest = Statement(AT_REST, {"root": command_id, "position": position, **self._known})
        while not self._feed(held, standing[0], at_rest):
            _, held, standing = self._ask(BEGIN, *self._hold)

    def _decide(self, command_id: UUID, customer_id: UUID, known: Sequence[Row]) -> Statement:
        """The append of an event that says the new name, which has to be another than the stream says now."""
        name = f"Ada {self._random.getrandbits(48):012x}"
        names = [json.loads(data)["name"] for _, kind, data in known if kind in {REGISTERED, RENAMED}]
        promise(bool(names) and names[-1] != name, f"Customer {customer_id} is not there, or is {name} already.")
        version, *_ = known[-1]
        event = {
            "stream_id": str(customer_id),
            "category": "customer",
            "version": version + 1,
            "type": RENAMED,
            "schema_version": 1,
            "data": {"customer_id": str(customer_id), "name": name},
            "event_id": str(new_id()),
            "correlation_id": str(new_id()),
            "causation_id": str(command_id),
            "actor": "",
            "metadata": {"root": str(command_id)},
        }
        return Statement(APPEND, [_array([customer_id]), _array([version]), json.dumps([event]), command_id])

    def _feed(self, held: Sequence[Row], standing: Row, at_rest: Statement) -> bool:
        """Feed if the rows are held, end the transaction, and tell whether that was all."""
        if not held:
            return self._after_feeder(at_rest)
        horizon, parked, discarded = standing
        promise(not parked and not discarded, "The floor can't leave out events that are parked or discarded.")
        begin = next(checkpoint for name, checkpoint in held if name == PROFILES)
        if horizon <= begin:
            return self._after_nap(at_rest)
        (events,) = self._ask(Statement(EVENTS, [begin, horizon, BATCH]))
        reached = events[-1][0] if len(events) == BATCH else horizon
        names = _array(name for name, _ in held)
        *_, ((done,),) = self._ask(
            Statement(MOVE, [_folded(events), reached, PROFILES, len(events), process_name(), names]), COMMIT, at_rest
        )
        return bool(done)

    def _after_feeder(self, at_rest: Statement) -> bool:
        """Somebody else feeds, and probably what we wait for; it may have frozen."""
        try:
            *_, ((done,),) = self._ask(Statement(AWAIT, [advisory_locks.FEEDER]), COMMIT, at_rest)
        except psycopg.errors.LockNotAvailable:
            self.connection.rollback()
            (((done,),),) = self._ask(at_rest)
        return bool(done)

    def _after_nap(self, at_rest: Statement) -> bool:
        """Somebody appended before us and has not committed, so our event can't be read yet."""
        _, ((done,),) = self._ask(COMMIT, at_rest)
        if not done:
            time.sleep(self._random.uniform(0.5, 1.5) * NAP)
        return bool(done)

    def _ask(self, *statements: Statement) -> list[list[Row]]:
        """The rows of each, in one round trip."""
        while len(self._cursors) < len(statements):
            self._cursors.append(self.connection.cursor())
        with self.connection.pipeline() if len(statements) > 1 else nullcontext():
            asked = [
                cursor.execute(statement.query, statement.parameters, prepare=True)
                for cursor, statement in zip(self._cursors, statements, strict=False)
            ]
        return [cursor.fetchall() if cursor.description else [] for cursor in asked]


def _folded(events: Iterable[Row]) -> str:
    """The rows as these events leave them."""
    folded = dict[UUID, dict[str, Any]]()
    for position, customer_id, version, kind, data, *row in events:
        *_, as_of = row
        promise(kind == RENAMED and as_of is not None, f"The floor can't apply {kind} at {position}.")
        folded[customer_id] = {
            "customer_id": str(customer_id),
            "name": json.loads(data)["name"],
            "version": version,
            "as_of": max(position, as_of),
        }
    return json.dumps(list(folded.values()))


def _array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it, of values without quotes."""
    return "{" + ",".join(f'"{value}"' for value in values) + "}"
