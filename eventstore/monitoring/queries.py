"""The SQL of what is watched and told: whatever may be long is counted up to a bound. By the module that asks it."""

from eventstore.queries import HORIZON_NOW

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

# recent

RECENT = """
    SELECT * FROM (
        (SELECT 'incident' AS what, id, kind AS word, about AS target, text, '' AS by, '' AS reason, false AS refused,
            began_at AS at, raised_at, ended_at
        FROM eventstore_incident WHERE ended_at IS NULL ORDER BY id DESC LIMIT %(open)s)
        UNION
        (SELECT 'incident', id, kind, about, text, '', '', false, began_at, raised_at, ended_at
        FROM eventstore_incident ORDER BY id DESC LIMIT %(most)s)
        UNION
        (SELECT 'action', id, operation, target, outcome, by, reason, refused, at, NULL::timestamptz, NULL::timestamptz
        FROM eventstore_operation ORDER BY id DESC LIMIT %(most)s)
        UNION
        SELECT 'action', last.* FROM unnest(%(paused)s::text[]) AS each(name), LATERAL (
            SELECT id, operation, target, outcome, by, reason, refused, at, NULL::timestamptz, NULL::timestamptz
            FROM eventstore_operation WHERE target = each.name AND operation = 'pause' AND NOT refused
            ORDER BY id DESC LIMIT 1) AS last
    ) AS found ORDER BY at DESC, id DESC"""
"""The incidents that last, the last ones of all, what operators did last, and who paused these subscribers last."""

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

# samples

TAKE_SAMPLE = f"""
    WITH now AS MATERIALIZED (
        SELECT date_trunc('minute', clock_timestamp()) AS minute, {HORIZON_NOW} AS position
    ), old AS (
        DELETE FROM eventstore_sample USING now
        WHERE eventstore_sample.minute NOT BETWEEN now.minute - interval '25 hours' AND now.minute
    ), last AS (
        SELECT sample.minute, sample.position FROM eventstore_sample AS sample JOIN now ON sample.minute <= now.minute
        ORDER BY sample.minute DESC LIMIT 1
    )
    INSERT INTO eventstore_sample (minute, position, seconds, events, figures)
    SELECT now.minute, now.position, coalesce(extract(epoch FROM now.minute - last.minute), 60),
        greatest(0, now.position - coalesce(last.position, now.position)), jsonb_build_object({{figures}})
    FROM now LEFT JOIN last ON true WHERE last.minute IS DISTINCT FROM now.minute
    ON CONFLICT (minute) DO NOTHING"""
"""Notes how the system does in this minute, unless that was noted; forgets what is more than 25 hours old, and what is
yet to come, from before the clock was set back. Each figure that is put in is the name of one and a query.
"""

LAG_FIGURE = """SELECT coalesce(max(extract(epoch FROM clock_timestamp() - (
        SELECT recorded_at FROM eventstore_event WHERE position > checkpoint ORDER BY position LIMIT 1
    ))), 0)::float FROM eventstore_subscriber"""
"""The age, in seconds, of the oldest event that some subscriber has yet to pass."""

PARKED_FIGURE = """SELECT count(*) FROM (
        SELECT FROM eventstore_parked WHERE error <> '' AND position('#' IN subscriber) = 0 LIMIT 10000) AS counted"""
"""How many events are parked for an error."""

SAMPLES = """SELECT minute, seconds, events, figures::text FROM eventstore_sample
    WHERE minute > clock_timestamp() - interval '61 minutes' ORDER BY minute"""
"""How the system did in each minute of the last hour."""

# status

SUBSCRIBERS = """
    WITH standing AS (
        SELECT subscriber, min(checkpoint) AS slowest FROM eventstore_subscriber GROUP BY subscriber
    ), counts AS (
        SELECT standing.subscriber, failed, retrying, behind, parked_since, warnings, pending
        FROM standing LEFT JOIN unnest(%(names)s::text[], %(types)s::text[]) AS declared(name, types)
            ON declared.name = standing.subscriber
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE error <> '') AS failed, count(*) FILTER (WHERE error = '') AS behind,
                count(*) FILTER (WHERE error <> '' AND retry_at IS NOT NULL) AS retrying,
                min(parked_at) AS parked_since
            FROM (SELECT error, retry_at, parked_at FROM eventstore_parked
                WHERE subscriber = standing.subscriber LIMIT %(most)s) AS counted
        ) AS parked
        CROSS JOIN LATERAL (
            SELECT count(*) AS warnings
            FROM (SELECT FROM eventstore_warning WHERE subscriber = standing.subscriber LIMIT %(most)s) AS counted
        ) AS warned
        CROSS JOIN LATERAL (
            SELECT count(*) AS pending FROM (
                SELECT FROM unnest(declared.types::text[]) AS wanted(type), LATERAL (
                    SELECT FROM eventstore_event WHERE eventstore_event.type = wanted.type
                        AND position > standing.slowest AND position <= %(horizon)s LIMIT %(most)s + 1) AS counted
                LIMIT %(most)s + 1) AS counted
        ) AS waiting
    )
    SELECT name, row.subscriber, shard, shards, rank, mode, version, types_hash, fingerprint, stale, status, checkpoint,
        processed, failures, last_error, last_error_at, moved_at, fed_by,
        coalesce(extract(epoch FROM clock_timestamp() - (
            SELECT recorded_at FROM eventstore_event WHERE position > row.checkpoint ORDER BY position LIMIT 1
        )), 0)::float AS lag_seconds,
        CASE WHEN row.moved_at <= clock_timestamp() THEN extract(epoch FROM clock_timestamp() - row.moved_at)::float
            ELSE 'Infinity' END AS still_seconds,
        failed, retrying, behind, parked_since, warnings, pending
    FROM eventstore_subscriber AS row JOIN counts USING (subscriber) ORDER BY rank, subscriber, shard"""
"""Every row of every subscriber, with the age of the first event that it has yet to pass, and the seconds since it
moved: no end of them if that was before the clock was set back. Beside each stands what its subscriber has parked, was
warned of, and wants of the events above its slowest row, counted up to a bound.
"""

TRACES = """
    SELECT each.name, 'parked' AS why, key, position, error FROM unnest(%(parked)s::text[]) AS each(name), LATERAL (
        SELECT key, position, error FROM eventstore_parked
        WHERE subscriber = each.name AND error <> '' LIMIT %(most)s) AS failed
    UNION ALL
    SELECT each.name, 'pending', '', position, ''
    FROM unnest(%(behind)s::text[], %(after)s::bigint[], %(types)s::text[]) AS each(name, after, types), LATERAL (
        SELECT position FROM unnest(each.types::text[]) AS wanted(type), LATERAL (
            SELECT position FROM eventstore_event WHERE eventstore_event.type = wanted.type
                AND position > each.after AND position <= %(horizon)s ORDER BY position LIMIT %(most)s) AS found
        LIMIT %(most)s) AS waiting"""
"""Some of the events that subscribers have parked for an error, and of those that others have not been fed yet."""

LOG = f"""
    WITH log AS MATERIALIZED (
        SELECT (SELECT last_value - (NOT is_called)::int FROM eventstore_event_position_seq) AS head,
            {HORIZON_NOW} AS horizon,
            (SELECT recorded_at FROM eventstore_event ORDER BY position DESC LIMIT 1) AS last_recorded_at,
            greatest(0, (SELECT max(position) FROM eventstore_event),
                (SELECT max(checkpoint) FROM eventstore_subscriber)) AS highest
    ), announced AS (
        SELECT pid, virtualtransaction FROM pg_locks
        WHERE (SELECT horizon < head FROM log)
            AND locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND (classid::bigint >> 16) = %(announce)s
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ), held AS (
        SELECT format('%%s (pid %%s)', coalesce(nullif(application_name, ''), 'a session'), pid) AS holder, query,
            xact_start AS held_since
        FROM pg_stat_activity WHERE pid IN (SELECT pid FROM announced)
        UNION ALL
        SELECT format('the prepared transaction %%s', gid), '', prepared
        FROM pg_prepared_xacts JOIN pg_locks AS own
            ON own.locktype = 'transactionid' AND own.transactionid = transaction
        WHERE own.virtualtransaction IN (SELECT virtualtransaction FROM announced WHERE pid IS NULL)
        ORDER BY held_since LIMIT 1
    )
    SELECT log.*, coalesce(left(holder, 200), '') AS holder, coalesce(left(query, 200), '') AS query, held_since,
        coalesce(extract(epoch FROM clock_timestamp() - held_since), 0)::float AS held_seconds
    FROM log LEFT JOIN held ON true"""
"""How the log stands, and where it is held back who has held the announce lock of `sql/append_v2.sql` for longest: who
holds one keeps every reader back.
"""

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
    SELECT name, by, position,
        (SELECT coalesce(max(position), 0) FROM eventstore_event WHERE position <= %(horizon)s) AS horizon,
        reported_at, moved_at,
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
