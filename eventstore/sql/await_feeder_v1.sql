-- Wait until nobody feeds the sync subscribers, but no longer than `patience`: whoever feeds may have frozen.
--
-- The lock is shared, so that all who wait go on together, and is given back at once: by the end of a block that fails,
-- which a lock of the session would outlive if it were granted just as the patience ends. Kept until the transaction ends,
-- the locks of a crowd that was woken would keep the next one from feeding, and all of the crowd would wait again.
CREATE FUNCTION eventstore_await_feeder_v1(patience text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    feeder_lock CONSTANT int := 20045;
    given_back CONSTANT text := 'P0FED';
    done text;
BEGIN
    done := set_config('lock_timeout', patience, true);
    done := pg_advisory_xact_lock_shared(feeder_lock, 0);
    RAISE EXCEPTION USING ERRCODE = given_back;
EXCEPTION WHEN lock_not_available OR SQLSTATE 'P0FED' THEN
    RETURN;
END
$$;
