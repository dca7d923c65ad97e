"""The SQL of what is watched and told: whatever may be long is counted up to a bound. By the module that asks it."""

# heartbeat

BEAT = """INSERT INTO eventstore_heartbeat AS heartbeat (name, kind, queues, process, stuck, skew, skew_error)
    VALUES (%s, %s, %s::text[], %s, %s, %s, %s)
    ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, queues = excluded.queues, process = excluded.process,
        beat_at = clock_timestamp(), stopped_at = NULL, stuck = excluded.stuck, skew = excluded.skew,
        skew_error = excluded.skew_error,
        started_at = CASE WHEN heartbeat.process = excluded.process THEN heartbeat.started_at
            ELSE clock_timestamp() END"""
"""Notes that a process works, what of it doesn't, and how its clock stands to the database's; one that took the place
of another of its name has started anew.
"""

NOTE_STUCK = """UPDATE eventstore_heartbeat SET stuck = %s
    WHERE name = %s AND process = %s AND beat_at < clock_timestamp() - make_interval(secs => %s)"""
"""Notes why a process that has been silent for so many seconds doesn't work."""

GOODBYE = "UPDATE eventstore_heartbeat SET stopped_at = clock_timestamp() WHERE name = %s AND process = %s"
"""Notes that a process ends, unless another has taken its place."""

# workers

HEARTBEATS = """SELECT name, kind, queues, process, started_at, beat_at, stopped_at IS NOT NULL AS stopped,
        stuck, skew, skew_error,
        extract(epoch FROM clock_timestamp() - beat_at)::float AS age
    FROM eventstore_heartbeat WHERE kind <> 'health-check' ORDER BY kind, name"""
"""The workers and beats, with the seconds since each was heard."""

# incidents

LIMIT_CHECK = """SELECT set_config('idle_in_transaction_session_timeout', '10s', true),
    set_config('statement_timeout', '10s', true), set_config('lock_timeout', '2s', true)"""
"""Limits the look at the health of everything: a process that freezes while it looks is cut off, and others go on
looking.
"""

TRY_CHECK = "SELECT pg_try_advisory_xact_lock(%s, 0)"
"""Takes the lock of who looks until the transaction ends, if it is free; never waits."""

TAKE_TURN = """INSERT INTO eventstore_heartbeat AS heartbeat (name, kind, queues, process)
    VALUES ('health-check', 'health-check', '{}', %s)
    ON CONFLICT (name) DO UPDATE SET beat_at = clock_timestamp(), process = excluded.process
    WHERE heartbeat.beat_at NOT BETWEEN clock_timestamp() - make_interval(secs => %s) AND clock_timestamp()
    RETURNING beat_at"""
"""Notes that we look now and answers the time, unless somebody did within so many seconds. They are a little less than
the pause, or a process that comes a moment too early would look only after another one. A look in the future was before
the clock was set back, and counts for nothing.
"""

# notifications

CLAIM_NOTIFICATION = """UPDATE eventstore_notification
    SET due_at = clock_timestamp() + make_interval(secs => %s), attempts = attempts + 1
    WHERE id = (
        SELECT id FROM eventstore_notification AS mine WHERE sent_at IS NULL AND due_at <= clock_timestamp()
            AND notifier = ANY(%s) AND NOT (ended AND EXISTS (
                SELECT FROM eventstore_notification AS earlier WHERE earlier.incident_id = mine.incident_id
                    AND earlier.notifier = mine.notifier AND NOT earlier.ended AND earlier.sent_at IS NULL))
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id"""
"""Takes the next notification that is due, for as long as one attempt may last. The end is told after the beginning, by
each notifier.
"""

NOTE_SENT = "UPDATE eventstore_notification SET sent_at = clock_timestamp() WHERE id = %s"
"""Notes that it was told."""

POSTPONE_NOTIFICATION = (
    "UPDATE eventstore_notification SET due_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s"
)
"""Has it told in so many seconds."""

# status

SHARDS = """
    SELECT name, subscriber, shard, shards, rank, mode, version, types_hash, fingerprint, stale, status, checkpoint,
        processed, failures, last_error, last_error_at, moved_at, fed_by,
        coalesce(extract(epoch FROM clock_timestamp() - (
            SELECT recorded_at FROM eventstore_event WHERE position > row.checkpoint ORDER BY position LIMIT 1
        )), 0)::float AS lag_seconds,
        CASE WHEN row.moved_at <= clock_timestamp() THEN extract(epoch FROM clock_timestamp() - row.moved_at)::float
            ELSE 'Infinity' END AS still_seconds
    FROM eventstore_subscriber AS row ORDER BY rank, subscriber, shard"""
"""Every row of every subscriber, with the age of the first event that it has yet to pass, and the seconds since it
moved: no end of them if that was before the clock was set back.
"""

COUNTS = """
    SELECT each.name, failed, retrying, behind, warnings
    FROM (SELECT DISTINCT subscriber FROM eventstore_subscriber) AS each(name), LATERAL (
        SELECT count(*) FILTER (WHERE error <> '') AS failed, count(*) FILTER (WHERE error = '') AS behind,
            count(*) FILTER (WHERE error <> '' AND retry_at IS NOT NULL) AS retrying
        FROM (SELECT error, retry_at FROM eventstore_parked WHERE subscriber = each.name LIMIT %(most)s) AS counted
    ) AS parked, LATERAL (
        SELECT count(*) AS warnings
        FROM (SELECT FROM eventstore_warning WHERE subscriber = each.name LIMIT %(most)s) AS counted
    ) AS warned"""
"""What each subscriber has parked and was warned of, counted up to a bound."""

HOLDERS = """
    WITH announced AS (
        SELECT pid, virtualtransaction FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND (classid::bigint >> 16) = %(announce)s
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    SELECT format('%%s (pid %%s)', coalesce(nullif(application_name, ''), 'a session'), pid) AS holder, query,
        extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds
    FROM pg_stat_activity WHERE pid IN (SELECT pid FROM announced)
    UNION ALL
    SELECT format('the prepared transaction %%s', gid), '',
        extract(epoch FROM clock_timestamp() - prepared)::float
    FROM pg_prepared_xacts JOIN pg_locks AS own ON own.locktype = 'transactionid' AND own.transactionid = transaction
    WHERE own.virtualtransaction IN (SELECT virtualtransaction FROM announced WHERE pid IS NULL)
    ORDER BY seconds DESC NULLS LAST LIMIT 1"""
"""Who has held the announce lock of `sql/append_v2.sql` for longest: who holds one keeps every reader back."""

# consumers

REPORT = """INSERT INTO eventstore_consumer AS known (name, by, position, epoch, errors) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (name) DO UPDATE SET position = excluded.position, epoch = excluded.epoch, errors = excluded.errors,
        reported_at = clock_timestamp(),
        moved_at = CASE WHEN excluded.position > known.position OR excluded.epoch <> known.epoch
            THEN clock_timestamp() ELSE known.moved_at END
    WHERE known.by = excluded.by
    RETURNING reported_at"""
"""Notes where a consumer is and answers the time; touches no row that is somebody else's."""

CONSUMERS = """
    SELECT name, by, position, %(horizon)s::bigint AS horizon, reported_at, moved_at,
        ARRAY(SELECT jsonb_array_elements_text(errors)) AS errors,
        epoch IS NOT DISTINCT FROM (SELECT epoch FROM eventstore_identity) AS of_this_log,
        coalesce(extract(epoch FROM clock_timestamp() - (
            SELECT recorded_at FROM eventstore_event WHERE position > row.position AND position <= %(horizon)s
            ORDER BY position LIMIT 1
        )), 0)::float AS lag_seconds,
        CASE WHEN row.moved_at <= clock_timestamp() THEN extract(epoch FROM clock_timestamp() - row.moved_at)::float
            ELSE 'Infinity' END AS still_seconds,
        greatest(0, extract(epoch FROM clock_timestamp() - row.reported_at))::float AS silent_seconds
    FROM eventstore_consumer AS row ORDER BY by, name"""
"""Every consumer, with the age of the first event that it has yet to deal with, the seconds since it moved, without end
if that was before the clock was set back, and the seconds since it reported.
"""

# subscriber_detail

PARKED_ERRORS = """
    SELECT error, count(*) AS events, count(DISTINCT key) AS keys, min(retry_at) AS retry_at,
        count(*) FILTER (WHERE retry_at IS NULL) AS needs_attention
    FROM (SELECT * FROM eventstore_parked WHERE error <> '' AND (%(subscriber)s::text IS NULL
        OR subscriber = %(subscriber)s) LIMIT %(some)s) AS failed
    GROUP BY error ORDER BY events DESC, error LIMIT %(most)s"""
"""The most frequent errors of parked events, of one subscriber or of all."""

FAILED_KEYS = """
    SELECT key, position, error, traceback, attempts, retry_at, parked_at, (
        SELECT count(*) FROM (SELECT FROM eventstore_parked AS queue
            WHERE queue.subscriber = failed.subscriber AND queue.key = failed.key LIMIT %(some)s) AS counted) AS queue
    FROM eventstore_parked AS failed WHERE subscriber = %(subscriber)s AND error <> ''
    ORDER BY position, key LIMIT %(most)s"""
"""The keys of a subscriber that failed, each with the event that did and how many it has in its queue."""

WARNINGS = """
    SELECT text, count(*) AS events, max(position) AS last
    FROM (SELECT * FROM eventstore_warning WHERE subscriber = %(subscriber)s LIMIT %(some)s) AS warned
    GROUP BY text ORDER BY events DESC, text LIMIT %(most)s"""
"""The most frequent warnings of a subscriber."""
