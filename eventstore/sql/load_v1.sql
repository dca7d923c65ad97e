-- Before a command is decided: lock its id, and with `queue` its stream, both until the transaction ends; then tell
--
--   done      [first, last]: the positions that the command appended, if it was carried out before; else null
--   now       the time by this clock, once all locks were had
--   events    those of its stream above the version `after`, or null
--
-- as one JSON object. Each look-up is a statement of its own after its lock, so it sees what the former holder committed.
-- Each lock is waited for no longer than `patience`. One that freezes must not hold its stream for good: it is cut off
-- after five idle seconds.
CREATE FUNCTION eventstore_load_v1(command uuid, stream uuid, after int, queue boolean, patience text)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    command_locks CONSTANT int := 20039;
    stream_locks CONSTANT int := 20038;
    carried_out json;
    events json;
    done text;
BEGIN
    done := set_config('lock_timeout', patience, true);
    done := set_config('idle_in_transaction_session_timeout', '5s', true);

    done := pg_advisory_xact_lock(command_locks, hashtext(command::text));
    SELECT json_build_array(first_position, last_position) INTO carried_out FROM eventstore_command WHERE id = command;

    IF carried_out IS NULL THEN
        IF queue THEN
            done := pg_advisory_xact_lock(stream_locks, hashtext(stream::text));
        END IF;
        SELECT json_agg(event) INTO events FROM (
            SELECT position, stream_id, category, version, type, schema_version, data, event_id,
                correlation_id, causation_id, actor, recorded_at, metadata
            FROM eventstore_event WHERE stream_id = stream AND version > after ORDER BY version
        ) AS event;
    END IF;
    RETURN json_build_object('done', carried_out, 'now', clock_timestamp(), 'events', events);
END
$$;
