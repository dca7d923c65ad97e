"""The SQL of sagas, their outgoing commands and their timers, by the module that asks it."""

# outbox

DUE_COMMANDS = """SELECT saga, key FROM (
        SELECT DISTINCT ON (saga, key) saga, key, id, status, due_at FROM sagas_outbox
        WHERE status IN ('pending', 'parked') AND saga = ANY(%(sagas)s) ORDER BY saga, key, id) AS lowest
    WHERE status = 'pending' AND due_at <= clock_timestamp() ORDER BY id LIMIT %(limit)s"""
"""The first instances whose next command is to be sent now. Pending, waiting for a retry and parked rows are all
unfinished: each holds back what comes after it. Looked up by one pass over what is unfinished: whatever the planner
believes to be there, no plan of it is a bad one.
"""

COMMANDS_OVERDUE = """SELECT EXISTS (SELECT FROM (
        SELECT DISTINCT ON (saga, key) status, due_at FROM sagas_outbox
        WHERE status IN ('pending', 'parked') AND saga = ANY(%s) ORDER BY saga, key, id) AS lowest
    WHERE status = 'pending' AND due_at <= clock_timestamp() - interval '1 second')"""
"""Whether a command could have been sent for a second, and nobody did; looked up as `DUE_COMMANDS` is."""

TRY_INSTANCE = "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))"
"""Takes the lock of an instance until the transaction ends, if it is free; never waits."""

LOCK_NEXT_COMMAND = """SELECT id, saga, key, command_id, type, data, status, attempts,
        due_at <= clock_timestamp() AS due, root, hops, correlation_id, causation_id, actor
    FROM sagas_outbox WHERE id = (
        SELECT min(id) FROM sagas_outbox WHERE saga = %s AND key = %s AND status IN ('pending', 'parked'))
    FOR UPDATE SKIP LOCKED"""
"""Locks the next command of an instance. The lowest one or none: while somebody else writes to it, the next one is not
to be taken for it.
"""

FINISH_COMMAND = """UPDATE sagas_outbox SET status = %s, error = %s, attempts = attempts + 1,
    result = (SELECT last_position FROM eventstore_command WHERE id = command_id),
    finished_at = clock_timestamp() WHERE id = %s"""
"""Notes what became of a command that was sent, with what its append has noted just before."""

RETRY_COMMAND = """WITH tried AS (
        UPDATE sagas_outbox SET attempts = attempts + 1, error = %s,
            due_at = clock_timestamp() + %s * interval '1 second', status = %s WHERE id = %s AND status = 'pending'
        RETURNING id, attempts, error)
    INSERT INTO sagas_attempt (command_id, number, error) SELECT id, attempts, error FROM tried"""
"""Notes an attempt in vain, and has the command tried again in so many seconds or parks it."""

POSTPONE_COMMAND = """UPDATE sagas_outbox SET error = %s, due_at = clock_timestamp() + %s * interval '1 second'
    WHERE id = %s AND status = 'pending'"""
"""Has a command tried again in so many seconds, which counts as no attempt."""

CHAIN_UNFINISHED = """EXISTS (SELECT FROM sagas_outbox
    WHERE root = %(root)s AND status IN ('pending', 'parked') AND saga = ANY(%(sagas)s))"""
"""Whether a command that began with this root is unsent."""

CHAIN_RESULT = "SELECT max(result) FROM sagas_outbox WHERE root = %(root)s"
"""The last position that the commands of this root appended."""

CHAIN_DUE = """SELECT json_agg(json_build_array(saga, key)) FROM (
        SELECT saga, key FROM sagas_outbox AS row
        WHERE root = %(root)s AND status = 'pending' AND due_at <= clock_timestamp() AND saga = ANY(%(sagas)s)
            AND NOT EXISTS (SELECT FROM sagas_outbox AS earlier WHERE earlier.saga = row.saga
                AND earlier.key = row.key AND earlier.status IN ('pending', 'parked') AND earlier.id < row.id)
        ORDER BY id LIMIT %(limit)s) AS due"""
"""The instances that can send a command of this root now."""

# runtime

LOAD_INSTANCES = """SELECT saga, key, state, version, ended, position, history_begins_after, ARRAY(
        SELECT told.position FROM sagas_transition AS told
        WHERE instance.position >= %(first)s AND told.saga = instance.saga AND told.key = instance.key
            AND told.position BETWEEN %(first)s AND %(last)s)
    FROM sagas_instance AS instance WHERE saga = %(saga)s AND key = ANY(%(keys)s)"""
"""The instances that a batch concerns, each with the positions between the batch's first and last of which it has heard
already. There are none, and its history is not looked at, where it stands before the batch, as nearly all do.
"""

KNOWN_INSTANCES = "SELECT key FROM sagas_instance WHERE saga = %s AND key = ANY(%s)"
"""Those of some keys that have an instance, ended or not."""

SAVE_BATCH = """WITH instance AS (
        INSERT INTO sagas_instance (saga, key, state, version, ended, position)
        SELECT saga, key, state, version, ended, position FROM jsonb_to_recordset(%(instances)s::jsonb)
            AS row(saga text, key text, state jsonb, version int, ended boolean, position bigint)
        ON CONFLICT (saga, key) DO UPDATE SET state = excluded.state, version = excluded.version,
            ended = excluded.ended, position = excluded.position, moved_at = clock_timestamp()
    ), told AS (
        INSERT INTO sagas_transition (saga, key, position, type, version, state, ended, steps)
        SELECT saga, key, position, type, version, state, ended, steps FROM jsonb_to_recordset(%(story)s::jsonb)
            AS row(saga text, key text, position bigint, type text, version int, state jsonb, ended boolean,
                steps jsonb)
        ON CONFLICT DO NOTHING
    ), sent AS (
        INSERT INTO sagas_outbox (saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor)
        SELECT saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor
        FROM jsonb_to_recordset(%(sent)s::jsonb) AS row(saga text, key text, command_id uuid, type text, data jsonb,
            root uuid, hops int, correlation_id uuid, causation_id uuid, actor text)
        ON CONFLICT DO NOTHING
    ), armed AS (
        INSERT INTO sagas_timer (
            saga, key, name, due_at, hops, status, command_id, type, data, correlation_id, causation_id, actor)
        SELECT saga, key, name, due_at, hops, status, command_id, type, data, correlation_id, causation_id, actor
        FROM jsonb_to_recordset(%(armed)s::jsonb) AS row(saga text, key text, name text, due_at timestamptz,
            hops int, status text, command_id uuid, type text, data jsonb, correlation_id uuid, causation_id uuid,
            actor text)
        ON CONFLICT DO NOTHING
    )
    UPDATE sagas_timer SET status = 'cancelled' WHERE id IN (
        SELECT timer.id FROM sagas_timer AS timer
        JOIN jsonb_to_recordset(%(cancelled)s::jsonb) AS row(key text, name text) USING (key, name)
        WHERE timer.saga = %(saga)s AND timer.status = 'waiting' FOR UPDATE OF timer SKIP LOCKED)"""
"""Writes all that one batch decided: states, their story, commands and timers. Timers are cancelled as far as nobody is
about to fire them: the aggregate refuses a late one.
"""

# timers

NEXT_TIMER = """SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float FROM sagas_timer
    WHERE status = 'waiting' AND saga = ANY(%s)"""
"""In how many seconds the next timer is due; null where none waits."""

FIRE_TIMERS = """WITH due AS (
        SELECT id FROM sagas_timer
        WHERE status = 'waiting' AND due_at <= clock_timestamp() AND saga = ANY(%s)
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    ), fired AS (
        UPDATE sagas_timer SET status = 'fired', fired_at = clock_timestamp() WHERE id IN (SELECT id FROM due)
        RETURNING *
    )
    INSERT INTO sagas_outbox (saga, key, command_id, type, data, root, hops, correlation_id, causation_id, actor)
    SELECT saga, key, command_id, type, data, command_id, hops, correlation_id, causation_id, actor
    FROM fired ORDER BY due_at ON CONFLICT DO NOTHING"""
"""Moves timers that are due into the outgoing commands, in one statement, each as the root of what follows from it."""

# history

MANY_OPEN = """SELECT count(*) > %(few)s FROM (
    (SELECT FROM sagas_outbox WHERE status IN ('pending', 'parked') LIMIT %(few)s + 1)
    UNION ALL (SELECT FROM sagas_timer WHERE status = 'waiting' LIMIT %(few)s + 1)) AS open"""
"""Whether more than so many commands and timers are unfinished."""

IS_OPEN = """coalesce((SELECT true FROM sagas_outbox AS sent WHERE sent.saga = sagas_instance.saga
        AND sent.key = sagas_instance.key AND sent.status IN ('pending', 'parked') LIMIT 1),
    (SELECT true FROM sagas_timer AS timer WHERE timer.saga = sagas_instance.saga
        AND timer.key = sagas_instance.key AND timer.status = 'waiting' LIMIT 1), false)"""
"""Whether an instance has something left to do, looked up for one after the other: with EXISTS the planner would read
all that is unfinished at first.
"""

AMONG_OPEN = """sagas_instance.id = ANY(ARRAY(SELECT (SELECT id FROM sagas_instance AS instance
        WHERE instance.saga = open.saga AND instance.key = open.key)
    FROM (SELECT saga, key FROM sagas_outbox WHERE status IN ('pending', 'parked')
        UNION SELECT saga, key FROM sagas_timer WHERE status = 'waiting') AS open))"""
"""The same, from what is unfinished to its instances: where that is little, it is less than all the instances there
may be.
"""

# rehearsal

BEGIN_REHEARSAL = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""Lets this transaction write nothing, and see what is there when it begins."""

NOTE_REHEARSAL = "UPDATE sagas_rehearsal SET done = %s, total = %s WHERE id = %s"
"""Writes down how far a rehearsal is."""

STORY_TYPES = "SELECT DISTINCT type FROM sagas_transition WHERE saga = %s"
"""The types of the events that the instances of a saga have heard of."""

STORY = """SELECT told.id, told.position, told.key, told.version, told.steps::text, (
        SELECT jsonb_object_agg(found.command_id, found.data)::text FROM jsonb_array_elements(told.steps) AS step
        JOIN LATERAL (
            SELECT command_id, data FROM sagas_outbox WHERE command_id = (step->>'command_id')::uuid
            UNION ALL SELECT command_id, data FROM sagas_timer WHERE command_id = (step->>'command_id')::uuid
        ) AS found ON true)
    FROM sagas_transition AS told WHERE saga = %s AND position > %s AND position <= %s ORDER BY position, id"""
"""What the instances of a saga did between two positions, in the order of the log, with the commands that they sent or
had timers send.
"""

HEARD_LATE = """SELECT DISTINCT key FROM (
        SELECT key, position < max(position) OVER (PARTITION BY key ORDER BY id) AS late
        FROM sagas_transition WHERE saga = %s AND position <= %s) AS told
    WHERE late"""
"""The instances of a saga that heard of some event after a later one."""

HISTORY_MISSING = """SELECT key FROM sagas_instance AS instance
    WHERE saga = %(saga)s AND history_begins_after > 0 AND NOT EXISTS (
        SELECT FROM sagas_transition AS told
        WHERE told.saga = instance.saga AND told.key = instance.key AND told.position <= %(after)s)"""
"""The instances of a saga that began before histories were kept, and of whose state at a position none tells."""

STATES_AT = """SELECT DISTINCT ON (key) key, state::text, version, ended, position FROM sagas_transition
    WHERE saga = %s AND key = ANY(%s) AND position <= %s ORDER BY key, id DESC"""
"""The states in which instances of a saga were at a position."""

# apps

REFUSED_FIGURE = """SELECT count(*) FROM (
        SELECT FROM eventstore_event WHERE type = 'saga.command-refused'
            AND position > last.position AND position <= now.position LIMIT 10000) AS counted"""
"""How many commands of sagas were refused since the sample before."""

STUCK_FIGURE = """SELECT count(*) FROM (
        SELECT FROM sagas_outbox WHERE status IN ('pending', 'parked') AND status = 'parked' LIMIT 10000) AS counted"""
"""How many commands of sagas are parked. Spelled so that the planner sees the index of what is unfinished."""

FAILED_FIGURE = """SELECT count(*) FROM (
        SELECT FROM sagas_delivery WHERE status IN ('failed', 'in doubt') LIMIT 10000) AS counted"""
"""How many deliveries have failed, or are in doubt."""

# status

PROCESSES = """
    WITH commands AS (
        SELECT id, saga, key, type, status, attempts, error, due_at, created_at FROM sagas_outbox
        WHERE status IN ('pending', 'parked') LIMIT %(most)s
    ), unanswered AS (
        SELECT id, saga, key, type, status, attempts, error, due_at, created_at FROM sagas_outbox
        WHERE status = 'unanswered' LIMIT %(most)s
    ), lowest AS (
        SELECT DISTINCT ON (saga, key) status, due_at FROM sagas_outbox
        WHERE status IN ('pending', 'parked') ORDER BY saga, key, id
    ), open AS (
        SELECT effect, position, status, attempts, error, due_at, created_at,
            CASE WHEN wait_reason IN ('checkpoint', 'parked key') THEN waits_for ELSE '' END AS waits_for
        FROM sagas_delivery WHERE status IN ('pending', 'waiting', 'running')
        ORDER BY due_at LIMIT %(most)s
    ), wrong AS (
        SELECT effect, position, status, attempts, error, created_at
        FROM sagas_delivery WHERE status IN ('failed', 'in doubt') LIMIT %(most)s
    ), troubles AS (
        SELECT saga AS subscriber, type, status, '' AS waits_for, count(*) AS rows, max(attempts) AS attempts,
            min(created_at) AS since, (array_agg(error ORDER BY id))[1] AS error,
            (array_agg(key ORDER BY id))[1:%(some)s] AS keys, '{}'::bigint[] AS positions
        FROM (SELECT * FROM commands WHERE status = 'parked' UNION ALL SELECT * FROM unanswered) AS stuck
        GROUP BY saga, type, status
        UNION ALL
        SELECT effect, '', status, waits_for, count(*), max(attempts), min(created_at),
            (array_agg(error ORDER BY position))[1], '{}', (array_agg(position ORDER BY position))[1:%(some)s]
        FROM (
            SELECT effect, position, status, attempts, error, created_at, '' AS waits_for FROM wrong
            UNION ALL
            SELECT effect, position, status, attempts, error, created_at, waits_for FROM open
            WHERE (status = 'waiting' AND waits_for <> '') OR (status = 'pending' AND error <> '')
        ) AS undone GROUP BY effect, status, waits_for
    ), timers AS (
        SELECT due_at FROM sagas_timer WHERE status = 'waiting' ORDER BY due_at LIMIT %(most)s
    )
    SELECT
        (SELECT count(*) FROM commands WHERE status = 'pending') AS commands_pending,
        (SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float FROM commands WHERE status = 'pending')
            AS commands_age,
        (SELECT count(*) FROM commands WHERE status = 'parked') AS commands_parked,
        (SELECT count(*) FROM unanswered) AS commands_unanswered,
        (SELECT count(*) FROM open) AS deliveries_waiting,
        (SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float FROM open) AS deliveries_age,
        (SELECT count(*) FROM wrong WHERE status = 'failed') AS deliveries_failed,
        (SELECT count(*) FROM wrong WHERE status = 'in doubt') AS deliveries_in_doubt,
        (SELECT count(*) FROM timers) AS timers_waiting,
        (SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float FROM timers) AS timers_next,
        (SELECT extract(epoch FROM clock_timestamp() - min(due_at))::float FROM lowest WHERE status = 'pending')
            AS commands_overdue,
        (SELECT coalesce(jsonb_agg(to_jsonb(each) ORDER BY since), '[]')::text FROM troubles AS each) AS troubles"""
"""How much waits and since when, counted up to a bound; for how many seconds a command has been due that waits for no
other of its instance, looked up as `DUE_COMMANDS` is; and what does not go on, by what it is of. The conditions are
those of the partial indexes, spelled so that the planner sees it.
"""

TRIED_IN_VAIN = """SELECT count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float,
        (array_agg(error ORDER BY created_at DESC))[1]
    FROM (SELECT created_at, error FROM sagas_delivery
        WHERE status IN ('pending', 'waiting', 'running') AND attempts > 0 AND error <> '' LIMIT %(most)s) AS tried"""
"""How many deliveries have failed so far and are tried again, for how many seconds the oldest is there, and the error
of the newest.
"""

OVERDUE_DELIVERIES = """
    SELECT each.effect, held.slots, held.silent_seconds, running.live, lapsed.position, lapsed.owner,
        extract(epoch FROM clock_timestamp() - lapsed.lease_until)::float AS lapsed_seconds,
        extract(epoch FROM clock_timestamp()
            - greatest(least(due.due_at, lapsed.lease_until), pace.free_at))::float AS due_seconds
    FROM unnest(%(effects)s::text[]) AS each(effect)
    LEFT JOIN sagas_rate_limit AS pace ON pace.effect = each.effect
    CROSS JOIN LATERAL (
        SELECT count(*) AS slots, extract(epoch FROM
            clock_timestamp() - min(state_change) FILTER (WHERE state = 'idle'))::float AS silent_seconds
        FROM pg_locks AS taken LEFT JOIN pg_stat_activity AS session USING (pid)
        WHERE locktype = 'advisory' AND classid = %(family)s AND objsubid = 2 AND granted
            AND taken.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND objid::bigint IN (
                SELECT hashtext(slot.name)::bigint & 4294967295
                FROM unnest(%(slots_of)s::text[], %(slots)s::text[]) AS slot(effect, name)
                WHERE slot.effect = each.effect)
    ) AS held
    CROSS JOIN LATERAL (
        SELECT count(*) AS live FROM sagas_delivery
        WHERE effect = each.effect AND status = 'running' AND lease_until > clock_timestamp()
    ) AS running
    LEFT JOIN LATERAL (
        SELECT due_at FROM sagas_delivery
        WHERE effect = each.effect AND status IN ('pending', 'waiting') AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT 1
    ) AS due ON true
    LEFT JOIN LATERAL (
        SELECT position, owner, lease_until FROM sagas_delivery
        WHERE effect = each.effect AND status = 'running' AND lease_until <= clock_timestamp()
        ORDER BY lease_until LIMIT 1
    ) AS lapsed ON true
    WHERE due.due_at IS NOT NULL OR lapsed.position IS NOT NULL OR held.silent_seconds > %(lease)s"""
"""The effects with something due, or with an act that goes on for longer than its lease: how many slots are taken, and
for how many seconds the longest silent of those who hold one has said nothing to the database; how many deliveries are
within their lease, the delivery whose lease ran out first, and for how many seconds the oldest could have been taken
up. One with a rate can't be before its next turn.
"""

FAULTS = """SELECT array_agg(DISTINCT subscriber) AS subscribers, status, error, count(*) AS rows,
        min(coalesce(tried.first, since)) AS first_seen, max(coalesce(tried.last, since)) AS last_seen
    FROM ({rows} LIMIT %(most)s) AS faults
    CROSS JOIN LATERAL (
        SELECT min(at) AS first, max(at) AS last FROM sagas_attempt AS told
        WHERE told.{kind} = faults.id AND told.error = faults.error
    ) AS tried
    GROUP BY status, error ORDER BY count(*) DESC, status, error LIMIT %(shown)s"""
"""The most frequent errors among the rows that are put in, up to a bound, and when each was met first and last: as the
attempts tell, or as the row does where none was noted.
"""

TROUBLED_COMMANDS = FAULTS.format(
    kind="command_id",
    rows="""(SELECT id, saga AS subscriber, status, error, created_at AS since FROM sagas_outbox
            WHERE status = 'parked')
        UNION ALL (SELECT id, saga, status, error, coalesce(finished_at, created_at) FROM sagas_outbox
            WHERE status = 'unanswered')""",
)
"""The most frequent errors of commands that are parked, or unanswered; each by an index of its own."""

TROUBLED_DELIVERIES = FAULTS.format(
    kind="delivery_id",
    rows="""SELECT id, effect AS subscriber, status, error, coalesce(finished_at, created_at) AS since
        FROM sagas_delivery WHERE status IN ('failed', 'in doubt')""",
)
"""The most frequent errors of deliveries that have failed or are in doubt."""

# attempts

LAST_RETRY = """SELECT batch, min(at) AS at, min(told.by) AS by, count(*) AS asked,
        count(*) FILTER (WHERE row.status IN ({done})) AS done,
        count(*) FILTER (WHERE row.status IN ({open})) AS open
    FROM sagas_attempt AS told JOIN {table} AS row ON row.id = told.{kind}
    WHERE batch = (SELECT batch FROM sagas_attempt WHERE batch IS NOT NULL AND {kind} IS NOT NULL
        ORDER BY batch DESC LIMIT 1)
    GROUP BY batch"""
"""What became of all that staff had tried again in the last go: the ids of batches are in the order of time."""

LAST_RETRY_OF_COMMANDS = LAST_RETRY.format(
    table="sagas_outbox", kind="command_id", done="'done', 'refused', 'unanswered'", open="'pending'"
)
"""What became of the commands that staff had sent again in the last go."""

LAST_RETRY_OF_DELIVERIES = LAST_RETRY.format(
    table="sagas_delivery", kind="delivery_id", done="'done'", open="'pending', 'waiting', 'running'"
)
"""What became of the deliveries that staff had tried again in the last go."""
