-- Wait for one's turn to feed the sync subscribers, or until others have fed them as far as a position: those that are no
-- more than `near_by` behind it. Answers what `acquire_v3.sql` does: `elsewhere` when that has come first, and when
-- neither has come within the bound, or one feeder takes longer than the patience, for it may have frozen. Both, and how
-- long who feeds may be silent, are in milliseconds.
--
-- All who wait look whenever a feeder ends. What each of them asked for itself, in a statement of its own, would cost more
-- than the feeding: so those who have not got what they wait for go on waiting here, but for one, who is the next to feed
-- because it holds the second lock. The first, shared, is given back at once, by the end of a block that fails: kept until
-- the transaction ends, the locks of a crowd would keep the next one from feeding.
CREATE FUNCTION eventstore_take_turn_v2(
    awaited bigint, patience int, bound int, known text[], types text[], near_by bigint, most int, idle int
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    feeder_lock CONSTANT int := 20045;
    given_back CONSTANT text := 'P0FED';
    deadline CONSTANT timestamptz := clock_timestamp() + bound * interval '1 millisecond';
    elsewhere CONSTANT text := json_build_object('elsewhere', true);
    done text;
BEGIN
    WHILE NOT pg_try_advisory_xact_lock(feeder_lock, 0) LOOP
        IF clock_timestamp() >= deadline THEN
            RETURN elsewhere;
        END IF;
        done := set_config('lock_timeout', patience || 'ms', true);
        BEGIN
            done := pg_advisory_xact_lock_shared(feeder_lock, 0);
            RAISE EXCEPTION USING ERRCODE = given_back;
        EXCEPTION
            WHEN SQLSTATE 'P0FED' THEN
            WHEN lock_not_available THEN
                RETURN elsewhere;
        END;
        IF NOT EXISTS (
            SELECT FROM eventstore_subscriber
            WHERE status = 'running' AND identity = ANY (known) AND checkpoint BETWEEN awaited - near_by AND awaited - 1
        ) THEN
            RETURN elsewhere;
        END IF;
        IF pg_try_advisory_xact_lock(feeder_lock, 1) THEN
            BEGIN
                done := pg_advisory_xact_lock(feeder_lock, 0);
            EXCEPTION WHEN lock_not_available THEN
                RETURN elsewhere;
            END;
        END IF;
    END LOOP;
    RETURN eventstore_acquire_v3(true, known, types, near_by, most, false, idle);
END
$$;
