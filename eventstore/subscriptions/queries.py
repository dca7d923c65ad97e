"""The SQL of feeding, of parked events and of whoever waits for a subscriber, by the module that asks it."""

# hash_ranges

HOLDS = """md5(key) COLLATE "C" >= lower AND (upper IS NULL OR md5(key) COLLATE "C" < upper)"""
"""`HashRange.holds` in SQL, for columns of these names."""

# feed_state

ACQUIRE = "SELECT eventstore_acquire_v3(%s, %s, %s, %s, %s, %s, %s)"
"""Locks the rows that may be fed now and that nobody else holds, and tells all that is to be known before."""

TAKE_TURN = """SELECT eventstore_take_turn_v2(
    {awaited}, %(patience)s, %(bound)s, %(known)s, %(types)s, %(near)s, %(most)s, %(idle)s)"""
"""Waits for one's turn to feed the sync subscribers, and then does the same; or until they have been fed as far as the
position that is put in.
"""

# savepoints

SAVEPOINT = "SAVEPOINT feeding"
"""Begins what is done as a whole, or not at all."""

CHECK_CONSTRAINTS = "SET CONSTRAINTS ALL IMMEDIATE"
"""Checks what is deferred, now."""

DEFER_CONSTRAINTS = "SET CONSTRAINTS ALL DEFERRED"
"""Defers it again for whoever comes next in this transaction: the mode would outlive the savepoint."""

RELEASE = f"{CHECK_CONSTRAINTS}; {DEFER_CONSTRAINTS}; RELEASE feeding"
"""Ends the savepoint with what was done since, if it passes the checks."""

ROLLBACK = "ROLLBACK TO feeding; RELEASE feeding"
"""Ends the savepoint as if nothing had been done since."""

# parking

KEY_TEXT = """CASE WHEN octet_length({key}) > 2000
    THEN left({key}, 100) || ' (sha256 ' || encode(sha256(convert_to({key}, 'UTF8')), 'hex') || ')' ELSE {key} END"""
"""`parking.text` of a key that is a text in the database, where only its length can keep it from being parked as it is.
"""

PARK = """INSERT INTO eventstore_parked (subscriber, key, position, error, traceback, attempts, retry_at)
    SELECT %s, key, position, error, traceback, (error <> '')::int, CASE WHEN error <> '' THEN
        clock_timestamp() + %s::float8 * interval '1 second' END
    FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[]) AS new(key, position, error, traceback)
    ON CONFLICT DO NOTHING"""
"""Parks events; those with an error are due for a retry in so many seconds, or never where that is null."""

# feeding

AWAIT_FEEDER = "SELECT eventstore_await_feeder_v1('100ms')"
"""Waits until nobody feeds, for a feeder may have frozen no longer than this."""

MOVE_CHECKPOINTS = """UPDATE eventstore_subscriber AS row
    SET checkpoint = greatest(row.checkpoint, new.checkpoint), processed = row.processed + new.processed, failures = 0,
        retry_at = NULL, moved_at = clock_timestamp(), fed_by = %s
    FROM unnest(%s::text[], %s::bigint[], %s::int[]) AS new(name, checkpoint, processed) WHERE row.name = new.name"""
"""Moves the checkpoints of a batch on, with how many events were applied; whoever moves fails no longer."""

NOTE_FAILURE = """UPDATE eventstore_subscriber
    SET failures = failures + 1, retry_at = clock_timestamp() + interval '1 second', last_error = %s,
        last_error_at = clock_timestamp(), status = CASE WHEN failures + 1 >= %s THEN 'halted' ELSE status END
    WHERE name = %s"""
"""Notes a failure that is no event's, for another try in a second; halts the row at the last of so many in a row."""

NOTE_WAIT = """UPDATE eventstore_subscriber
    SET retry_at = clock_timestamp() + interval '1 second', last_error = %s, last_error_at = clock_timestamp()
    WHERE name = %s"""
"""Notes that others were in the way, for another try in a second, however often."""

NOTE_PARKED = "UPDATE eventstore_subscriber SET last_error = %s, last_error_at = clock_timestamp() WHERE name = %s"
"""Notes the last error for which events of a row were parked."""

HALT = """UPDATE eventstore_subscriber SET status = 'halted', last_error = %s, last_error_at = clock_timestamp()
    WHERE name = %s"""
"""Halts a row, with the error that it was halted for."""

FAILING_KEYS = """SELECT DISTINCT key FROM eventstore_parked
    WHERE subscriber = %s AND error <> '' AND parked_at <= clock_timestamp() AND parked_at > greatest(
        clock_timestamp() - interval '1 minute',
        (SELECT resumed_at FROM eventstore_subscriber WHERE name = %s AND resumed_at <= clock_timestamp()))"""
"""The keys that failed within the last minute: what failed before somebody resumed the subscriber is no longer held
against it. Times in the future are from before the clock was set back, and count for nothing.
"""

# retry

KEYS_WITH_PARKED = """SELECT key FROM eventstore_parked WHERE subscriber = %(subscriber)s
    AND (%(key)s::text IS NULL OR key = %(key)s) AND (%(error)s::text IS NULL OR error = %(error)s)
    GROUP BY key ORDER BY min(position)"""
"""The keys of a subscriber that have something parked, from the lowest position on: all, one, or those of an error."""

DUE_RETRIES = f"""SELECT parked.subscriber, key
    FROM unnest(%(names)s::text[], %(lowers)s::text[], %(uppers)s::text[]) AS mine(name, lower, upper)
        JOIN eventstore_subscriber AS row USING (name)
        JOIN eventstore_parked AS parked USING (subscriber)
    WHERE status = 'running' AND identity = ANY(%(known)s::text[]) AND error <> ''
        AND parked.retry_at <= clock_timestamp() AND {HOLDS}
    ORDER BY parked.retry_at LIMIT %(most)s"""
"""The keys that are to be tried again now, of running rows of this code and of their shards' own keys."""

MAKE_DUE = """UPDATE eventstore_parked SET retry_at = clock_timestamp()
    WHERE subscriber = %s AND key = ANY(%s) AND error <> ''"""
"""Lets workers try some keys again as soon as they can."""

POSTPONE_RETRY = """UPDATE eventstore_parked SET retry_at = clock_timestamp() + interval '1 second'
    WHERE subscriber = %s AND key = %s AND error <> ''"""
"""Puts the next try of a key off for a second."""

QUEUE = "SELECT position FROM eventstore_parked WHERE subscriber = %s AND key = %s ORDER BY position LIMIT %s"
"""The next positions of a key that is parked."""

UNPARK = "DELETE FROM eventstore_parked WHERE subscriber = %s AND key = %s AND position = ANY(%s)"
"""Takes events that were applied out of the queue of their key."""

NOTE_RETRY = """UPDATE eventstore_parked SET error = %s, traceback = %s, attempts = %s,
        retry_at = clock_timestamp() + %s::float8 * interval '1 second'
    WHERE subscriber = %s AND key = %s AND position = %s"""
"""Notes why an event still can't be applied, and when it is tried next, if ever."""

STREAM_PARKED = "SELECT EXISTS (SELECT FROM eventstore_parked WHERE subscriber = %s AND starts_with(key, %s))"
"""Whether a key of a subscriber is parked that begins like this."""

WAITING_KEYS = """SELECT key FROM eventstore_parked WHERE subscriber = %s
    GROUP BY key HAVING bool_and(error = '') ORDER BY min(position)"""
"""The keys of which nothing failed: they wait for a stream, one of whose events may begin what they are about."""

PARKED_AMONG = "SELECT DISTINCT key FROM eventstore_parked WHERE subscriber = %s AND key = ANY(%s)"
"""Those of some keys that have something parked."""

ATTEMPTS = "SELECT attempts FROM eventstore_parked WHERE subscriber = %s AND key = %s AND position = %s"
"""How often an event was tried for a key."""

DISCARD = """WITH gone AS (
        DELETE FROM eventstore_parked WHERE subscriber = %s AND key = %s AND position = ANY(%s)
        RETURNING subscriber, key, position, error
    ), noted AS (
        INSERT INTO eventstore_discardedevent (subscriber, key, position, error, reason, by)
        SELECT subscriber, key, position, error, %s, %s FROM gone ON CONFLICT DO NOTHING
    ) SELECT count(*) FROM gone"""
"""Takes parked events of a key out for good, noting which, by whom and why; answers how many."""

# row_locks

SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %s, true)"
"""Limits the wait for each lock until the transaction ends."""

LOCK_ROWS = """SELECT name, shard, shards, status, checkpoint, version, types_hash, fingerprint
    FROM eventstore_subscriber WHERE subscriber = %s ORDER BY rank, name FOR NO KEY UPDATE"""
"""Waits for all rows of a subscriber and locks them, in the order in which feeders do and as they do."""

# gaps

COUNT_WANTED = """SELECT count(*) FROM (SELECT FROM eventstore_event
    WHERE type = ANY(%s) AND position > %s AND position <= %s LIMIT %s) AS wanted"""
"""How many events of some types lie between two positions, up to a bound."""

CHECKPOINTS_OF = "SELECT name, checkpoint FROM eventstore_subscriber WHERE subscriber = %s"
"""Where the rows of a subscriber stand."""

PARKED_POSITIONS = "SELECT DISTINCT position FROM eventstore_parked WHERE subscriber = %s ORDER BY position LIMIT %s"
"""The positions that a subscriber has parked, the first so many of them."""

PARKED_POSITIONS_AMONG = "SELECT DISTINCT position FROM eventstore_parked WHERE subscriber = %s AND position = ANY(%s)"
"""Those of some positions that a subscriber has parked."""

ADJACENT = """SELECT pair.low FROM unnest(%s::bigint[], %s::bigint[]) AS pair(low, high)
    WHERE NOT EXISTS (SELECT FROM unnest(%s::text[]) AS wanted(type) WHERE EXISTS (
        SELECT FROM eventstore_event AS event
        WHERE event.type = wanted.type AND event.position > pair.low AND event.position < pair.high))"""
"""The lower ones of those pairs of parked positions that are in one range: nothing that was wanted, and so was applied,
lies between them.
"""

SKIPPED_RANGES = "SELECT after, upto FROM eventstore_skippedrange WHERE subscriber = %s ORDER BY after"
"""What somebody let a subscriber skip."""

# read_your_writes

CHAIN_STATE = """SELECT {unfinished},
        coalesce(bool_or(checkpoint >= %(position)s - %(near)s), false),
        coalesce(bool_or(checkpoint < %(position)s - %(near)s), false), greatest({positions}), {due}
    FROM eventstore_subscriber WHERE status = 'running' AND identity = ANY(%(known)s::text[])
        AND checkpoint < greatest({positions})"""
"""Whether something is unsent; whether a subscriber that is near is behind; whether one is so far behind that nobody
waits for it; the last position appended in the chain; what can be sent, by outbox. One statement for all, with the
conditions, positions and queries of the outboxes put in: asked in two moments, a command could be in neither answer.
"""

# visibility

PROGRESS = """SELECT '', coalesce(max(position), 0) FROM eventstore_event
    UNION ALL
    SELECT subscriber, min(checkpoint) FROM eventstore_subscriber WHERE subscriber = ANY(%s::text[])
    GROUP BY subscriber"""
"""The last position that was committed, under no name, and the lowest checkpoint of each of some subscribers."""
