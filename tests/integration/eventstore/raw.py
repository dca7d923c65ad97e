"""Connections of one's own, to stand where another process would."""

import json
from contextlib import suppress
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

from eventstore.context import new_id


class Connection(psycopg.Connection[Any]):
    """One that holds no lock any more once it is closed: else it would until the server has noticed."""

    def close(self) -> None:
        with suppress(psycopg.Error):
            self.rollback()
        super().close()


def connect(alias: str = DEFAULT_DB_ALIAS, **options: Any) -> psycopg.Connection[Any]:
    """A second session of the same role."""
    parameters = connections[alias].get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    return Connection.connect(**wanted, **options)


def append(connection: psycopg.Connection[Any], **more: Any) -> int:
    """One event, in the connection's transaction; answers its position. It is onto a new stream, unless `more`, which
    are columns that are to be otherwise, says which one and the version.
    """
    stream, version = str(more.get("stream_id", new_id())), more.get("version", 1)
    event = {
        "stream_id": stream,
        "category": "test",
        "version": 1,
        "type": "order.confirmed",
        "schema_version": 1,
        "data": {"order_id": stream},
        "event_id": str(new_id()),
        "correlation_id": str(new_id()),
        "actor": "",
        "metadata": {},
        **more,
    }
    row = connection.execute(
        "SELECT last FROM eventstore_append_v2(ARRAY[%s]::uuid[], ARRAY[%s]::int[], %s, NULL, NULL)",
        [stream, version - 1, json.dumps([event], default=str)],
    ).fetchone()
    assert row
    return int(row[0])


def announce(connection: psycopg.Connection[Any], position: int) -> None:
    """What a writer does that read the sequence at this position, and was held up before it took its lock."""
    connection.execute("SELECT pg_advisory_xact_lock_shared((20037::bigint << 48) | %s)", [position])
