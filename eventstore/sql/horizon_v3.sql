-- How far the log is final: every position up to the horizon is there, or was rolled back and will never come.
--
-- A position is taken before its transaction commits. But a writer first *announces* itself: a shared advisory lock keyed
-- by the last position taken by anybody (`k`), so all of its own positions are greater than k. It holds the lock until it
-- ends. Therefore:
--   * whoever took a position <= `top` had announced before `top` was read, and either still holds its lock,
--     so its positions are above `low`, or has ended, so what it wrote is visible to the next statement;
--   * `top` is read before the locks, never after: a writer that begins in between takes positions above `top`.
-- Only the primary knows: to a standby the sequence is replicated ahead of what was handed out, and locks are not at all.
--
-- VOLATILE, so that each statement sees the locks and rows of its own moment.
CREATE FUNCTION eventstore_horizon_v3(after bigint DEFAULT -1) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    namespace CONSTANT bigint := 20037;
    top bigint;
    low bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'How far the log is final is known on the primary only.'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT last_value - (NOT is_called)::int INTO top FROM eventstore_event_position_seq;
    IF top <= after THEN
        RETURN top;
    END IF;
    SELECT min(((classid::bigint << 32) | objid::bigint) - (namespace << 48)) INTO low
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND (classid::bigint >> 16) = namespace
        AND pid IS DISTINCT FROM pg_backend_pid()  -- a prepared transaction has none
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    RETURN least(top, coalesce(low, top));
END
$$;
