-- Before subscribers are fed: lock the rows of those that nobody else is feeding, and only then look; answer as one JSON
-- object
--
--   elsewhere     true, and nothing else, where `sync` and another process feeds the sync subscribers
--   held          whether any row was locked
--   horizon       how far the log is final
--   near          the rows that are ours to feed now: behind, but by `near_by` positions at most; if all are further
--                 behind, the foremost, so that it goes on without workers too
--   checkpoints   [row, subscriber, checkpoint] of every row, also of those that others feed
--   parked        [subscriber, key, position]: the keys that are held back, and from which position on
--   discarded     [subscriber, key, position]: the events that are left out for good and still lie ahead
--   events        the next events of these types, `most` of them at the most
--
-- where what there is none of is null. Of `known` are the identities of those rows that this process may feed. Who failed
-- is left out for a second; what lies further ahead was noted before the clock was set back.
--
-- FOR NO KEY UPDATE: a plain FOR UPDATE SKIP LOCKED would skip rows that an uncommitted foreign key merely points to.
-- What is only fed may be committed without waiting for the disk (not `durable`): all of it is derived from the log, and
-- lost or kept together with its checkpoint. Who acts on it commits something first that waits, and carries it along.
--
-- How to find the next events is planned anew where the log lies far ahead: a plan that is kept knows neither how far nor
-- which types, and may read all that nobody wants.
--
-- Who is silent for `idle` milliseconds seems to have frozen: its transaction ends, so that others feed.
CREATE FUNCTION eventstore_acquire_v3(
    sync boolean, known text[], types text[], near_by bigint, most int, durable boolean, idle int
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    feeder_lock CONSTANT int := 20045;
    held text[];
    near text[];
    low bigint;
    horizon bigint;
    checkpoints json;
    parked json;
    discarded json;
    found json;
    done text;
BEGIN
    IF sync AND NOT pg_try_advisory_xact_lock(feeder_lock, 0) THEN
        RETURN json_build_object('elsewhere', true);
    END IF;
    done := set_config('lock_timeout', '200ms', true);
    done := set_config('idle_in_transaction_session_timeout', idle || 'ms', true);
    IF NOT durable THEN
        done := set_config('synchronous_commit', 'off', true);
    END IF;

    held := ARRAY(
        SELECT name FROM eventstore_subscriber
        WHERE status = 'running'
            AND identity = ANY (known)
            AND (retry_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '1 second') IS NOT TRUE
        ORDER BY rank, name FOR NO KEY UPDATE SKIP LOCKED);

    SELECT json_agg(json_build_array(name, subscriber, checkpoint)), min(checkpoint) FILTER (WHERE name = ANY (held))
    INTO checkpoints, low FROM eventstore_subscriber;
    horizon := eventstore_horizon_v3(coalesce(low, -1));

    SELECT array_agg(name), min(checkpoint) INTO near, low FROM eventstore_subscriber
    WHERE name = ANY (held) AND checkpoint < horizon AND checkpoint >= horizon - near_by;
    IF near IS NULL THEN
        SELECT ARRAY[name], checkpoint INTO near, low FROM eventstore_subscriber
        WHERE name = ANY (held) AND checkpoint < horizon ORDER BY checkpoint DESC, rank, name LIMIT 1;
        done := set_config('plan_cache_mode', 'force_custom_plan', true);
    END IF;
    IF near IS NOT NULL THEN
        SELECT json_agg(json_build_array(subscriber, key, since)) INTO parked FROM (
            SELECT subscriber, key, min(position) AS since FROM eventstore_parked
            WHERE subscriber IN (SELECT row.subscriber FROM eventstore_subscriber AS row WHERE name = ANY (near))
            GROUP BY subscriber, key
        ) AS held_back;
        SELECT json_agg(json_build_array(subscriber, key, position)) INTO discarded FROM eventstore_discardedevent
        WHERE position > low;
        SELECT json_agg(event) INTO found FROM (
            SELECT position, stream_id, category, version, type, schema_version, data, event_id,
                correlation_id, causation_id, actor, recorded_at, metadata
            FROM eventstore_event WHERE position > low AND position <= horizon AND type = ANY (types)
            ORDER BY position LIMIT most
        ) AS event;
    END IF;
    RETURN json_build_object(
        'held', held <> '{}', 'horizon', horizon, 'near', near, 'checkpoints', checkpoints, 'parked', parked,
        'discarded', discarded, 'events', found);
END
$$;
