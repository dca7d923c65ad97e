"""The SQL of the log and of what stands directly beside it, by the module that asks it."""

# advisory_locks

TRY_SLOT = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
"""Takes a lock of a family for this session, if it is free; never waits."""

RELEASE_SLOT = "SELECT pg_advisory_unlock(%s, hashtext(%s))"
"""Gives a lock of `TRY_SLOT` back."""

# store

READ_ONLY = "SET default_transaction_read_only = on"
"""Lets this session write nothing."""

BY_INDEX = "SET enable_seqscan = off"
"""Lets this session read the log by its indexes: statistics of a log that just grew may tell the planner that it is
small.
"""

HORIZON = "SELECT eventstore_horizon_v3(%s)"
"""The position up to which the log is final; cheaper when nothing came after the one that is given."""

HORIZON_NOW = "(SELECT eventstore_horizon_v3())"
"""The same, to be a part of another query."""

APPEND = "SELECT first, last FROM eventstore_append_v2(%s, %s, %s, %s, %s)"
"""Appends events to streams, with claims and the id of a command; answers the first and the last position."""

LOAD = "SELECT eventstore_load_v1(%s, %s, %s, %s, %s)"
"""Locks a command's id, and its stream where that is asked for; tells what the command appended before, the time, and
the events of its stream above a version.
"""

BE_PATIENT = (
    "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', '5s', true)"
)
"""Bounds how long this transaction waits for a lock, and how long it may be idle, as `LOAD` does."""

LOCK_COMMANDS = """SELECT count(pg_advisory_xact_lock(%s, hash))
    FROM (SELECT DISTINCT hashtext(id::text) AS hash FROM unnest(%s::uuid[]) AS id ORDER BY 1) AS sorted"""
"""Locks the ids of many commands, in an order that is the same for all."""

CARRIED_OUT = "SELECT id FROM eventstore_command WHERE id = ANY(%s::uuid[])"
"""Which of these commands were carried out before."""

BEGUN = "SELECT stream_id FROM eventstore_event WHERE stream_id = ANY(%s::uuid[]) AND version = 1"
"""Which of these streams have events."""

CLOCK = "SELECT clock_timestamp()"
"""The time by the database's clock."""

HELD = "SELECT hash, stream_id FROM eventstore_claim WHERE hash = ANY(%s::text[])"
"""Which of these values are claimed, and by which streams."""

HOLDERS = """SELECT stream_id, coalesce(
        (SELECT category FROM eventstore_event AS begun WHERE begun.stream_id = held.stream_id AND version = 1), ''),
        array_agg(hash)
    FROM eventstore_claim AS held WHERE stream_id > %s GROUP BY stream_id ORDER BY stream_id LIMIT %s"""
"""The next streams that have claims, each with its category and the hashes."""

COUNT_HOLDERS = "SELECT count(DISTINCT stream_id) FROM eventstore_claim"
"""How many streams have claims."""

GIVE_BACK_ALL_BUT = """WITH gone AS (
        DELETE FROM eventstore_claim WHERE stream_id = %s AND hash <> ALL(%s::text[]) RETURNING hash)
    SELECT count(*) FROM gone"""
"""Removes the claims of a stream that are none of these."""

RECORD_COMMANDS = """INSERT INTO eventstore_command (id, first_position, last_position, recorded_at)
    SELECT command.id, min(position), max(position), clock_timestamp()
    FROM unnest(%s::uuid[], %s::uuid[]) AS command(id, stream_id) LEFT JOIN eventstore_event USING (stream_id)
    GROUP BY command.id"""
"""Notes that commands were carried out, each by all that its stream has: they have begun these."""

EVENT_COLUMNS = """position, stream_id, category, version, type, schema_version, data::text AS data, event_id,
    correlation_id, causation_id, actor, recorded_at, metadata::text AS metadata"""
"""What is read of an event, in the order in which `store` takes it apart."""

STREAM_VERSION = "SELECT coalesce(max(version), 0) FROM eventstore_event WHERE stream_id = %s"
"""The version of the last event of a stream, 0 if it has none."""

READ_EVENTS = f"""SELECT {EVENT_COLUMNS} FROM eventstore_event
    WHERE position > %s AND position <= %s AND type = ANY(%s) ORDER BY position LIMIT %s"""
"""The next events of some types, up to a position and no more than so many."""

READ_ANY = f"""SELECT {EVENT_COLUMNS} FROM eventstore_event
    WHERE position > %s AND position <= %s
        AND (%s::text[] IS NULL OR type = ANY(%s)) AND (%s::text[] IS NULL OR category = ANY(%s))
        AND (%s::uuid IS NULL OR stream_id = %s)
    ORDER BY position LIMIT %s"""
"""The next events, up to a position and no more than so many: of some types, some categories and one stream, or of any
where that is null.
"""

LAST_COMMITTED = "SELECT coalesce(max(position), 0) FROM eventstore_event WHERE position <= %s"
"""The position of the last event up to a position."""

READ_STREAM = f"SELECT {EVENT_COLUMNS} FROM eventstore_event WHERE stream_id = %s AND version > %s ORDER BY version"
"""The events of a stream above a version."""

READ_STREAM_PART = f"{READ_STREAM} LIMIT %s"
"""The first of them."""

READ_STREAM_TYPES = f"""SELECT {EVENT_COLUMNS} FROM eventstore_event
    WHERE stream_id = %s AND type = ANY(%s) ORDER BY version"""
"""The events of a stream that are of some types."""

READ_EVENT = f"SELECT {EVENT_COLUMNS} FROM eventstore_event WHERE position = %s"
"""The event at a position."""

READ_THESE = f"SELECT {EVENT_COLUMNS} FROM eventstore_event WHERE position = ANY(%s) ORDER BY position"
"""The events at some positions."""

READ_CAUSED = f"""SELECT {EVENT_COLUMNS} FROM eventstore_event
    WHERE position BETWEEN %s AND %s AND causation_id = %s ORDER BY position"""
"""What a command recorded, looked for between the first and the last position that it appended."""

STREAM_EVENTS = f"""SELECT {EVENT_COLUMNS} FROM eventstore_event
    WHERE position > %s AND position <= %s AND type = ANY(%s) AND ({{only}}) ORDER BY position LIMIT %s"""
"""What `READ_EVENTS` gives, for which a condition holds that is put in."""

STREAM_STORED = """SELECT position, stream_id, category, version, type, schema_version, data::text FROM eventstore_event
    WHERE position > %s AND position <= %s AND (%s::timestamptz IS NULL OR recorded_at >= %s) ORDER BY position"""
"""The events between two positions, whatever their type, or those of them that were recorded since a time: as much of
each as it takes to read it.
"""

RECORDED_BEFORE = "SELECT coalesce(max(position), 0) FROM eventstore_event WHERE recorded_at < %s"
"""The last position that was recorded before a time; looked for from the end of the log."""

POSITION_AT = """WITH RECURSIVE search(low, high) AS (
        SELECT 0::bigint, (SELECT coalesce(max(position), 0) FROM eventstore_event)
        UNION ALL
        SELECT CASE WHEN probe.recorded_at < %(moment)s THEN probe.position ELSE low END,
            CASE WHEN probe.recorded_at < %(moment)s THEN high ELSE middle END
        FROM search CROSS JOIN LATERAL (SELECT (low + high) / 2 AS middle) AS halved
        LEFT JOIN LATERAL (
            SELECT position, recorded_at FROM eventstore_event
            WHERE position > middle AND position <= high ORDER BY position LIMIT 1) AS probe ON true
        WHERE low < high)
    SELECT low FROM search WHERE low >= high"""
"""The last position that was recorded before a time, found by halving: the times of events grow with their positions,
but for those that were appended within the same moment, or while the clock was set.
"""

CORRELATED = "SELECT position FROM eventstore_event WHERE correlation_id = %(id)s ORDER BY position LIMIT %(limit)s"
"""The first events of a correlation."""

IDENTIFIED = """SELECT position FROM (
        SELECT position, event_id FROM eventstore_event WHERE position > %(after)s ORDER BY position LIMIT %(most)s
    ) AS near WHERE event_id = %(id)s"""
"""The event that has an id, which has no index, among so many after a position."""

HEAD = "SELECT last_value - (NOT is_called)::int FROM eventstore_event_position_seq"
"""The last position that was handed out, whether or not it was committed."""

SEQUENCE = """SELECT (SELECT seqcache FROM pg_sequence WHERE seqrelid = 'eventstore_event_position_seq'::regclass),
    (SELECT last_value - (NOT is_called)::int FROM eventstore_event_position_seq),
    greatest(0, (SELECT max(position) FROM eventstore_event), (SELECT max(checkpoint) FROM eventstore_subscriber))"""
"""How many positions the log's sequence caches, the last one that it handed out, and the highest that is used or that a
subscriber has passed.
"""

# identity

DATABASE = """(SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database
    WHERE datname = current_database()) || '/' || greatest((SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery()))"""
"""The name of the database that is asked: a cluster copied file by file keeps its number, but begins a new timeline
when it is recovered; one that was promoted is on its timeline at once, and tells so by its checkpoints only some time
later.
"""

EPOCH = f"SELECT (SELECT epoch FROM eventstore_identity WHERE database = {DATABASE}), pg_is_in_recovery()"
"""The name of the log, null in another database than the one it was confirmed to be in; whether this is a standby."""

HERE = f"SELECT {DATABASE}"
"""The name of this database."""

CONFIRM = f"""INSERT INTO eventstore_identity AS kept (id, database, epoch, confirmed_by, confirmed_at)
    VALUES (true, {DATABASE}, %s, %s, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET database = excluded.database, epoch = excluded.epoch,
        confirmed_by = excluded.confirmed_by, confirmed_at = excluded.confirmed_at
        WHERE kept.database <> excluded.database"""
"""Notes that this database is the one to act from now on; touches no row when it is already."""

# doorbell

MARK_BELL = """INSERT INTO eventstore_doorbell AS bell (name, rung_at, rings) VALUES (%s, clock_timestamp(), 1)
    ON CONFLICT (name) DO UPDATE SET rung_at = clock_timestamp(), rings = bell.rings + 1
    WHERE bell.rung_at IS NULL OR bell.rung_at > clock_timestamp() OR bell.rung_at < clock_timestamp()
        - make_interval(secs => least(greatest(bell.rings - bell.answered, 2), 60))
    RETURNING rings"""
"""Marks a bell as ringing and answers the number of this ring; nothing when it rings already. A mark is stale after as
many seconds as there are rings that nobody has answered, but at least 2 and at most 60, so messages that nobody takes
come ever more seldom. A mark in the future is stale: the clock was set back since, and would take long to get there.
"""

UNCOUNT_RING = "UPDATE eventstore_doorbell SET rings = rings - 1 WHERE name = %s AND rings > answered"
"""Takes back the number of a ring that was not sent; the mark stays, so the next is tried when it is stale."""

ANSWER_BELL = """WITH cleared AS (
        UPDATE eventstore_doorbell SET rung_at = NULL, answered = rings
        WHERE name = %(name)s AND rung_at IS NOT NULL AND (%(ring)s::bigint IS NULL OR answered < %(ring)s))
    SELECT NOT EXISTS (SELECT FROM eventstore_doorbell WHERE name = %(name)s AND answered >= %(ring)s)"""
"""Marks all rings of a bell so far as answered; false when the one of this number, if there is one, was before."""

# preview

WRITE_NOTHING = "SET TRANSACTION READ ONLY"
"""Lets this transaction write nothing."""

# handler_guard

SAVE_WARNINGS = """INSERT INTO eventstore_warning (subscriber, position, text)
    SELECT %s, * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING"""
"""Keeps what handlers warned of, each warning of an event once."""

# tasks

RUNNING_ROWS = """SELECT name, mode, checkpoint,
        moved_at NOT BETWEEN clock_timestamp() - %s * interval '1 second' AND clock_timestamp() AS still,
        EXISTS (SELECT FROM eventstore_parked AS parked WHERE parked.subscriber = row.subscriber
            AND error <> '' AND parked.retry_at <= clock_timestamp()) AS due, %s::bigint AS head
    FROM eventstore_subscriber AS row WHERE status = 'running'"""
"""The rows that are to be fed, with how each stands to the head of the log: whether it has been still for some seconds,
or since before the clock was set back, and whether something of it is to be tried again.
"""

# checks

LOG_TABLE = "SELECT to_regclass('eventstore_event')"
"""Null before the log's table is made."""

# imports.runs

KEEP_REFUSED = """INSERT INTO eventstore_refusedline (run_id, number, content, faults)
    SELECT %s, * FROM unnest(%s::bigint[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING"""
"""Keeps the lines of a file that were refused, each once."""

MOVE_IMPORT = """UPDATE eventstore_importrun SET read = %s, reached = %s, carried_out = %s, repeated = %s, refused = %s,
    moved_at = clock_timestamp() WHERE id = %s"""
"""Notes how far the import of a file is."""

# roles

GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
)
"""Let the application's role read, write and delete in all tables."""

KEPT_FROM_APPLICATION = {
    "eventstore_event": (
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON eventstore_event FROM {role}",
        """GRANT INSERT (stream_id, category, version, type, schema_version, data, subject_id, sealed,
            event_id, correlation_id, causation_id, actor, metadata) ON eventstore_event TO {role}""",
    ),
    "eventstore_command": ("REVOKE UPDATE, DELETE, TRUNCATE ON eventstore_command FROM {role}",),
    "eventstore_operation": (
        "REVOKE UPDATE, DELETE, TRUNCATE ON eventstore_operation FROM {role}",
        "GRANT UPDATE (outcome, refused) ON eventstore_operation TO {role}",
    ),
    "django_admin_log": ("REVOKE UPDATE, TRUNCATE ON django_admin_log FROM {role}",),
}
"""By table, if it is there: what the role may not do all the same. It changes and deletes nothing in the log, where the
database gives each event its position and its time; it carries out no command anew; it alters nothing of what it has
done, but notes how an operation ended. What is recorded of a user by Django's admin goes with the user.
"""

OWNER_AND_SCHEMA = "SELECT current_user, current_schema()"
"""Who migrates, and where."""
