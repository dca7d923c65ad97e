-- Append events to one or several streams, all or nothing.
--
--   streams, expected   the version that each stream must have now, 0 for a new one
--   events    [{"stream_id", "version", "type", …}]  the columns of eventstore_event, in order
--   claims    [{"hash", "stream_id", "taken"}]     values to hold (taken) or to give back; null for none
--   command   the id to record, so that a repeat is answered instead of done; null for none
--
-- Answers the first and last position, or nulls when there were no events. A lost race raises unique_violation under the
-- constraint eventstore_event_stream_version, a taken claim under eventstore_claim_pkey with the hash as detail.
--
-- The order matters: everything that may wait (claims, streams) comes before the announce, because from the announce to
-- the commit this transaction holds back every reader of the log. What is assigned to `done` is only done: an assignment
-- is evaluated at once, where PERFORM would run a query.
CREATE FUNCTION eventstore_append_v2(
    streams uuid[], expected int[], events jsonb, claims jsonb, command uuid, OUT first bigint, OUT last bigint
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    namespace CONSTANT bigint := 20037;
    stream_locks CONSTANT int := 20038;
    claim_locks CONSTANT int := 20040;
    taken text;
    done text;
BEGIN
    -- A stale snapshot would check yesterday's versions, and a commit that isn't durable would hand out its positions twice:
    -- after a crash where it doesn't wait for the disk, after a failover where it doesn't wait for the standby's.
    IF current_setting('transaction_isolation') <> 'read committed'
        OR current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
    THEN
        RAISE EXCEPTION 'The log needs READ COMMITTED, and synchronous_commit on or stronger.'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    IF claims IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(claim_locks, h)
        FROM (SELECT DISTINCT hashtext(hash) AS h FROM jsonb_to_recordset(claims) AS c(hash text) ORDER BY 1) AS sorted;
    END IF;
    IF cardinality(streams) = 1 THEN
        done := pg_advisory_xact_lock(stream_locks, hashtext(streams[1]::text));
    ELSE
        PERFORM pg_advisory_xact_lock(stream_locks, h)
        FROM (SELECT DISTINCT hashtext(id::text) AS h FROM unnest(streams) AS id ORDER BY 1) AS sorted;
    END IF;

    -- That a new stream is new, the unique constraint sees by itself.
    IF 0 < ANY (expected) AND EXISTS (
        SELECT FROM unnest(streams, expected) AS s(id, version)
        WHERE s.version <> coalesce((SELECT max(version) FROM eventstore_event WHERE stream_id = id), 0)
    ) THEN
        RAISE EXCEPTION 'A stream has moved on.'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'eventstore_event_stream_version';
    END IF;

    IF claims IS NOT NULL THEN
        DELETE FROM eventstore_claim AS held USING jsonb_to_recordset(claims) AS c(hash text, stream_id uuid, taken boolean)
        WHERE NOT c.taken AND held.hash = c.hash AND held.stream_id = c.stream_id;
        SELECT c.hash INTO taken
        FROM jsonb_to_recordset(claims) AS c(hash text, stream_id uuid, taken boolean)
        JOIN eventstore_claim AS held USING (hash)
        WHERE c.taken AND held.stream_id <> c.stream_id;
        IF FOUND THEN
            RAISE EXCEPTION 'A claimed value is taken.'
                USING ERRCODE = 'unique_violation', CONSTRAINT = 'eventstore_claim_pkey', DETAIL = taken;
        END IF;
        INSERT INTO eventstore_claim (hash, stream_id)
        SELECT c.hash, c.stream_id FROM jsonb_to_recordset(claims) AS c(hash text, stream_id uuid, taken boolean)
        WHERE c.taken ON CONFLICT DO NOTHING;
    END IF;

    IF jsonb_array_length(events) > 0 THEN
        -- A process that freezes between here and its commit must not hold back the readers for good. The odd limit is
        -- also the mark that this transaction has announced itself: once is enough, and a rolled back savepoint takes
        -- both back. (One lock for each of many appends would exhaust the lock table of the whole server.)
        IF current_setting('idle_in_transaction_session_timeout') <> '2001ms' THEN
            done := set_config('idle_in_transaction_session_timeout', '2001ms', true);
            done := pg_advisory_xact_lock_shared(
                (namespace << 48) | coalesce(pg_sequence_last_value('eventstore_event_position_seq'), 0));
        END IF;
        WITH appended AS (
            INSERT INTO eventstore_event (
                stream_id, category, version, type, schema_version, data, subject_id, sealed,
                event_id, correlation_id, causation_id, actor, metadata)
            SELECT
                stream_id, category, version, type, schema_version, data, subject_id, sealed,
                event_id, correlation_id, causation_id, actor, metadata
            FROM jsonb_to_recordset(events) AS e(
                stream_id uuid, category text, version int, type text, schema_version smallint, data jsonb,
                subject_id uuid, sealed bytea, event_id uuid, correlation_id uuid, causation_id uuid,
                actor text, metadata jsonb)
            RETURNING position
        )
        SELECT min(position), max(position) INTO first, last FROM appended;
    END IF;

    IF command IS NOT NULL THEN
        INSERT INTO eventstore_command (id, first_position, last_position, recorded_at)
        VALUES (command, first, last, clock_timestamp());
    END IF;
END
$$;
