"""The SQL by which the log is read by people."""

# search

SEEN = "position, stream_id, version, type, correlation_id, actor, data"
"""What is known of an event while it is looked at."""

RANGE = "position > %(after)s AND position <= %(upto)s"
"""Between which positions is looked."""

ALL = f"SELECT {{seen}} FROM eventstore_event WHERE {RANGE}"
"""Every event; newest first by the primary key."""

OF_STREAM = f"SELECT {{seen}} FROM eventstore_event WHERE stream_id = %(stream_id)s AND {RANGE}"
"""Those of a stream, by the index of its versions."""

OF_CORRELATION = f"SELECT {{seen}} FROM eventstore_event WHERE correlation_id = %(correlation_id)s AND {RANGE}"
"""Those of a correlation, by its index, which has the positions in order."""

OF_TYPE = f"SELECT {{seen}} FROM eventstore_event WHERE type = {{type}} AND {RANGE}"
"""Those of a type, by its index, which has the positions in order."""

MERGED = f"({OF_TYPE} ORDER BY position DESC LIMIT %(looked)s)"
"""The same of one among several, which are merged in this order."""

NEWEST = """SELECT position FROM ({led} ORDER BY {order} DESC LIMIT %(looked)s) AS looked
    WHERE {rest} ORDER BY position DESC LIMIT %(most)s"""
"""The newest of them that fit the rest of what is asked, among no more than so many that are looked at."""

LOOKED = "SELECT count(*), min(position) FROM ({led} ORDER BY {order} DESC LIMIT %(looked)s) AS looked"
"""How many events that are, and the lowest position of them."""

BY_DATA = f"""WITH found AS MATERIALIZED (
        SELECT {SEEN} FROM eventstore_event WHERE data @? %(data)s::jsonpath AND {RANGE})
    SELECT position FROM found WHERE {{rest}} ORDER BY position DESC LIMIT %(most)s"""
"""The newest events with something in their data, by the index of that: it finds all of them, and then they are put in
order.
"""

NO_LONGER = "SELECT set_config('statement_timeout', %s, true)"
"""Bounds how long a statement of this transaction may take."""

HAS_DATA_INDEX = """SELECT EXISTS (SELECT FROM pg_index
    WHERE indexrelid = to_regclass('eventstore_event_data') AND indisvalid)"""
"""Whether there is an index of what is in the data, and ready."""

MAKE_DATA_INDEX = """CREATE INDEX CONCURRENTLY eventstore_event_data
    ON eventstore_event USING gin (data jsonb_path_ops)"""
"""Makes it, while events are appended."""

DROP_DATA_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS eventstore_event_data"
"""Drops it, also one that was not finished."""

DATA_INDEX_SIZE = "SELECT pg_relation_size('eventstore_event_data')"
"""Its size, in bytes."""

# chain

CHAIN_EVENT = """position, stream_id, category, version, type, event_id, causation_id, actor, recorded_at,
        (metadata->>'root')::uuid AS root"""
"""What is told of an event as one of a chain."""

CHAIN = f"""(SELECT {CHAIN_EVENT} FROM eventstore_event
        WHERE correlation_id = %(correlation_id)s AND position <= %(position)s ORDER BY position DESC LIMIT %(most)s)
    UNION ALL (SELECT {CHAIN_EVENT} FROM eventstore_event
        WHERE correlation_id = %(correlation_id)s AND position > %(position)s ORDER BY position LIMIT %(most)s)
    ORDER BY position"""
"""The events of a correlation next to a position, so many before it and so many after."""

# standing

TROUBLES = """SELECT 'parked', subscriber, key, error FROM eventstore_parked WHERE position = %(position)s
    UNION ALL SELECT 'discarded', subscriber, key, reason FROM eventstore_discardedevent WHERE position = %(position)s
    UNION ALL SELECT 'skipped', subscriber, '', reason FROM eventstore_skippedrange
        WHERE after < %(position)s AND upto >= %(position)s
    UNION ALL SELECT 'warned', subscriber, '', text FROM eventstore_warning
        WHERE subscriber = ANY(%(subscribers)s) AND position = %(position)s
    LIMIT 100"""
"""Where an event is parked or was left out, and what handlers found odd about it."""
