"""The SQL of webhooks, by the module that asks it."""

# subscriber

ENTER = """INSERT INTO sagas_webhook_delivery (endpoint_id, position, part, stream_id, type)
    SELECT endpoint.id, event.position, event.part, event.stream_id, event.type
    FROM sagas_webhook_endpoint AS endpoint, unnest(%s::bigint[], %s::int[], %s::uuid[], %s::text[]) WITH ORDINALITY
        AS event (position, part, stream_id, type, number)
    WHERE endpoint.enabled AND event.position > endpoint.begins_after
        AND (endpoint.types = '[]' OR endpoint.types @> to_jsonb(event.type))
    ORDER BY event.number FOR KEY SHARE OF endpoint
    ON CONFLICT DO NOTHING"""
"""Makes events deliveries to each endpoint that wants them, in the order of the log."""

# delivery

DUE = """SELECT EXISTS (SELECT FROM sagas_webhook_endpoint AS endpoint
    WHERE (endpoint.enabled AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= clock_timestamp())
        AND EXISTS (SELECT FROM sagas_webhook_delivery AS delivery
            WHERE delivery.endpoint_id = endpoint.id AND delivery.due_at <= clock_timestamp()
                AND (delivery.status = 'pending'
                    OR delivery.status = 'running' AND delivery.lease_until <= clock_timestamp())))
        OR endpoint.mail_due_at <= clock_timestamp())"""
"""Whether there may be something to send now."""

TAKE = """WITH chosen AS (
        SELECT first.id, endpoint.url, endpoint.secret, endpoint.former_secret,
            coalesce(endpoint.former_until > clock_timestamp(), false) AS former_valid
        FROM sagas_webhook_endpoint AS endpoint
        CROSS JOIN LATERAL (
            SELECT count(*) AS under_way FROM sagas_webhook_delivery AS busy
            WHERE busy.endpoint_id = endpoint.id AND busy.status = 'running' AND busy.lease_until > clock_timestamp()
        ) AS busy
        CROSS JOIN LATERAL (
            SELECT due.id, due.due_at, row_number() OVER (ORDER BY due.due_at, due.id) AS turn
            FROM (SELECT delivery.id, delivery.due_at FROM sagas_webhook_delivery AS delivery
                WHERE delivery.endpoint_id = endpoint.id AND delivery.due_at <= clock_timestamp()
                    AND (delivery.status = 'pending'
                        OR delivery.status = 'running' AND delivery.lease_until <= clock_timestamp())
                    AND (delivery.resent OR NOT EXISTS (SELECT FROM sagas_webhook_delivery AS earlier
                        WHERE earlier.endpoint_id = delivery.endpoint_id AND earlier.stream_id = delivery.stream_id
                            AND earlier.id < delivery.id AND earlier.status IN ('pending', 'running')
                            AND NOT earlier.resent))
                ORDER BY delivery.due_at, delivery.id LIMIT %(at_once)s) AS due
        ) AS first
        WHERE endpoint.enabled AND (endpoint.paused_until IS NULL OR endpoint.paused_until <= clock_timestamp())
            AND first.turn + busy.under_way <= CASE WHEN endpoint.failures < %(failing)s THEN %(at_once)s ELSE 1 END
        ORDER BY first.due_at, first.id LIMIT %(most)s)
    UPDATE sagas_webhook_delivery AS taken SET status = 'running', attempts = taken.attempts + 1, owner = %(owner)s,
        tried_since = coalesce(taken.tried_since, clock_timestamp()),
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
    FROM chosen WHERE taken.id = chosen.id
        AND (taken.status = 'pending' OR taken.status = 'running' AND taken.lease_until <= clock_timestamp())
    RETURNING taken.id, taken.endpoint_id, taken.position, taken.part, taken.attempts, taken.lease_until,
        chosen.url, chosen.secret, CASE WHEN chosen.former_valid THEN chosen.former_secret END"""
"""Takes what is due, the first of each stream, no more of one endpoint than may be under way at once: one, where it has
failed again and again.
"""

LOCK = """SELECT FROM sagas_webhook_endpoint WHERE id = (
    SELECT endpoint_id FROM sagas_webhook_delivery WHERE id = %s) FOR NO KEY UPDATE"""
"""Locks the endpoint of a delivery, if that is still there."""

NOTE_SUCCESS = """UPDATE sagas_webhook_delivery SET status = 'done', finished_at = clock_timestamp(), lease_until = NULL
    WHERE id = %s AND status <> 'done'"""
"""It has happened, whichever attempt it was and whatever was made of the delivery meanwhile."""

NOTE_WORKING = """UPDATE sagas_webhook_endpoint SET failures = 0, failing_since = NULL, paused_until = NULL
    WHERE id = %s AND (failures > 0 OR paused_until IS NOT NULL)"""
"""An endpoint answers again."""

NOTE_FAILING = """UPDATE sagas_webhook_endpoint SET failures = failures + 1,
        failing_since = coalesce(failing_since, clock_timestamp()),
        paused_until = clock_timestamp() + make_interval(secs => greatest(%(wait)s, CASE WHEN failures + 1 < %(failing)s
            THEN 0 ELSE least(2 ^ least(failures + 1 - %(failing)s, 16), %(longest)s) END))
    WHERE id = %(endpoint)s
    RETURNING extract(epoch FROM clock_timestamp() - failing_since)"""
"""Counts a failure of an endpoint, lets it rest once it has failed again and again, and answers for how many seconds it
has.
"""

NOTE_FAILURE = """UPDATE sagas_webhook_delivery SET lease_until = NULL,
        status = CASE WHEN given_up THEN 'failed' ELSE 'pending' END,
        finished_at = CASE WHEN given_up THEN clock_timestamp() END,
        due_at = clock_timestamp() + make_interval(secs => %(delay)s)
    FROM (SELECT id AS asked, NOT %(ends)s AND tried_since < clock_timestamp() - make_interval(secs => %(longest)s)
        AS given_up FROM sagas_webhook_delivery WHERE id = %(id)s) AS judged
    WHERE id = judged.asked AND status = 'running' AND lease_until = %(lease_until)s"""
"""A delivery is tried again, or given up once that went on for so long, unless its endpoint ends with it."""

WAKE = """UPDATE sagas_webhook_delivery AS later SET due_at = clock_timestamp()
    FROM sagas_webhook_delivery AS ended
    WHERE ended.id = %s AND ended.status IN ('done', 'failed') AND later.endpoint_id = ended.endpoint_id
        AND later.stream_id = ended.stream_id AND later.status = 'pending' AND later.attempts = 0 AND NOT later.resent
        AND later.due_at > clock_timestamp()"""
"""Lets what waited behind a delivery go on, once that has ended."""

PUT_OFF = """UPDATE sagas_webhook_delivery AS later SET due_at = first.due_at
    FROM sagas_webhook_endpoint AS endpoint, sagas_webhook_delivery AS first
    WHERE endpoint.enabled AND later.endpoint_id = endpoint.id AND later.status = 'pending' AND NOT later.resent
        AND later.due_at <= clock_timestamp() AND first.endpoint_id = endpoint.id AND first.stream_id = later.stream_id
        AND first.id < later.id AND first.status = 'pending' AND NOT first.resent
        AND first.due_at > clock_timestamp() AND first.attempts > 0"""
"""Has what waits behind a delivery that was put off looked at again no sooner than that."""

SWITCH_OFF = """UPDATE sagas_webhook_endpoint
    SET enabled = false, switched_off_at = clock_timestamp(), switched_off_for = %s, mail_due_at = clock_timestamp()
    WHERE id = %s AND enabled"""
"""Switches an endpoint off, and has its owner told, once."""

# mail

CLAIM_MAIL = """UPDATE sagas_webhook_endpoint SET mail_due_at = clock_timestamp() + make_interval(secs => %s)
    WHERE id = (SELECT id FROM sagas_webhook_endpoint WHERE mail_due_at <= clock_timestamp()
        ORDER BY mail_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id"""
"""Claims the mail to one owner; who dies over it lets another send it."""

# monitoring

STANDING = """SELECT endpoint.id, endpoint.enabled, endpoint.switched_off_at IS NOT NULL,
        endpoint.failing_since IS NOT NULL, waiting.number, waiting.age
    FROM sagas_webhook_endpoint AS endpoint CROSS JOIN LATERAL (
        SELECT count(*) AS number,
            coalesce(greatest(extract(epoch FROM clock_timestamp() - min(first.created_at)), 0), 0)::float AS age
        FROM (SELECT delivery.created_at FROM sagas_webhook_delivery AS delivery
            WHERE delivery.endpoint_id = endpoint.id AND delivery.status IN ('pending', 'running')
            ORDER BY delivery.due_at, delivery.id LIMIT %s) AS first
    ) AS waiting
    ORDER BY endpoint.created_at, endpoint.id"""
"""How each endpoint is, how many deliveries it has yet to get, no more counted than so many, and for how many seconds
the oldest of these has been kept.
"""

# pruning

PRUNE = """WITH old AS (SELECT id FROM sagas_webhook_delivery
        WHERE finished_at < clock_timestamp() - make_interval(secs => %s) ORDER BY finished_at LIMIT %s FOR UPDATE),
    attempts AS (DELETE FROM sagas_webhook_attempt WHERE delivery_id IN (SELECT id FROM old))
    DELETE FROM sagas_webhook_delivery WHERE id IN (SELECT id FROM old)"""
"""Forgets the deliveries that ended longest ago, with their attempts."""
