"""The SQL of the ledger of side effects, by the module that asks it."""

# effect

ENTER_DELIVERIES = """INSERT INTO sagas_delivery (effect, position)
    SELECT %s, * FROM unnest(%s::bigint[]) ON CONFLICT DO NOTHING"""
"""Makes events rows of the ledger, each once for an effect."""

# preconditions

WAKE_DELIVERIES = """UPDATE sagas_delivery SET status = 'pending', due_at = clock_timestamp(), waits_for = ''
    WHERE status = 'waiting' AND effect = %s AND due_at = %s AND position <= %s"""
"""Wakes the deliveries that waited for a checkpoint which has come to them."""

DUE_EFFECTS = """SELECT name FROM unnest(%s::text[]) AS name WHERE EXISTS (
    SELECT FROM sagas_delivery WHERE effect = name AND due_at <= clock_timestamp()
        AND (status IN ('pending', 'waiting') OR status = 'running' AND lease_until <= clock_timestamp()))"""
"""Which effects have a delivery to carry out now; one whose owner has died is due when its lease has run out."""

# delivery

TAKE_DELIVERY = """SELECT id, position, copy, status, attempts, created_at, clock_timestamp() AS now
    FROM sagas_delivery
    WHERE effect = %s AND due_at <= clock_timestamp()
        AND (status IN ('pending', 'waiting') OR status = 'running' AND lease_until <= clock_timestamp())
    ORDER BY due_at, position LIMIT 1 FOR UPDATE SKIP LOCKED"""
"""Locks the next delivery of an effect that is due and that nobody else is at."""

TAKE_TURN = """INSERT INTO sagas_rate_limit AS pace (effect, free_at)
    VALUES (%(effect)s, clock_timestamp() + make_interval(secs => %(pause)s))
    ON CONFLICT (effect) DO UPDATE
        SET free_at = make_interval(secs => %(pause)s) + CASE
            WHEN pace.free_at BETWEEN clock_timestamp() AND clock_timestamp() + make_interval(secs => %(burst)s)
            THEN pace.free_at ELSE clock_timestamp() END
        WHERE pace.free_at NOT BETWEEN clock_timestamp() + make_interval(secs => %(burst)s)
            AND clock_timestamp() + make_interval(secs => %(burst)s + %(pause)s)
    RETURNING effect"""
"""Takes the next turn of an effect with a rate, and says when the one after it is free; answers nothing when it is not
yet time. A turn that is free only after more than a pause was taken before the clock was set back, and counts for
nothing.
"""
